import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { planIdOf } from './plan.ts';
import { openRemediationStore } from './store.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lares-worker-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function workerOf(name: string): string {
  const store = openRemediationStore(join(folder, name), Buffer.alloc(32));
  store.close();
  return store.worker;
}

test('a worker stays the same over restarts, and another state folder is another worker', () => {
  const one = workerOf('one');
  expect(one).toMatch(/^[0-9a-f]{32}$/);
  expect(workerOf('one')).toBe(one);
  expect(workerOf('two')).not.toBe(one);
});

test('two workers that hear the same proposal make two plans, so that one approval is for one of them', () => {
  const [one, two] = [workerOf('one'), workerOf('two')];
  expect(planIdOf(one, 'p')).toBe(planIdOf(one, 'p'));
  expect(planIdOf(one, 'p')).not.toBe(planIdOf(two, 'p'));
  expect(planIdOf(one, 'p')).not.toBe(planIdOf(one, 'q'));
});
