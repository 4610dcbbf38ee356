import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LastPing } from '#agents/sentinel/check.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './heartbeat.ts';

kindContract(check, () => ({ ping: 'backup', period: '1h' }), { asksNobody: true });

const minute = 60_000;
const options = check.options.parse({ ping: 'backup', period: '24h', grace: '1h' });
const limit = 25 * 60 * minute;

async function look(now: number, last?: Partial<LastPing>) {
  const ping = last === undefined ? undefined : { at: 0, kind: 'success' as const, body: '', ...last };
  const base = checkContext();
  const [observation] = await check.observe(options, {
    ...base,
    clock: { ...base.clock, now: () => now },
    pings: { last: (id) => (id === 'backup' ? ping : undefined), knownSince: () => 0 },
  });
  if (observation?.reading.is !== 'state') throw new Error('no state');
  return { ok: observation.reading.ok, summary: observation.summary, holdMs: observation.holdMs };
}

describe('a heartbeat', () => {
  test('that never came waits period and grace from when it was first known, then fires at once', async () => {
    expect((await look(limit)).ok).toBe(true);
    expect(await look(limit + 1)).toMatchObject({ ok: false, holdMs: 0 });
  });

  test('that came is well until period and grace are over', async () => {
    expect((await look(limit, { at: 0 })).ok).toBe(true);
    const late = await look(limit + minute, { at: 0 });
    expect(late).toMatchObject({ ok: false });
    expect(late.summary).toBe('heartbeat "backup" came 1d1h1m ago; expected every 1d and 1h of grace');
  });

  test('that reports a failure fires at once', async () => {
    expect(await look(1_000, { kind: 'fail', at: 0 })).toMatchObject({ ok: false, holdMs: 0 });
    const { summary } = await look(60_000, { kind: 'fail', at: 0, exitStatus: 23 });
    expect(summary).toBe('heartbeat "backup" reported a failure (exit status 23) 1m ago');
  });

  test('whose run does not end within the grace fires', async () => {
    expect((await look(60 * minute, { kind: 'start' })).ok).toBe(true);
    expect((await look(60 * minute + 1, { kind: 'start' })).ok).toBe(false);
  });

  test('that is started again and again and never goes well is late, after a late start and a whole run', async () => {
    const latest = limit + 60 * minute;
    expect((await look(latest, { kind: 'start', at: latest, succeededAt: 0 })).ok).toBe(true);
    expect((await look(latest, { kind: 'start', at: latest })).ok).toBe(true);
    const late = latest + minute;
    expect((await look(late, { kind: 'start', at: late })).summary).toBe(
      'heartbeat "backup" started just now, and it never went well; expected every 1d and 1h of grace',
    );
    expect(await look(late, { kind: 'start', at: late - minute, succeededAt: 0 })).toMatchObject({
      ok: false,
      summary: 'heartbeat "backup" started 1m ago, and it went well last 1d2h1m ago; expected every 1d and 1h of grace',
    });
    expect((await look(late, { kind: 'start', at: late, succeededAt: minute })).ok).toBe(true);
  });

  test('is not late because a clock was set back', async () => {
    expect((await look(0, { at: 5 * minute })).ok).toBe(true);
  });

  test('never fires a success that is younger than its period', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1e12), fc.nat(24 * 60 * minute), async (at, age) => {
        expect((await look(at + age, { at })).ok).toBe(true);
      }),
    );
  });

  test('shows the last report as bounded evidence', async () => {
    const last: LastPing = { at: 0, kind: 'fail', body: `rsync: \u001b[31merror\n${'x'.repeat(10_000)}` };
    const context = checkContext({ pings: { last: () => last, knownSince: () => 0 } });
    const [observation] = await check.observe(options, context);
    const [evidence] = (observation && (await check.evidence.gather(options, context, observation))) ?? [];
    expect(evidence?.lines[0]).toBe('rsync:  [31merror');
    expect(evidence?.lines[1]?.length).toBeLessThanOrEqual(600);
  });
});
