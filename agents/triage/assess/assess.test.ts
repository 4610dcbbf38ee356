import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AssessorBench, never, opinion } from '../../../test/parts/assessor.ts';
import { type Reply, faults, ok, prose } from '../../../test/parts/llm.ts';

let bench: AssessorBench;

beforeEach(async () => {
  bench = await AssessorBench.start();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

describe('with no model', () => {
  test('the rules give cause, evidence and proposal, and nothing is missing', async () => {
    const assessment = await bench.assess(await bench.open({ none: true }));
    expect(assessment).toMatchObject({ source: 'rules', costEuro: 0, failovers: [] });
    expect(assessment.proposal?.playbook).toBe('restart-systemd-unit');
    expect(assessment.notAssessed).toBeUndefined();
  });
});

describe('with a model', () => {
  test('its opinion is given with its evidence, cost, provider and the digest of the prompt', async () => {
    bench.first.queue({ is: 'text', text: JSON.stringify(opinion), inputTokens: 10_000, outputTokens: 1_000 });
    const assessor = await bench.open();
    const assessment = await bench.assess(assessor);
    expect(assessment).toMatchObject({ source: 'model', provider: 'first', cause: 'The shop leaks.', failovers: [] });
    expect(assessment.evidence[0]).toContain('status=1/FAILURE');
    expect(assessment.costEuro).toBeCloseTo(0.045, 6);
    expect(assessment.promptDigest).toMatch(/^[0-9a-f]{64}$/);
    expect(assessor.spending()).toEqual([
      { provider: 'first', calls: 1, inputTokens: 10_000, outputTokens: 1_000, euro: expect.closeTo(0.045, 6) },
    ]);
  });

  test('the proposal of the rules stands when the model names none, or one that is not valid', async () => {
    const assessor = await bench.open();
    expect((await bench.assess(assessor)).proposal?.playbook).toBe('restart-systemd-unit');
    bench.first.queue(ok({ ...opinion, playbook: 'rm-rf', parameters: [] }));
    expect((await bench.assess(assessor)).proposal?.playbook).toBe('restart-systemd-unit');
    bench.first.queue(
      ok({ ...opinion, playbook: 'restart-systemd-unit', parameters: [{ name: 'unit', value: 'sshd' }] }),
    );
    expect((await bench.assess(assessor)).proposal?.parameters).toEqual({ unit: 'shop.service' });
  });

  test('its valid proposal replaces that of the rules', async () => {
    bench.first.queue(ok({ ...opinion, playbook: 'reset-and-start-unit', parameters: { unit: 'shop.service' } }));
    expect((await bench.assess(await bench.open())).proposal?.playbook).toBe('reset-and-start-unit');
  });

  test('an answer of the wrong shape is asked for once more with the error, and then used', async () => {
    bench.first.queue(ok({ confidence: 2 }), ok(opinion));
    expect((await bench.assess(await bench.open())).source).toBe('model');
    expect(bench.first.requests).toHaveLength(2);
    expect(bench.first.requests[1]?.prompt).toContain('could not be used');
  });

  test('an answer of the wrong shape twice is dropped, and the rules take over', async () => {
    bench.first.queue(ok({ confidence: 2 }), ok({ confidence: 3 }));
    const assessment = await bench.assess(await bench.open());
    expect(assessment).toMatchObject({ source: 'rules', failovers: [{ provider: 'first' }] });
    expect(assessment.notAssessed).toContain('could not be read');
    expect(assessment.costEuro).toBeGreaterThan(0);
    expect(bench.second.requests).toHaveLength(0);
  });

  test('a ledger that cannot be written keeps every question back, and the rules answer', async () => {
    const assessor = await bench.open();
    const other = new DatabaseSync(join(bench.folder, 'llm.db'));
    other.exec('BEGIN IMMEDIATE');
    const assessment = await bench.assess(assessor);
    other.exec('ROLLBACK');
    other.close();
    expect(assessment).toMatchObject({ source: 'rules', proposal: { playbook: 'restart-systemd-unit' } });
    expect(assessment.notAssessed).toContain('is locked by another process');
    expect(bench.first.requests).toEqual([]);
    expect((await bench.assess(assessor)).source).toBe('model');
  });

  test('prose instead of JSON twice is a fault of the endpoint: the next is asked', async () => {
    bench.first.queue(prose('I think it is broken.'), prose('Really.'));
    expect(await bench.assess(await bench.open())).toMatchObject({
      provider: 'second',
      failovers: [{ provider: 'first' }],
    });
  });
});

describe('at the monthly cap', () => {
  test('the rules answer, with the reason, and it is said once', async () => {
    const assessor = await bench.open({ llm: { monthlyCapEuro: 0 } });
    for (let turn = 0; turn < 2; turn += 1) {
      const assessment = await bench.assess(assessor);
      expect(assessment.source).toBe('rules');
      expect(assessment.notAssessed).toContain('monthly cap of 0 euro');
    }
    expect(bench.first.requests).toHaveLength(0);
    expect(bench.notices).toHaveLength(1);
  });

  test('a local provider goes on answering', async () => {
    const local = { sees: 'local', price: undefined };
    const assessor = await bench.open({ llm: { monthlyCapEuro: 0 }, second: local });
    expect(await bench.assess(assessor)).toMatchObject({ provider: 'second', costEuro: 0 });
  });

  test('twenty questions at once pass it by at most one reservation', async () => {
    const big: Reply = { is: 'text', text: JSON.stringify(opinion), inputTokens: 2_000, outputTokens: 1_500 };
    bench.first.otherwise(big);
    bench.second.otherwise(big);
    const assessor = await bench.open({ llm: { monthlyCapEuro: 0.1 } });
    await Promise.all(Array.from({ length: 20 }, () => bench.assess(assessor)));
    const spent = assessor.spending().reduce((sum, { euro }) => sum + euro, 0);
    expect(spent).toBeGreaterThan(0.05);
    expect(spent).toBeLessThanOrEqual(0.1 + 0.05);
  });
});

describe('money', () => {
  test('a paid answer because a free one failed is said', async () => {
    bench.first.queue(faults.overloaded());
    const assessor = await bench.open({ first: { price: { inputPerMillion: 0, outputPerMillion: 0 } } });
    expect((await bench.assess(assessor)).failovers[0]?.reason).toContain('the paid "second" answered');
    expect(bench.metrics.exposition()).toMatch(/lares_llm_paid_failovers_total\{from="first",to="second"\} 1/);
  });

  test('requests, failovers and euro are counted by provider', async () => {
    bench.first.queue(faults.overloaded());
    await bench.assess(await bench.open());
    const page = bench.metrics.exposition();
    expect(page).toMatch(
      /lares_llm_requests_total\{outcome="transient",provider="first"\} 1|lares_llm_requests_total\{provider="first",outcome="transient"\} 1/,
    );
    expect(page).toMatch(/lares_llm_failovers_total\{provider="first"\} 1/);
    expect(page).toMatch(/lares_llm_euro_total\{provider="second"\} 0\.\d+/);
  });

  test('a proxy that fell back by itself is said', async () => {
    bench.first.queue(faults.unauthorized());
    bench.second.queue({
      is: 'text',
      text: JSON.stringify(opinion),
      headers: { 'x-litellm-attempted-fallbacks': '1' },
    });
    const { failovers } = await bench.assess(await bench.open());
    expect(failovers[1]).toMatchObject({ provider: 'second', reason: expect.stringContaining('fell back') as string });
  });
});

test('a cloud provider sees no host name, a local one does', async () => {
  bench.first.queue(faults.overloaded());
  await bench.assess(await bench.open({ second: { sees: 'local', price: undefined } }));
  expect(bench.first.requests[0]?.prompt).not.toContain('"web"');
  expect(bench.second.requests[0]?.prompt).toContain('"web"');
});

test('closing ends what is under way, and its money is booked', async () => {
  bench.first.queue(faults.hang());
  const assessor = await bench.open();
  const pending = assessor.assess(bench.facts, never);
  await bench.first.arrived(1);
  assessor.close();
  await expect(pending).rejects.toThrow('closed');
  const again = await bench.open();
  expect(again.spending()).toMatchObject([{ provider: 'first', calls: 1 }]);
});
