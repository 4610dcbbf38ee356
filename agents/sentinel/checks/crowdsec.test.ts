import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { assert, ipV4, ipV6, oneof, property, string } from 'fast-check';
import { systemClock } from '#agents/runtime/clock.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { isPrivate, overlap, parseNetwork } from '#agents/sentinel/probes/networks.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type Crowdsec, crowdsecPrograms, startCrowdsec } from '../../../test/parts/crowdsec.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { until } from '../../../test/parts/until.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './crowdsec.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

process.env['LARES_TEST_CROWDSEC_KEY'] = 'bouncer-key';
process.env['LARES_TEST_CROWDSEC_PASSWORD'] = 'machine-password';
const bouncerKey = { env: 'LARES_TEST_CROWDSEC_KEY' };
const machine = { user: 'lares', password: { env: 'LARES_TEST_CROWDSEC_PASSWORD' } };
const now = Date.parse('2026-11-20T12:00:00Z');
afterEach(closeHttpAgents);

function watcher(given: object): (at?: number) => Promise<Observation[]> {
  const options = check.options.parse(given);
  const context = checkContext();
  return (at = now) => check.observe(options, { ...context, clock: createVirtualClock(at) });
}

const decision = (value: string, more: object = {}) => ({
  id: 1,
  origin: 'crowdsec',
  scope: 'Ip',
  value,
  type: 'ban',
  scenario: 'crowdsecurity/ssh-bf',
  duration: '3h59m56.08217256s',
  ...more,
});
const alert = (scenario: string, value = '203.0.113.50') => ({
  id: 1,
  created_at: '2026-11-20T11:55:00Z',
  scenario,
  message: `Ip ${value} performed '${scenario}'`,
  events_count: 6,
  events: null,
  source: { scope: 'Ip', value, ip: value },
  decisions: [],
});

interface House {
  decisions?: object[];
  alerts?: object[];
  /** Decisions about an address or a range that is asked for. */
  near?: Record<string, object[]>;
  token?: string;
}

const list = (items: object[] = []) => ({ body: items.length === 0 ? 'null' : JSON.stringify(items) });
const unauthorized = { status: 401, body: { code: 401, message: 'incorrect Username or Password' } };

function decisionsOf(house: House, { query, headers }: ApiRequest) {
  if (headers['x-api-key'] !== 'bouncer-key') return { status: 403, body: { message: 'access forbidden' } };
  const asked = query.get('ip') ?? query.get('range');
  return list(asked === null ? house.decisions : house.near?.[asked]);
}

/** A login without NAME/VERSION as its user agent is refused. */
function loginTo({ token = 'jwt' }: House, { body, headers }: ApiRequest) {
  const { machine_id: name, password } = JSON.parse(body) as { machine_id: string; password: string };
  const isGood = name === 'lares' && password === 'machine-password' && /^\w+\/\w+$/.test(headers['user-agent'] ?? '');
  return isGood ? { body: { code: 200, expire: '2026-11-20T13:00:00Z', token } } : unauthorized;
}

function alertsOf({ token = 'jwt', alerts = [] }: House, { query, headers }: ApiRequest) {
  if (headers.authorization !== `Bearer ${token}`) return unauthorized;
  if (query.get('include_capi') !== 'false') throw new Error('the list of the community is asked for as well');
  return list(alerts.slice(0, Number(query.get('limit'))));
}

/** LAPI of 1.4 and 1.7: an empty list is the literal null. */
function lapi(house: House) {
  return (request: ApiRequest) => {
    if (request.path === '/health') return { body: { status: 'up' } };
    if (request.path === '/v1/decisions') return decisionsOf(house, request);
    if (request.path === '/v1/watchers/login') return loginTo(house, request);
    return request.path === '/v1/alerts' ? alertsOf(house, request) : undefined;
  };
}

