import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AssessorBench, hourMs, minuteMs } from '../../../test/parts/assessor.ts';
import { type Reply, faults } from '../../../test/parts/llm.ts';

let bench: AssessorBench;

beforeEach(async () => {
  bench = await AssessorBench.start();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

describe('a failure of the first provider', () => {
  test.each<[string, Reply, string]>([
    ['transient', faults.overloaded(), 'cooling down'],
    ['billing', faults.creditBalance(), 'billing'],
    ['auth', faults.unauthorized(), 'off until the configuration changes'],
  ])(
    'that is %s passes the question to the next, and is not asked again while it rests',
    async (_name, fault, state) => {
      bench.first.queue(fault);
      const assessor = await bench.open();
      const assessment = await bench.assess(assessor);
      expect(assessment).toMatchObject({ provider: 'second', failovers: [{ provider: 'first' }] });
      expect(assessor.status()[0]?.state).toContain(state);
      expect((await bench.assess(assessor)).failovers[0]?.reason).toContain(state);
      expect(bench.first.requests).toHaveLength(1);
    },
  );

  test('that is a refusal passes it on once and cools nothing', async () => {
    bench.first.queue(faults.refusal());
    const assessor = await bench.open();
    expect((await bench.assess(assessor)).provider).toBe('second');
    expect(assessor.status()[0]?.state).toBe('ready');
    expect((await bench.assess(assessor)).provider).toBe('first');
  });

  test('that is ours stops at once: the rules take over, and the log has the shape and not the content', async () => {
    bench.first.queue(faults.malformed());
    const assessment = await bench.assess(await bench.open());
    expect(assessment).toMatchObject({ source: 'rules', failovers: [{ provider: 'first' }] });
    expect(bench.second.requests).toHaveLength(0);
    expect(bench.logged).toContain('systemLength');
    expect(bench.logged).not.toContain('shop.service');
  });

  test('that is a too long question is put once more, shorter', async () => {
    bench.first.queue(faults.contextLength());
    expect((await bench.assess(await bench.open())).provider).toBe('first');
    const [whole, short] = bench.first.requests.map((request) => request.prompt.length);
    expect(short).toBeLessThan(whole ?? 0);
  });

  test('that is a too long question even when short goes to a larger window only', async () => {
    bench.first.queue(faults.contextLength(), faults.tooLarge());
    const small = await bench.assess(await bench.open({ second: { maxInputTokens: 50_000 } }));
    expect(small).toMatchObject({ source: 'rules', failovers: [{ provider: 'first' }, { provider: 'second' }] });
    expect(bench.second.requests).toHaveLength(0);
    bench.first.queue(faults.contextLength(), faults.tooLarge());
    const large = await bench.assess(await bench.open({ second: { maxInputTokens: 200_000 } }));
    expect(large.provider).toBe('second');
  });
});

describe('a provider that hangs', () => {
  test('costs its own timeout and no more, and nothing while it rests', async () => {
    bench.first.queue(faults.hang());
    const assessor = await bench.open({ first: { timeout: '20s' } });
    const pending = bench.assess(assessor);
    await bench.first.arrived(1);
    await bench.clock.advance(19_000);
    expect(bench.second.requests).toHaveLength(0);
    await bench.clock.advance(1_000);
    const assessment = await pending;
    expect(assessment.provider).toBe('second');
    expect(assessment.failovers[0]?.reason).toContain('did not answer within 20s');
    const before = bench.clock.now();
    await bench.assess(assessor);
    expect(bench.clock.now()).toBe(before);
    expect(bench.first.requests).toHaveLength(1);
  });

  test('ends at once when the caller gives up', async () => {
    bench.first.queue(faults.hang());
    const assessor = await bench.open();
    const caller = new AbortController();
    const pending = assessor.assess(bench.facts, caller.signal);
    await bench.first.arrived(1);
    caller.abort(new Error('given up'));
    await expect(pending).rejects.toThrow('given up');
    expect(assessor.status()[0]?.state).toBe('ready');
  });
});

describe('after its cool-down a provider', () => {
  test('is asked one small question, and gets the traffic back when it answers', async () => {
    bench.first.queue(faults.overloaded());
    const assessor = await bench.open();
    await bench.assess(assessor);
    await bench.clock.advance(minuteMs);
    const assessment = await bench.assess(assessor);
    expect(assessment).toMatchObject({ provider: 'first', failovers: [] });
    expect(bench.first.requests[1]?.prompt).not.toContain('shop.service');
    expect(bench.first.requests).toHaveLength(3);
  });

  test('keeps nobody waiting for that small question longer than five seconds', async () => {
    bench.first.queue(faults.overloaded(), faults.hang());
    const assessor = await bench.open();
    await bench.assess(assessor);
    await bench.clock.advance(minuteMs);
    const first = bench.assess(assessor);
    await bench.first.arrived(2);
    expect((await bench.assess(assessor)).provider).toBe('second');
    await bench.clock.advance(5_000);
    expect((await first).provider).toBe('second');
    expect(bench.first.requests).toHaveLength(2);
    await bench.clock.advance(45_000);
    expect(assessor.status()[0]?.state).toContain('cooling down');
  });

  test('is worth waiting for when nobody else answers', async () => {
    bench.first.queue(faults.overloaded());
    bench.second.otherwise(faults.htmlError(502));
    const assessor = await bench.open();
    expect((await bench.assess(assessor)).notAssessed).toContain('no model provider could answer');
    await bench.clock.advance(minuteMs);
    expect((await bench.assess(assessor)).provider).toBe('first');
  });

  test('comes back at the time that Retry-After gave', async () => {
    bench.first.queue(faults.rateLimited('600'));
    const assessor = await bench.open();
    await bench.assess(assessor);
    await bench.clock.advance(9 * minuteMs);
    expect((await bench.assess(assessor)).provider).toBe('second');
    await bench.clock.advance(3 * minuteMs);
    expect((await bench.assess(assessor)).provider).toBe('first');
  });

  test('is still resting after a restart, until the configuration changes', async () => {
    bench.first.queue(faults.unauthorized());
    (await bench.open()).close();
    const before = await bench.open();
    await bench.assess(before);
    before.close();
    const after = await bench.open();
    expect((await bench.assess(after)).provider).toBe('second');
    expect(bench.first.requests).toHaveLength(1);
    after.close();
    bench.writeKey('sk-fake-another-key-0123456789');
    expect((await bench.assess(await bench.open())).provider).toBe('first');
  });

  test('with usage limits rests until the date that was given', async () => {
    bench.first.queue(faults.usageLimits('2026-12-01'));
    const assessor = await bench.open();
    await bench.assess(assessor);
    await bench.clock.advanceTo(Date.parse('2026-11-30T23:00:00Z'));
    expect((await bench.assess(assessor)).provider).toBe('second');
    await bench.clock.advanceTo(Date.parse('2026-12-01T00:02:00Z'));
    expect((await bench.assess(assessor)).provider).toBe('first');
  });
});

describe('what a person has to mend', () => {
  test('is said once, and once more when it is mended', async () => {
    bench.first.queue(faults.creditBalance(), faults.creditBalance());
    const assessor = await bench.open();
    await bench.assess(assessor);
    await bench.clock.advance(hourMs);
    await bench.assess(assessor);
    expect(bench.notices).toHaveLength(1);
    expect(bench.notices[0]).toContain('for lack of money');
    await bench.clock.advance(3 * hourMs);
    await bench.assess(assessor);
    expect(bench.notices[1]).toBe('The model provider "first" answers again.');
  });

  test('a key that cannot be read is told and does not stop the rest', async () => {
    rmSync(join(bench.folder, 'key'));
    expect((await bench.assess(await bench.open())).provider).toBe('second');
    expect(bench.notices[0]).toContain('Cannot read a secret');
  });
});
