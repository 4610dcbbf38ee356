import { afterEach, describe, expect, test } from 'vitest';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { readRetention } from '#agents/sentinel/probes/loki.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { startFakeLoki } from '../../../test/parts/fake-loki.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './loki.ts';

kindContract(check, (port) => ({
  url: `http://127.0.0.1:${port}`,
  query: 'count_over_time({job="x"}[5m])',
  silent: [{ selector: '{job="x"}', for: '15m', label: 'host' }],
  surges: [{ lines: '{job="x"}' }],
}));
afterEach(closeHttpAgents);

async function look(
  { url }: { url: string },
  options: object = {},
  context: CheckContext = checkContext(),
): Promise<Observation[]> {
  const found = await check.observe(check.options.parse({ url, ...options }), context);
  expect(faultsOf(found)).toEqual([]);
  return found;
}

const bad = (found: readonly Observation[]): string[] =>
  found.flatMap(({ condition, resource, reading }) =>
    reading.is === 'state' && !reading.ok ? [`${condition} ${resource}`] : [],
  );
const unknown = (found: readonly Observation[]): string[] =>
  found.flatMap(({ resource, reading }) => (reading.is === 'unknown' ? [`${resource}: ${reading.reason}`] : []));

const minutesAgo = (minutes: number): number => Date.now() - minutes * 60_000;

test.each([
  { above: { warning: 1 } },
  { itself: false },
  { silent: [{ selector: '{a="b"} |= "x"', for: '5m' }] },
  { silent: [{ selector: '{a="b"}[5m]) or ({c="d"}', for: '5m' }] },
  { silent: [{ selector: '{a="b"}', for: '0s' }] },
])('the options %j are refused', (wrong) => {
  expect(check.options.safeParse({ url: 'http://x', ...wrong }).success).toBe(false);
});

describe('readiness', () => {
  test('the first minute after a start it is starting, then it is down', async () => {
    await using loki = await startFakeLoki();
    loki.isReady = false;
    let now = 1_000_000;
    const context = checkContext({ clock: { ...checkContext().clock, now: () => now } });
    expect(unknown(await look(loki, {}, context))).toEqual([
      expect.stringMatching(/^Loki: it is starting: Ingester not ready/),
    ]);
    now += 59_000;
    expect(bad(await look(loki, {}, context))).toEqual([]);
    now += 2_000;
    expect(bad(await look(loki, {}, context))).toEqual(['loki-down Loki']);
    loki.isReady = true;
    expect(bad(await look(loki, {}, context))).toEqual([]);
    loki.isReady = false;
    expect(bad(await look(loki, {}, context))).toEqual([]);
  });

  test("is somebody else's to tell where Loki itself is not watched", async () => {
    await using loki = await startFakeLoki();
    expect(await look(loki, { itself: false, silent: [{ selector: '{a="b"}', for: '5m' }] })).toHaveLength(1);
    loki.fault = 'reset';
    expect(await look(loki, { itself: false, query: 'vector(1)' })).toMatchObject([
      { resource: 'Loki', reading: { is: 'unknown' } },
    ]);
  });

  test('another 503 is no start', async () => {
    await using loki = await startFakeLoki();
    loki.fault = 'server-error-html';
    expect(bad(await look(loki))).toEqual(['loki-down Loki']);
  });
});