describe('CrowdSec', () => {
  test('without alerts and decisions says null and is well, and says how much was looked at', async () => {
    await using api = await startFakeApi(lapi({}));
    const found = await watcher({ url: api.url, bouncerKey, ...machine })();
    expect(words(found)).toEqual([
      'crowdsec-down crowdsec ok',
      'own-address-banned own addresses ok',
      'decisions-jump decisions ok',
      'attack-burst alerts ok',
    ]);
    expect(found.map(({ summary }) => summary)).toContain('looked at 0 decisions for own addresses, 0 found');
  });

  test('is never asked for the stream, which would keep its news from the bouncer of that key', async () => {
    const house: House = { decisions: [decision('203.0.113.50')] };
    await using api = await startFakeApi(lapi(house));
    const look = watcher({ url: api.url, bouncerKey, ours: ['203.0.113.0/24'], ...machine });
    await look();
    await look(now + 60_000);
    const decisions = api.requests.filter(({ path }) => path.startsWith('/v1/decisions'));
    expect(decisions.length).toBeGreaterThan(1);
    expect(decisions.filter(({ path }) => path !== '/v1/decisions')).toEqual([]);
  });

  test('that bans an own or a private address is critical, also by a range or the list of the community', async () => {
    const decisions = [decision('203.0.113.50'), decision('192.168.1.10', { origin: 'cscli', scenario: 'oops' })];
    const near = { '198.51.100.7': [decision('198.51.100.0/24', { scope: 'Range', origin: 'CAPI' })] };
    await using api = await startFakeApi(lapi({ decisions, near }));
    const look = watcher({ url: api.url, bouncerKey, ours: ['198.51.100.7'] });
    expect(problems(await look())).toEqual([
      'critical own-address-banned: CrowdSec answers 192.168.1.10, an own address, with "ban" for 3h59m56s: oops (cscli)',
      'critical own-address-banned: CrowdSec answers 198.51.100.0/24, an own address, with "ban" for 3h59m56s: crowdsecurity/ssh-bf (CAPI)',
    ]);
    expect(problems(await watcher({ url: api.url, bouncerKey, privateToo: false })())).toEqual([]);
    expect(api.requests.filter(({ path }) => path.includes('stream'))).toEqual([]);
  });

  test('that bans many more than at the last look is a warning, once', async () => {
    const house = { decisions: [decision('203.0.113.1')] };
    await using api = await startFakeApi(lapi(house));
    const look = watcher({ url: api.url, bouncerKey });
    expect(problems(await look())).toEqual([]);
    house.decisions = Array.from({ length: 70 }, (_, last) => decision(`203.0.113.${last}`));
    expect(problems(await look())).toEqual([
      'warning decisions-jump: 70 local decisions, 69 more than at the last look',
    ]);
    expect(problems(await look())).toEqual([]);
  });

  test('with many alerts of one scenario is a warning that names it', async () => {
    const alerts = [
      ...Array.from({ length: 12 }, () => alert('crowdsecurity/ssh-bf')),
      alert('crowdsecurity/http-probing'),
    ];
    await using api = await startFakeApi(lapi({ alerts }));
    const given = { url: api.url, ...machine };
    const found = await watcher(given)();
    expect(problems(found)).toEqual(['warning attack-burst: 12 alerts of crowdsecurity/ssh-bf in 10m, from 1 source']);
    expect(found[1]?.summary).toBe('13 alerts in 10m: 12 crowdsecurity/ssh-bf, 1 crowdsecurity/http-probing');
    const context = checkContext({ clock: createVirtualClock(now) });
    const evidence = await check.evidence.gather(check.options.parse(given), context, found[2] as Observation);
    expect(evidence[0]?.lines.length).toBe(12);
  });

  test('is logged in to once, anew when the token ended, and not again and again with a refused password', async () => {
    const house = { token: 'one' };
    await using api = await startFakeApi(lapi(house));
    const look = watcher({ url: api.url, ...machine });
    const logins = (): number => api.requests.filter(({ path }) => path.endsWith('login')).length;
    await look();
    await look();
    expect(logins()).toBe(1);
    house.token = 'two';
    expect(problems(await look())).toEqual([]);
    expect(logins()).toBe(2);
    const wrong = watcher({ url: api.url, user: 'lares', password: { env: 'HOME' } });
    expect(words(await wrong())).toContain('attack-burst alerts unknown');
    await wrong();
    expect(logins()).toBe(3);
    await wrong(now + 6 * 60_000);
    expect(logins()).toBe(4);
  });

  test('whose alerts are too large for one answer is asked for fewer', async () => {
    const large = { ...alert('crowdsecurity/http-crawl'), events: [{ meta: 'x'.repeat(60_000) }] };
    await using api = await startFakeApi(lapi({ alerts: Array.from({ length: 30 }, () => large) }));
    const found = await watcher({ url: api.url, ...machine })();
    expect(found[1]?.summary).toBe('at least 10 alerts in 10m: 10 crowdsecurity/http-crawl');
  });

  test('with another key is unknown in its decisions', async () => {
    await using api = await startFakeApi(lapi({}));
    const found = await watcher({ url: api.url, bouncerKey: { env: 'HOME' } })();
    expect(words(found)).toEqual(['crowdsec-down crowdsec ok', 'own-address-banned own addresses unknown']);
  });
});

