import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { type BindPair, startBindPair } from '../../../test/parts/bind.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { until } from '../../../test/parts/until.ts';
import { problems } from '../../../test/parts/problems.ts';
import { check } from './dns-zone.ts';

kindContract(check, (port) => ({ zone: 'lab.test', primary: `127.0.0.1:${port}`, giveUpAfter: '300ms' }));

function lagOf(observations: readonly Observation[]): { seconds: number | undefined; summary: string | undefined } {
  const found = observations.find(({ condition }) => condition === 'replica-behind');
  return { seconds: found?.reading.is === 'level' ? found.reading.value : undefined, summary: found?.summary };
}

describeWith(['named'], 'a primary and a secondary of BIND', () => {
  let pair: BindPair;
  let now: number;
  let context: CheckContext;
  beforeEach(async () => {
    pair = await startBindPair(10);
    now = 0;
    const base = checkContext({ host: undefined });
    context = { ...base, clock: { ...base.clock, now: () => now } };
  });
  afterEach(() => pair[Symbol.asyncDispose]());

  async function look(more: object = {}): Promise<Observation[]> {
    const options = { zone: pair.zone, primary: pair.primary, secondaries: [pair.secondary], names: ['www.lab.test'] };
    const found = await check.observe(check.options.parse({ ...options, ...more }), context);
    expect(faultsOf(found)).toEqual([]);
    return found;
  }

  test('agree after a change, and transfers go where they should', async () => {
    const transfers = { transfersTo: [pair.secondary], transfersRefusedBy: [pair.primary] };
    expect(problems(await look(transfers))).toEqual([]);
    await pair.publish(11, '192.0.2.11');
    await until(async () => (await pair.serialOf(pair.secondary)) === 11, 'the transfer after the NOTIFY');
    const found = await look(transfers);
    expect(problems(found)).toEqual([]);
    expect(lagOf(found)).toEqual({
      seconds: 0,
      summary: `${pair.secondary} has serial 11 of lab.test as the primary has`,
    });
    expect(found.map(({ summary }) => summary)).toContain('all servers give 192.0.2.11 for www.lab.test');
    const wrong = { transfersTo: [pair.primary], transfersRefusedBy: [pair.secondary] };
    expect(problems(await look(wrong))).toEqual([
      `warning zone-transfer-refused: ${pair.primary} does not transfer (REFUSED, it does not answer us) lab.test to this machine`,
      `warning zone-transfer-open: ${pair.secondary} transfers lab.test to this machine`,
    ]);
  });

  describe('with a key (TSIG)', () => {
    const keyed = (more: object = {}): object => {
      const transferKey = { name: 'transfer', secret: { env: 'LARES_TEST_TSIG' }, ...more };
      return {
        serials: false,
        names: [],
        transfersTo: [pair.primary],
        transfersRefusedBy: [pair.primary],
        transferKey,
      };
    };
    beforeEach(() => {
      vi.stubEnv('LARES_TEST_TSIG', pair.transferSecret);
      context = { ...context, clock: checkContext().clock };
    });
    afterEach(() => vi.unstubAllEnvs());

    test('a transfer is allowed, and without the key it is not', async () => {
      const found = await look(keyed());
      expect(problems(found)).toEqual([]);
      expect(found[0]?.summary).toBe(`${pair.primary} transfers lab.test to this machine with the key`);
    });

    test('another secret, another name, another algorithm and another time are told apart', async () => {
      const said = async (more: object = {}) => (await look(keyed(more)))[0]?.summary;
      const refused = (why: RegExp | string): unknown =>
        expect.stringMatching(new RegExp(`does not transfer \\(${why}.*\\) lab\\.test to this machine with the key$`));
      expect(await said({ name: 'other' })).toEqual(refused('BADKEY'));
      expect(await said({ algorithm: 'hmac-sha512' })).toEqual(refused('BADKEY'));
      vi.stubEnv('LARES_TEST_TSIG', Buffer.from('another secret of the same sort').toString('base64'));
      expect(await said()).toEqual(refused('BADSIG'));
      vi.stubEnv('LARES_TEST_TSIG', pair.transferSecret);
      const { clock } = context;
      context = { ...context, clock: { ...clock, now: () => clock.now() - 900_000 } };
      expect(await said()).toEqual(refused('BADTIME'));
    });

    test('a secret that is no base64 is a look that could not be made', async () => {
      vi.stubEnv('LARES_TEST_TSIG', 'key "transfer" { };');
      const [first] = await look(keyed());
      expect(first?.reading).toEqual({ is: 'unknown', reason: 'the secret of the key "transfer" is not base64' });
    });
  });

  test('one that may not transfer falls behind, and the time since then is the level', async () => {
    await pair.refuseTransfers();
    await pair.publish(12, '192.0.2.12');
    expect(lagOf(await look()).seconds).toBe(0);
    now = 1_000_000;
    const found = await look();
    expect(lagOf(found)).toEqual({
      seconds: 1_000,
      summary: `${pair.secondary} is behind the primary of lab.test for 16m40s: serial 10, primary 12`,
    });
    expect(found.find(({ condition }) => condition === 'replica-behind')).toMatchObject({
      holdMs: 0,
      labels: { zone: 'lab.test', server: pair.secondary },
      reading: { warning: { trigger: 60 }, critical: { trigger: 900 } },
    });
    expect(problems(found)).toEqual([
      `critical replica-behind: ${pair.secondary} is behind the primary of lab.test for 16m40s: serial 10, primary 12`,
      `warning zone-answers-differ: servers differ on www.lab.test: ${pair.primary} 192.0.2.12; ${pair.secondary} 192.0.2.10`,
    ]);
    const options = check.options.parse({ zone: pair.zone, primary: pair.primary, secondaries: [pair.secondary] });
    const [evidence] = await check.evidence.gather(options, context, found[0] as Observation);
    expect(evidence?.lines.join('\n')).toMatch(/: answer: lab\.test\. 60 SOA ns1\.lab\.test .* 12 3600/);
    expect(evidence?.lines.join('\n')).toMatch(/: answer: lab\.test\. 60 SOA ns1\.lab\.test .* 10 3600/);
  });

  test('a dead secondary and a zone that nobody has are critical', async () => {
    await pair.killSecondary();
    expect(problems(await look())).toEqual([
      `critical zone-not-served: ${pair.secondary} does not serve lab.test: connection refused`,
    ]);
    expect(problems(await look({ zone: 'other.test', secondaries: [], names: [] }))).toEqual([
      `critical zone-not-served: ${pair.primary} does not serve other.test: it answers REFUSED, it does not answer us`,
    ]);
  });
});

describe('the options', () => {
  test('without serials and without anything else there is nothing to see', async () => {
    const options = check.options.parse({ zone: 'a.test', primary: '127.0.0.1:1', serials: false });
    expect(problems(await check.observe(options, checkContext()))).toEqual([
      'unknown zone-answers-differ a.test: no names or transfers are given',
    ]);
  });

  test('a key that nobody is asked with is refused', () => {
    const given = { zone: 'a.test', primary: '127.0.0.1:1', transferKey: { name: 'k', secret: { env: 'K' } } };
    expect(check.options.safeParse(given).error?.issues[0]?.path).toEqual(['transfersTo']);
  });

  test('a server twice is asked once', async () => {
    const options = check.options.parse({ zone: 'a.test', primary: '127.0.0.1:1', secondaries: ['127.0.0.1:1'] });
    const found = await check.observe(options, checkContext());
    expect(found).toHaveLength(1);
  });
});