describe('a query', () => {
  const query = 'sum by (host) (count_over_time({job="sshd"} |= "Failed password" [5m]))';

  test('counts matching lines, shows them as evidence and keeps their nanoseconds', async () => {
    await using loki = await startFakeLoki();
    const lines = Array.from(
      { length: 12 },
      (_none, index) => [minutesAgo(1) + index, `Failed password ${index}`] as const,
    );
    await loki.push({ job: 'sshd', host: 'ct101' }, [...lines, [minutesAgo(1), 'Accepted publickey']]);
    const options = {
      query,
      condition: 'logins-failed',
      above: { warning: 10 },
      unit: 'lines',
      summary: '{{ $value }} failed logins on {{ $labels.host }}',
    };
    const found = await look(loki, options);
    const observation = found.find(({ condition }) => condition === 'logins-failed');
    expect(observation).toMatchObject({
      resource: 'host=ct101',
      summary: '12 failed logins on ct101',
      reading: { value: 12 },
    });
    const parsed = check.options.parse({ url: loki.url, ...options });
    const evidence = await check.evidence.gather(parsed, checkContext(), observation as Observation);
    const logs = evidence.find(({ kind }) => kind === 'log');
    expect(logs?.lines).toHaveLength(12);
    expect(logs?.lines.at(-1)).toMatch(/^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d ct101 Failed password 11$/);
  });

  test('no matching line is well where there are streams, and unknown where nobody writes', async () => {
    await using loki = await startFakeLoki();
    expect(unknown(await look(loki, { query, above: { warning: 10 } }))).toEqual([
      expect.stringContaining('nothing has written to {job="sshd"} within a day'),
    ]);
    await loki.push({ job: 'sshd', host: 'ct101' }, [[minutesAgo(1), 'Accepted publickey']]);
    const found = await look(loki, { query, above: { warning: 10 } });
    expect([...unknown(found), ...bad(found)]).toEqual([]);
    expect(found.map(({ condition }) => condition)).toContain('query-result');
  });

  test.each([
    ['{job="sshd"}', 'log queries are not supported as an instant query type'],
    ['count_over_time({job=~".*"}[5m])', 'queries require at least one regexp or equality matcher'],
    ['count_over_time(', 'parse error at line 1, col 6'],
  ])('the text error of %s is told', async (wrong, words) => {
    await using loki = await startFakeLoki();
    expect(unknown(await look(loki, { query: wrong, absent: 'ok' }))).toEqual([expect.stringContaining(words)]);
  });

  test('a tenant is named, and without it nothing is known', async () => {
    await using loki = await startFakeLoki();
    loki.tenant = 't1';
    await loki.push({ job: 'sshd' }, [[minutesAgo(1), 'Failed password']]);
    expect(unknown(await look(loki, { query }))).toEqual([expect.stringContaining('no org id')]);
    expect(unknown(await look(loki, { query, tenant: 't1' }))).toEqual([]);
    expect(unknown(await look(loki, { query, tenant: 't2', above: { warning: 1 } }))).toEqual([
      expect.stringContaining('nothing has written to {job="sshd"}'),
    ]);
  });
});

describe('silence', () => {
  test('a host that wrote within the last day and not for 15 minutes is silent; its last words are the evidence', async () => {
    await using loki = await startFakeLoki();
    await loki.push({ job: 'journal', host: 'ct101' }, [[minutesAgo(1), 'here']]);
    await loki.push({ job: 'journal', host: 'ct102' }, [[minutesAgo(40), 'going down']]);
    const options = { silent: [{ selector: '{job="journal"}', for: '15m', label: 'host' }] };
    const found = await look(loki, options);
    expect(bad(found)).toEqual(['logs-silent ct102']);
    const silent = found.find(({ resource }) => resource === 'ct102');
    expect(silent).toMatchObject({ labels: { host: 'ct102' }, summary: 'ct102 has written no line for 15m' });
    const parsed = check.options.parse({ url: loki.url, ...options });
    const [evidence] = await check.evidence.gather(parsed, checkContext(), silent as Observation);
    expect(evidence?.lines).toEqual([expect.stringMatching(/ct102 going down$/)]);
  });

  test('who wrote once is remembered for a week, and a host that is named is waited for always', async () => {
    await using loki = await startFakeLoki();
    const now = Date.now();
    let ahead = 0;
    const context = checkContext({ clock: { ...checkContext().clock, now: () => now + ahead } });
    await loki.push({ job: 'journal', host: 'ct101' }, [[now - 60_000, 'here']]);
    const learned = { silent: [{ selector: '{job="journal"}', for: '1s', label: 'host' }] };
    expect(bad(await look(loki, learned, context))).toEqual(['logs-silent ct101']);
    ahead = 6 * 86_400_000;
    expect(bad(await look(loki, learned, context))).toEqual(['logs-silent ct101']);
    ahead = 9 * 86_400_000;
    expect(bad(await look(loki, learned, context))).toEqual([]);
    const named = { silent: [{ selector: '{job="journal"}', for: '15m', label: 'host', values: ['ct101', 'ct999'] }] };
    expect(bad(await look(loki, named))).toEqual(['logs-silent ct999']);
  });

  test('a stream as a whole', async () => {
    await using loki = await startFakeLoki();
    const options = { silent: [{ selector: '{job="backup"}', for: '1d' }] };
    expect(bad(await look(loki, options))).toEqual(['logs-silent {job="backup"}']);
    await loki.push({ job: 'backup' }, [[minutesAgo(60), 'done']]);
    expect(bad(await look(loki, options))).toEqual([]);
  });
});