describe('the acquisition', () => {
  const page = (hits: number, ok: number): string =>
    `cs_info{version="v1.4.6"} 0\ncs_parser_hits_total{source="/var/log/auth.log",type="file"} ${hits}\ncs_parser_hits_ok_total{source="/var/log/auth.log",type="file"} ${ok}\n`;

  test('that reads no more is told after its time, a restart is no standstill', async () => {
    let body = page(500, 20);
    await using api = await startFakeApi(({ path }) => (path === '/metrics' ? { body } : { body: { status: 'up' } }));
    const look = watcher({ url: api.url, metricsUrl: api.url });
    const hour = 3_600_000;
    expect(problems(await look())).toEqual([]);
    expect(problems(await look(now + 5 * hour))).toEqual([]);
    expect(problems(await look(now + 7 * hour))).toEqual([
      'warning acquisition-stopped: CrowdSec read 500 lines of /var/log/auth.log, none for 7h',
    ]);
    body = page(3, 1);
    expect(problems(await look(now + 8 * hour))).toEqual([]);
    body = 'cs_info{version="v1.4.6"} 0\n';
    expect(problems(await look(now + 15 * hour))).toEqual([
      'warning acquisition-stopped: CrowdSec read 3 lines of /var/log/auth.log, none for 7h',
    ]);
  });

  test('of which no line is understood is told', async () => {
    await using api = await startFakeApi(({ path }) =>
      path === '/metrics' ? { body: page(300, 0) } : { body: { status: 'up' } },
    );
    expect(problems(await watcher({ url: api.url, metricsUrl: api.url })())).toEqual([
      'warning acquisition-unparsed: CrowdSec understood 0 of 300 lines of /var/log/auth.log',
    ]);
  });
});

describe('networks', () => {
  test.each([
    ['10.0.0.7', '10.0.0.0/8', true],
    ['0.0.0.0/0', '203.0.113.7', true],
    ['10.0.0.7', '10.0.0.8', false],
    ['2001:db8::/48', '2001:db8:0:5::1', true],
    ['10.0.0.7', '::1', false],
  ])('%s and %s share an address: %s', (one, other, shares) => {
    const networks = [parseNetwork(one), parseNetwork(other)].flatMap((network) => network ?? []);
    expect(networks.length).toBe(2);
    const [first, second] = networks;
    expect(first !== undefined && second !== undefined && overlap(first, second)).toBe(shares);
  });

  test('of everybody are not private although they contain private ones', () => {
    const all = parseNetwork('0.0.0.0/0');
    expect(all !== undefined && isPrivate(all)).toBe(false);
  });

  test('are read from any text without an error', () => {
    assert(
      property(oneof(string(), ipV4(), ipV6()), (text) => {
        const network = parseNetwork(text);
        expect(network === undefined || overlap(network, network)).toBe(true);
      }),
    );
  });
});

describeWith(crowdsecPrograms, "Debian's CrowdSec", () => {
  let real: Crowdsec;
  let context: CheckContext;
  beforeAll(async () => {
    real = await startCrowdsec();
    process.env['LARES_TEST_REAL_KEY'] = real.bouncerKey;
    process.env['LARES_TEST_REAL_PASSWORD'] = real.password;
    context = checkContext({ clock: systemClock });
  }, 30_000);
  afterAll(() => real[Symbol.asyncDispose]());

  test('attacked by SSH is seen: its alert, its ban, the lines that it read, and an own address that somebody bans', async () => {
    const options = check.options.parse({
      url: real.url,
      metricsUrl: real.metricsUrl,
      bouncerKey: { env: 'LARES_TEST_REAL_KEY' },
      user: 'lares',
      password: { env: 'LARES_TEST_REAL_PASSWORD' },
      burst: 1,
    });
    const look = (): Promise<Observation[]> => check.observe(options, context);
    expect(problems(await look())).toEqual([]);
    await real.failLogins('203.0.113.50', 7);
    // Its alert, its decision and its count of lines come in any order: a look may see each of them without the others.
    let found: Observation[] = [];
    const says = (words: RegExp): boolean => found.some(({ summary }) => words.test(summary));
    await until(async () => {
      found = await look();
      return says(/^1 local decision(,|$)/) && says(/^CrowdSec understood 7 of 7 lines of .*auth\.log$/);
    }, 'the decision and the seven lines');
    await until(async () => problems((found = await look())).length > 0, 'the alert of the attack');
    expect(problems(found)).toEqual(['warning attack-burst: 1 alert of crowdsecurity/ssh-bf in 10m, from 1 source']);
    await real.cscli('decisions', 'add', '--ip', '192.168.1.10', '--duration', '4h', '--reason', 'oops');
    const banned = await look();
    expect(problems(banned)[0]).toMatch(
      /^critical own-address-banned: CrowdSec answers 192\.168\.1\.10, an own address/,
    );
    const own = banned.find(({ resource }) => resource === '192.168.1.10') as Observation;
    const evidence = await check.evidence.gather(options, context, own);
    expect(evidence.map(({ title }) => title)).toEqual(['Decisions about 192.168.1.10', 'Alerts of CrowdSec']);
  }, 30_000);
});
