import { expect, test } from 'vitest';
import { openStore } from '#agents/runtime/store.ts';
import { inboxRows } from './inbox.ts';
import { triageMigrations } from './schema.ts';

test('what was set aside waits no longer and is counted by kind with its newest error', () => {
  const store = openStore({ path: ':memory:', migrations: triageMigrations });
  const inbox = inboxRows(store);
  const messages = ['plan', 'finding', 'plan', 'run'].map((kind) => ({ kind, body: {} }));
  inbox.add(messages, 1);
  for (const row of inbox.next(10).slice(0, 3)) inbox.park(row, `bug ${row.seq}`);
  expect(inbox.length()).toBe(1);
  expect(inbox.next(10)).toMatchObject([{ kind: 'run' }]);
  expect(inbox.parked()).toEqual([
    { kind: 'finding', count: 1, error: 'bug 2' },
    { kind: 'plan', count: 2, error: 'bug 3' },
  ]);
  expect(inboxRows(store).length()).toBe(1);
  store.close();
});

test('what a transaction took that was rolled back waits still', () => {
  const store = openStore({ path: ':memory:', migrations: triageMigrations });
  const inbox = inboxRows(store);
  inbox.add(
    ['plan', 'run'].map((kind) => ({ kind, body: {} })),
    1,
  );
  const broken = (): void =>
    store.transaction(() => {
      for (const row of inbox.next(2)) inbox.remove(row);
      throw new Error('no space');
    });
  expect(broken).toThrow('no space');
  expect({ waiting: inbox.length(), isEmpty: inbox.isEmpty() }).toEqual({ waiting: 2, isEmpty: false });
  for (const row of inbox.next(2)) inbox.remove(row);
  expect({ waiting: inbox.length(), isEmpty: inbox.isEmpty() }).toEqual({ waiting: 0, isEmpty: true });
  store.close();
});
