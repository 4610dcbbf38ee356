import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Failure } from '#bus/failure.ts';
import type { Finding } from '#bus/messages/finding.ts';
import { createInventory } from '#config/inventory.ts';
import { ConfigSchema } from '#config/schema.ts';
import { createLog } from '#agents/runtime/log.ts';
import { MemoryChannel } from '../../../test/parts/memory-channel.ts';
import { makeFinding, storyStart } from '../../../test/parts/triage-story.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { pullBack } from '../clock-set-back.ts';
import { Desk } from '../desk.ts';
import { createOutbox } from '../notify/outbox.ts';
import { settle } from '../settle.ts';
import { openTriageStore } from '../store.ts';
import { createInbox, type InboxMessage } from './inbox.ts';

const log = createLog({ level: 'silent', name: 'test' });

function begin() {
  const folder = mkdtempSync(join(tmpdir(), 'lares-inbox-'));
  const clock = createVirtualClock(storyStart);
  const config = ConfigSchema.parse({});
  const store = openTriageStore(folder, randomBytes(32));
  onTestFinished(() => {
    store.close();
    rmSync(folder, { recursive: true });
  });
  const outbox = createOutbox({
    rows: store.rows,
    channels: [new MemoryChannel('chat', clock)],
    clock,
    log,
    onDelivered: () => undefined,
    onRefused: () => undefined,
    timeText: String,
  });
  const inventory = createInventory(config);
  const desk = new Desk({ store, outbox, clock, log, config, inventory, settle, pullBack, changed: () => undefined });
  const inbox = createInbox(desk, clock);
  const held = (): number => Number(store.rows.get('SELECT count(*) AS n FROM findings')?.['n']);
  /** Rows that were ever stored. */
  const stored = (): number =>
    Number(store.rows.get("SELECT seq FROM sqlite_sequence WHERE name = 'inbox'")?.['seq'] ?? 0);
  return { clock, store, desk, inbox, held, stored };
}

/** More than fits into the pages that the store has. */
const excerpt = {
  kind: 'log',
  title: 'Journal',
  lines: Array.from({ length: 10 }, () => 'x'.repeat(500)),
  truncated: 0,
} as const;

const firing = (host: string): InboxMessage => ({
  kind: 'finding',
  body: { ...makeFinding({ name: 'http-down', host }, storyStart), evidence: [excerpt] },
});
const many = Array.from({ length: 20 }, (_, index) => firing(`h${index}`));

test('what comes alone is acknowledged with its effects, and is never stored first', async () => {
  const { desk, inbox, held, stored } = begin();
  inbox.start();
  await inbox.store(firing('web'));
  expect({ held: held(), stored: stored(), incidents: desk.world.incidents.size }).toEqual({
    held: 1,
    stored: 0,
    incidents: 1,
  });
});

test('a flood is stored first, acknowledged, and handled', async () => {
  const { clock, store, inbox, held, stored } = begin();
  inbox.start();
  await Promise.all(many.map((message) => inbox.store(message)));
  expect({ held: held(), stored: stored() }).toEqual({ held: 0, stored: 20 });
  await clock.advance(1_000);
  expect({ held: held(), waiting: store.inbox.length() }).toEqual({ held: 20, waiting: 0 });
});

test('a message whose handling is a bug is set aside, and those that came with it take effect', async () => {
  const { clock, store, inbox, held } = begin();
  inbox.start();
  const bug: InboxMessage = { kind: 'finding', body: {} as Finding };
  await Promise.all([firing('web'), bug, firing('db')].map((message) => inbox.store(message)));
  await clock.advance(1_000);
  expect({ held: held(), waiting: store.inbox.length() }).toEqual({ held: 2, waiting: 0 });
  expect(store.inbox.parked()).toMatchObject([{ kind: 'finding', count: 1 }]);
});

test('a flood with a message whose handling is a bug is handled to its end, batch after batch', async () => {
  const { clock, store, inbox, held } = begin();
  inbox.start();
  const flood = Array.from({ length: 250 }, (_, index) => firing(`h${index}`));
  flood.splice(100, 0, { kind: 'finding', body: {} as Finding });
  await Promise.all(flood.map((message) => inbox.store(message)));
  await clock.advance(10_000);
  expect({ held: held(), waiting: store.inbox.length() }).toEqual({ held: 250, waiting: 0 });
});

test.each([
  ['one alone', [firing('web')]],
  ['a flood', many],
])('a full disk acknowledges nothing of %s, and takes it when there is space again', async (_name, messages) => {
  const { clock, store, desk, inbox, held } = begin();
  inbox.start();
  // No page is free, and none is added.
  store.rows.run('VACUUM');
  store.rows.get('PRAGMA max_page_count = 1');
  const results = await Promise.allSettled(messages.map((message) => inbox.store(message)));
  for (const result of results) {
    expect(result).toMatchObject({ status: 'rejected', reason: expect.any(Failure) });
  }
  expect({ held: held(), waiting: store.inbox.length(), incidents: desk.world.incidents.size }).toEqual({
    held: 0,
    waiting: 0,
    incidents: 0,
  });
  store.rows.get('PRAGMA max_page_count = 100000');
  await Promise.all(messages.map((message) => inbox.store(message)));
  await clock.advance(1_000);
  expect(held()).toBe(messages.length);
});

test('what is on its way when triage stops is stored, and handled by the next start', async () => {
  const { clock, inbox, held, stored } = begin();
  inbox.start();
  const message = inbox.store(firing('web'));
  inbox.stop();
  await message;
  expect({ held: held(), stored: stored() }).toEqual({ held: 0, stored: 1 });
  inbox.start();
  await clock.advance(1);
  expect(held()).toBe(1);
});