test('five times the lines of the day before are a surge; a few are none', async () => {
  await using loki = await startFakeLoki();
  const usual = Array.from({ length: 1_440 }, (_none, index) => [minutesAgo(11 + (index % 1_400)), 'error'] as const);
  const many = Array.from({ length: 60 }, (_none, index) => [minutesAgo(5) + index, 'error'] as const);
  await loki.push({ job: 'app', host: 'a' }, [...usual, ...many]);
  await loki.push({ job: 'app', host: 'b' }, [[minutesAgo(1), 'error']]);
  const found = await look(loki, { surges: [{ lines: '{job="app"} |= "error"', by: 'host' }] });
  const surges = found.filter(({ condition }) => condition === 'log-surge');
  expect(
    surges.map(({ resource, reading }) => [
      resource,
      reading.is === 'level' ? [reading.value, reading.warning?.trigger] : [],
    ]),
  ).toEqual([
    ['a', [60, expect.closeTo(50, -1)]],
    ['b', [1, 20]],
  ]);
  expect(surges[0]?.summary).toMatch(/^60 lines in 10m, \d+ are usual: /);
});

describe('what it says of itself', () => {
  test('lines that it begins to throw away are told with the reason', async () => {
    await using loki = await startFakeLoki();
    const context = checkContext();
    loki.metrics = 'loki_discarded_samples_total{reason="rate_limited",tenant="fake"} 5';
    expect(bad(await look(loki, {}, context))).toEqual([]);
    loki.metrics = 'loki_discarded_samples_total{reason="rate_limited",tenant="fake"} 9';
    expect(bad(await look(loki, {}, context))).toEqual(['lines-discarded rate_limited']);
  });

  test('missing retention is information, once in six hours asked', async () => {
    await using loki = await startFakeLoki();
    loki.config = 'limits_config:\n  retention_period: 0s\ncompactor:\n  retention_enabled: false\n';
    const context = checkContext();
    const found = await look(loki, {}, context);
    expect(found.find(({ condition }) => condition === 'log-retention-missing')?.reading).toMatchObject({
      ok: false,
      severity: 'info',
    });
    await look(loki, {}, context);
    expect(loki.requests.filter(({ path }) => path === '/config')).toHaveLength(1);
  });

  test.each([
    ['limits_config:\n  retention_period: 744h\ncompactor:\n  retention_enabled: true\n', 'deleted'],
    ['limits_config:\n  retention_period: 744h\ncompactor:\n  retention_enabled: false\n', 'kept-for-ever'],
    ['limits_config:\n  retention_period: 0s\ncompactor:\n  retention_enabled: true\n', 'kept-for-ever'],
    ['limits_config:\n  retention_period: 0s\ntable_manager:\n  retention_deletes_enabled: true\n', 'deleted'],
    ['something: else\n', undefined],
  ])('%j', (config, expected) => {
    expect(readRetention(config)).toBe(expected);
  });
});
