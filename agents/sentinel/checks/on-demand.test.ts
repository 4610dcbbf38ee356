import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '#agents/runtime/clock.ts';
import type { Observation } from '#agents/sentinel/check.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { freePort } from '../../../test/parts/free-port.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { startSilentPort } from '../../../test/parts/silent-port.ts';
import { startTcpTarget, type TcpTarget } from '../../../test/parts/tcp-target.ts';
import { badOnes } from '../../../test/parts/problems.ts';
import { check } from './on-demand.ts';

const minuteMs = 60_000;
const backup = { cron: '8 0 * * *', for: '30m', owner: 'the nightly backup' };
const midnight = Date.UTC(2026, 10, 20);

// A port that accepts is all that is asked of it: whatever it says, it is awake.
kindContract(check, (port) => ({ address: '127.0.0.1', ports: [port], what: 'service', giveUpAfter: '300ms' }), {
  asksNobody: true,
});

let silent: { ports: number[] };
let off: Awaited<ReturnType<typeof startSilentPort>>;
beforeAll(async () => {
  off = await startSilentPort();
  silent = { ports: [off.port] };
});
afterAll(() => off[Symbol.asyncDispose]());
let target: TcpTarget;
beforeEach(async () => {
  target = await startTcpTarget(() => undefined);
});
afterEach(() => target[Symbol.asyncDispose]());

function watcher(more: object) {
  const memory = checkContext().memory;
  const options = check.options.parse({ address: '127.0.0.1', giveUpAfter: '300ms', ...more });
  const context = (now: number) => checkContext({ memory, clock: { ...systemClock, now: () => now } });
  const look = async (now = midnight): Promise<Observation[]> => {
    const found = await check.observe(options, context(now));
    expect(faultsOf(found)).toEqual([]);
    return found;
  };
  return { look, evidence: (of: Observation) => check.evidence.gather(options, context(midnight), of) };
}

const words = (observations: readonly Observation[]) => observations.map(({ reading }) => reading.is);

describe('what may rest', () => {
  test('is asleep when nobody answers, and that is no problem', async () => {
    const found = await watcher(silent).look();
    expect(words(found)).toEqual(['asleep']);
    expect(found[0]?.summary).toBe('127.0.0.1 is asleep, which it may');
  });

  test('is ready when all of its ports accept', async () => {
    expect(words(await watcher({ ports: [target.port] }).look())).toEqual(['state']);
  });

  test('is starting when its host answers and a port does not yet, and stuck when that takes too long', async () => {
    const { look } = watcher({ ports: [target.port, await freePort()] });
    expect(words(await look())).toEqual(['asleep', 'state']);
    expect(badOnes(await look(midnight + 5 * minuteMs))).toEqual([]);
    expect(badOnes(await look(midnight + 11 * minuteMs))).toEqual(['warning on-demand-stuck-starting 127.0.0.1']);
  });

  test('is asleep when it is a service that is stopped on a host that runs', async () => {
    expect(words(await watcher({ ports: [await freePort()], what: 'service' }).look())).toEqual(['asleep']);
  });

  test('is unknown under a name that does not resolve', async () => {
    expect(words(await watcher({ address: 'nowhere.invalid' }).look())).toEqual(['unknown']);
  });
});

describe('in a window in which it is wanted', () => {
  test('it has some minutes to wake, then its sleep is a problem that names who wants it', async () => {
    const { look } = watcher({ ...silent, awake: [backup] });
    expect(badOnes(await look(midnight + 7 * minuteMs))).toEqual([]);
    expect(badOnes(await look(midnight + 10 * minuteMs))).toEqual([]);
    const found = await look(midnight + 12 * minuteMs);
    expect(badOnes(found)).toEqual(['critical on-demand-not-awake 127.0.0.1']);
    expect(found[0]?.summary).toBe('127.0.0.1 is asleep, and the nightly backup wants it since 4m');
    expect(badOnes(await look(midnight + 39 * minuteMs))).toEqual([]);
  });

  test('being awake is well', async () => {
    const { look } = watcher({ ports: [target.port], awake: [backup] });
    expect(badOnes(await look(midnight + 20 * minuteMs))).toEqual([]);
  });

  test('times are of its zone', async () => {
    const { look } = watcher({ ...silent, awake: [{ ...backup, timezone: 'Europe/Paris' }] });
    expect(badOnes(await look(midnight - 45 * minuteMs))).toEqual(['critical on-demand-not-awake 127.0.0.1']);
  });

  test('a cron expression that cannot be is refused', () => {
    expect(check.options.safeParse({ address: 'x', awake: [{ cron: '99 * * * *', for: '1h' }] }).success).toBe(false);
  });
});

test('awake for longer than it should be is a warning, unless it is wanted then', async () => {
  const { look, evidence } = watcher({ ports: [target.port], atMost: '1h', awake: [backup] });
  expect(badOnes(await look(midnight - 50 * minuteMs))).toEqual([]);
  expect(badOnes(await look(midnight + 12 * minuteMs))).toEqual([]);
  const found = await look(midnight + 45 * minuteMs);
  expect(badOnes(found)).toEqual(['warning on-demand-awake-too-long 127.0.0.1']);
  const [first] = await Promise.all(found.slice(1).map((observation) => evidence(observation)));
  expect(first?.[0]?.lines).toContain('wanted at "8 0 * * *" (UTC) for 30m by the nightly backup');
});
