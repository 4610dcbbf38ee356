import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { readRegistration } from '#agents/sentinel/probes/rdap.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type FakeRdap, registrationOf, startFakeRdap } from '../../../test/parts/fake-rdap.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './domain-expiry.ts';

kindContract(check, (port) => ({ domain: 'example.org', url: `http://127.0.0.1:${port}` }));

const hour = 3_600_000;
const day = 24 * hour;
const start = Date.UTC(2026, 10, 20);

let rdap: FakeRdap;
beforeEach(async () => {
  rdap = await startFakeRdap();
});
afterEach(async () => {
  await closeHttpAgents();
  await rdap[Symbol.asyncDispose]();
});

/** Looks at the moments of one check, with its memory. */
function watcher(more: object = {}) {
  const context: CheckContext = checkContext();
  const options = check.options.parse({ domain: 'example.org', url: rdap.directory, ...more });
  const clock = (now: number) => ({ ...context.clock, now: () => now });
  return {
    context,
    options,
    at: (now: number): Promise<Observation[]> => check.observe(options, { ...context, clock: clock(now) }),
  };
}

function register(of: Parameters<typeof registrationOf>[1]): void {
  rdap.registry.set('example.org', registrationOf('example.org', of));
}

describe('a registration', () => {
  test('that is well, found by way of the directory', async () => {
    register({ expires: start + 200 * day });
    expect(await watcher().at(start)).toMatchObject([
      {
        condition: 'domain-expiring',
        resource: 'example.org',
        summary: expect.stringContaining('example.org: the registration ends in 200d'),
        reading: { is: 'level', value: 200, bad: 'below', warning: { trigger: 30 }, critical: { trigger: 7 } },
      },
      { condition: 'domain-status', reading: { is: 'state', ok: true } },
    ]);
    expect(rdap.requests.map(({ path }) => path)).toEqual([
      '/directory/domain/example.org',
      '/registry/domain/example.org',
    ]);
  });

  test.each<[string, string[], object, RegExp]>([
    ['on hold', ['client hold'], { ok: false, severity: 'critical' }, /took it out of the DNS \(clientHold\)$/],
    ['deleted, in EPP spelling', ['redemptionPeriod', 'serverHold'], { ok: false, severity: 'critical' }, /redeemed/],
    ['being moved', ['pending transfer'], { ok: false, severity: 'warning' }, /asked for its transfer/],
    ['locked', ['client transfer prohibited', 'constructor'], { ok: true }, /no bad status/],
  ])('%s', async (...[, status, reading, words]) => {
    register({ expires: start + 200 * day, status });
    const [, second] = await watcher().at(start);
    expect(second).toMatchObject({ condition: 'domain-status', reading, summary: expect.stringMatching(words) });
  });

  test('is compared with the name servers and the lock that are wanted', async () => {
    register({ expires: start + 200 * day, status: ['active'] });
    const same = await watcher({ nameservers: ['ns2.example.net', 'ns1.example.net.'], locked: true }).at(start);
    expect(same.slice(2)).toMatchObject([
      { condition: 'domain-delegation-changed', reading: { ok: true } },
      { condition: 'domain-unlocked', reading: { ok: false, severity: 'warning' } },
    ]);
    const [, , other] = await watcher({ nameservers: ['ns1.example.net'] }).at(start);
    expect(other).toMatchObject({ reading: { ok: false, severity: 'critical' } });
  });
});

describe('a registry', () => {
  test('is asked once a day, however often the check looks, and the days go on counting', async () => {
    register({ expires: start + 31 * day });
    const watched = watcher();
    for (let minute = 0; minute < 5; minute++) await watched.at(start + minute * 60_000);
    expect(rdap.requests).toHaveLength(2);
    expect((await watched.at(start + 19 * hour))[0]?.reading).toMatchObject({ value: expect.closeTo(31 - 19 / 24, 3) });
    expect(rdap.requests).toHaveLength(2);
    await watched.at(start + 21 * hour);
    expect(rdap.requests).toHaveLength(4);
  });

  test('that limits questions is left alone, and is no trouble for 7 days', async () => {
    register({ expires: start + 200 * day });
    const watched = watcher();
    await watched.at(start);
    rdap.isLimited = true;
    for (let hours = 21; hours < 7 * 24; hours++) {
      const [first] = await watched.at(start + hours * hour);
      expect(first?.reading.is).toBe('level');
    }
    // A question to the directory and one to the registry each 10 hours, as Retry-After asked for.
    expect(rdap.requests.length).toBeLessThan(40);
    expect(await watched.at(start + 8 * day)).toMatchObject([
      { reading: { is: 'unknown', reason: expect.stringMatching(/was asked too often, last answer 8d ago$/) } },
    ]);
    rdap.isLimited = false;
    expect((await watched.at(start + 9 * day))[0]?.reading).toMatchObject({ value: 191 });
  });

  test('that forgets a registered domain is critical; one never seen is unknown', async () => {
    register({ expires: start + 2 * day });
    const watched = watcher();
    await watched.at(start);
    rdap.registry.clear();
    expect(await watched.at(start + day)).toMatchObject([
      { condition: 'domain-status', reading: { ok: false, severity: 'critical' } },
    ]);
    expect(await watcher().at(start)).toMatchObject([{ reading: { is: 'unknown' } }]);
  });

  test.each(['server-error-html', 'truncated-json', 'not-the-shape', 'reset', 'forbidden'] as const)(
    'with the fault "%s" leaves it unknown at first',
    async (fault) => {
      rdap.fault = fault;
      expect(await watcher().at(start)).toMatchObject([{ condition: 'domain-expiring', reading: { is: 'unknown' } }]);
    },
  );

  test('that answers about another domain is not believed', async () => {
    rdap.registry.set('example.org', registrationOf('other.org', { expires: start + day }));
    const [first] = await watcher().at(start);
    expect(first?.reading).toMatchObject({ is: 'unknown', reason: expect.stringContaining('about "OTHER.ORG"') });
  });
});

test('evidence tells what the registry said last', async () => {
  register({ expires: start + 2 * day });
  const { at, options, context } = watcher();
  const [first] = await at(start);
  const evidence = first === undefined ? [] : await check.evidence.gather(options, context, first);
  expect(evidence[0]?.lines).toContain('registrar: Gandi SAS');
  expect(evidence[0]?.lines).toContain('name servers: ns1.example.net, ns2.example.net');
});

test('names are checked, also those in other scripts', () => {
  const wrong = ['example', 'a b.org', '-a.org', 'https://example.org', '', 'x/../y.org'];
  expect(wrong.filter((domain) => check.options.safeParse({ domain }).success)).toEqual([]);
  expect(check.resourceOf(check.options.parse({ domain: 'Bücher.example' }))).toBe('xn--bcher-kva.example');
});

test('any JSON is read within bounds or refused', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (status, events) => {
      const read = readRegistration({ objectClassName: 'domain', status, events, nameservers: events }, 'example.org');
      expect(typeof read === 'string' || read.statuses.length <= 50).toBe(true);
    }),
  );
});
