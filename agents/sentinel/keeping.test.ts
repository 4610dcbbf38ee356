import { closeSync, existsSync, fstatSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Failure } from '#bus/failure.ts';
import { createLog } from '#agents/runtime/log.ts';
import { level, SentinelStage, startMs, state } from '../../test/parts/sentinel-stage.ts';
import { until } from '../../test/parts/until.ts';
import { createVirtualClock } from '../../test/parts/virtual-clock.ts';
import type { Observation } from './check.ts';
import { Keeping } from './keeping.ts';
import type { LookResult, Watch } from './tracks.ts';

const minute = 60_000;
const checks = [{ id: 'a', kind: 'lever', lever: 'a', for: '0s', every: '30s' }];

/** All but the first page, which tells what the file is. */
function damage(file: string): void {
  const open = openSync(file, 'r+');
  const rest = fstatSync(open).size - 4_096;
  if (rest > 0) writeSync(open, Buffer.alloc(rest, 0xab), 0, rest, 4_096);
  closeSync(open);
}

test('a history that is damaged at the start is set aside, and that is a finding', async () => {
  await using stage = await SentinelStage.open();
  mkdirSync(stage.stateFolder, { recursive: true });
  writeFileSync(
    join(stage.stateFolder, 'history.db'),
    'this is no database at all, whatever its name says'.repeat(200),
  );
  stage.lever('a').observe = () => [state(true)];
  const sentinel = await stage.start({ checks });
  await sentinel.firstRound();
  await stage.clock.advance(minute);
  await until(() => stage.findings.some(({ check }) => check === 'lares-state'), 'the finding');
  expect(existsSync(join(stage.stateFolder, 'history.db.damaged'))).toBe(true);
});

test('a history of which the damage shows later hides no finding, is told, begins anew, and is well after a while', async () => {
  await using stage = await SentinelStage.open();
  const lever = stage.lever('a');
  let value = 0;
  lever.observe = () => [level((value += 1))];
  await stage.start({ checks });
  await stage.clock.advance(10 * minute);
  await stage.stop();
  damage(join(stage.stateFolder, 'history.db'));
  lever.observe = () => [level(99)];
  await stage.start({ checks });
  await stage.clock.advance(5 * minute);
  await until(() => stage.findings.some(({ check }) => check === 'lares-state'), 'the finding', 20_000);
  expect(stage.findings.some(({ check, status }) => check === 'a' && status === 'firing')).toBe(true);
  await until(
    async () => {
      await stage.clock.advance(30 * minute);
      return stage.findings.some(({ check, status }) => check === 'lares-state' && status === 'resolved');
    },
    'the end',
    60_000,
  );
}, 120_000);

test('state that somebody deletes while it is used is told', async () => {
  await using stage = await SentinelStage.open();
  stage.lever('a').observe = () => [state(true)];
  const sentinel = await stage.start({ checks });
  await sentinel.firstRound();
  for (const ending of ['', '-wal', '-shm']) rmSync(join(stage.stateFolder, `sentinel.db${ending}`), { force: true });
  stage.lever('a').observe = () => [state(false)];
  await stage.clock.advance(2 * minute);
  await until(() => stage.findings.some(({ check }) => check === 'lares-state'), 'the finding');
  expect(stage.findings.find(({ check }) => check === 'lares-state')?.summary).toContain(
    'was deleted while it was in use',
  );
});

test('a disk that was full is told from then on, and until something can be kept again', () => {
  const clock = createVirtualClock(startMs);
  const keeping = new Keeping({ clock, log: createLog({ level: 'silent', name: 'test' }) });
  const looks: Observation[] = [];
  const ledger = { watches: new Map(), take: (_: Watch, look: LookResult) => void looks.push(...look.observations) };
  let isFull = true;
  const write = (): void => {
    if (isFull) throw new Failure('Cannot keep state: it is full', { recoverable: true });
  };
  keeping.look(ledger, write);
  expect(looks).toEqual([]);
  keeping.guard(write);
  for (const full of [true, false, true]) {
    isFull = full;
    keeping.look(ledger, write);
  }
  expect(looks.map(({ reading }) => reading.is === 'state' && reading.ok)).toEqual([false, true, false]);
});

test('a loss is told to its end, whatever else could not be kept meanwhile', async () => {
  const clock = createVirtualClock(startMs);
  const keeping = new Keeping({ clock, log: createLog({ level: 'silent', name: 'test' }) });
  const looks: Observation[] = [];
  const ledger = { watches: new Map(), take: (_: Watch, look: LookResult) => void looks.push(...look.observations) };
  keeping.note('the history begins anew');
  keeping.guard(() => {
    throw new Failure('Cannot keep state: it is full', { recoverable: true });
  });
  for (const minutes of [0, 74, 1]) {
    await clock.advance(minutes * minute);
    keeping.look(ledger, () => undefined);
  }
  expect(looks.map(({ reading }) => reading.is === 'state' && reading.ok)).toEqual([false, false, true]);
});
