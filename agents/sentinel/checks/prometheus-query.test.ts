import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { startFakeApi } from '../../../test/parts/fake-api.ts';
import { freePort } from '../../../test/parts/free-port.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { type Prometheus, startExporter, startPrometheus } from '../../../test/parts/prometheus.ts';
import { until } from '../../../test/parts/until.ts';
import { startVictoriaMetrics, type VictoriaMetrics } from '../../../test/parts/victoria-metrics.ts';
import { check } from './prometheus-query.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}`, query: 'up < 1' }));

function look(url: string, options: object): Promise<Observation[]> {
  return check.observe(check.options.parse({ url, ...options }), checkContext());
}

async function lookAt(answer: unknown, options: object, status = 200): Promise<Observation[]> {
  await using api = await startFakeApi(() => ({ status, body: answer }));
  return await look(api.url, options);
}

const vector = (...series: [object, string][]): unknown => ({
  status: 'success',
  data: { resultType: 'vector', result: series.map(([metric, value]) => ({ metric, value: [1795186971.194, value] })) },
});

describe('the options', () => {
  test.each([
    { above: { warning: 1 }, below: { warning: 1 } },
    { above: {} },
    { condition: 'Not Kebab' },
    { query: ' ' },
  ])('%o are refused', (wrong) => {
    const whole = { url: 'http://x', query: 'up', ...wrong };
    expect(check.options.safeParse(whole).success).toBe(false);
  });
});

describe('golden bodies', () => {
  test('series of Prometheus 2.42 and 3.5, which adds infos, read the same', async () => {
    const body = vector([{ __name__: 'up', instance: 'a:9100', job: 'node' }, '1']) as object;
    for (const answer of [body, { ...body, infos: ['PromQL info: x'], warnings: ['y'] }]) {
      expect(await lookAt(answer, { query: 'up', below: { critical: 0.5 } })).toEqual([
        expect.objectContaining({
          condition: 'query-result',
          resource: 'a:9100',
          labels: { instance: 'a:9100', job: 'node' },
          summary: 'a:9100 is at 1',
          reading: expect.objectContaining({ is: 'level', value: 1, bad: 'below' }),
        }),
      ]);
    }
  });

  test('statistics of VictoriaMetrics 1.145 do not disturb', async () => {
    const body = {
      ...(vector([{ instance: 'a' }, '5']) as object),
      isPartial: false,
      stats: { seriesFetched: '1', executionTimeMsec: 2 },
    };
    expect(await lookAt(body, { query: 'x', above: { warning: 3 } })).toMatchObject([{ reading: { value: 5 } }]);
  });

  test('a partial answer leaves what it does not show unknown', async () => {
    const body = { ...(vector([{ instance: 'a' }, '5']) as object), isPartial: true };
    const found = await lookAt(body, { query: 'x', above: { warning: 3 } });
    expect(found).toMatchObject([{ resource: 'a' }, { resource: 'x', reading: { is: 'unknown' } }]);
  });

  test.each([
    ['Prometheus', 400, { status: 'error', errorType: 'bad_data', error: '1:3: parse error: unclosed' }],
    ['VictoriaMetrics', 422, { status: 'error', errorType: '422', error: 'cannot parse: unclosed' }],
  ])('a wrong expression is told in the words of %s', async (_product, status, body) => {
    const [only, ...more] = await lookAt(body, { query: 'x(' }, status);
    expect(more).toEqual([]);
    expect(only?.reading).toEqual({ is: 'unknown', reason: `it refuses the expression: ${body.error}` });
  });

  test('a scalar is one nameless series', async () => {
    const body = { status: 'success', data: { resultType: 'scalar', result: [1795186971.194, '7'] } };
    expect(await lookAt(body, { query: '7', above: { critical: 5 } })).toMatchObject([
      { resource: '7', reading: { value: 7 } },
    ]);
  });
});

describe('what is no number', () => {
  test.each(['NaN', '+Inf', '-Inf'])('%s is unknown where there are thresholds', async (value) => {
    const found = await lookAt(vector([{ a: '1' }, value]), { query: 'x', above: { warning: 1 } });
    expect(found).toMatchObject([{ resource: 'a=1', reading: { is: 'unknown' } }]);
  });

  test('an alert expression that gives NaN is bad all the same', async () => {
    const found = await lookAt(vector([{ a: '1' }, 'NaN']), {
      query: 'x != 1',
      summary: '{{ $labels.a }}: {{ $value }}',
    });
    expect(found).toMatchObject([{ summary: '1: NaN', reading: { is: 'state', ok: false, severity: 'warning' } }]);
  });
});

describe('an empty result', () => {
  const empty = vector();

  test.each([
    ['with thresholds', { query: 'x', above: { warning: 1 } }, 'unknown'],
    ['of an alert on a metric that nothing exports', { query: 'container_restart_count > 3' }, 'unknown'],
    ['said to be well', { query: 'x', above: { warning: 1 }, absent: 'ok' }, 'ok'],
    ['said to be bad', { query: 'x > 1', absent: 'problem' }, 'bad'],
  ])('%s', async (_what, options, expected) => {
    const [only] = await lookAt(empty, options);
    const { reading } = only ?? {};
    expect(reading?.is === 'state' ? (reading.ok ? 'ok' : 'bad') : reading?.is).toBe(expected);
  });

  test('names the metric that is missing', async () => {
    const [only] = await lookAt(empty, { query: 'rate(container_restart_count[5m]) > 3' });
    expect(only?.summary).toContain('nothing exports container_restart_count');
  });
});

test('of two series with one name the worst counts, and too few are a problem', async () => {
  const body = vector([{ host: 'a', disk: 'x' }, '20'], [{ host: 'a', disk: 'y' }, '5'], [{ host: 'b' }, '50']);
  const found = await lookAt(body, {
    query: 'x',
    below: { warning: 10 },
    resourceFrom: ['host'],
    carry: ['host'],
    atLeast: 4,
    unit: '%',
  });
  expect(found).toMatchObject([
    { resource: 'a', labels: { host: 'a' }, summary: 'a is at 5 %' },
    { resource: 'b' },
    { condition: 'series-missing', reading: { ok: false }, summary: '3 series of at least 4 are there' },
  ]);
});

test('ten thousand bad series are five hundred, and the rest is told', async () => {
  const many = Array.from({ length: 10_000 }, (_none, index): [object, string] => [
    { i: String(index) },
    String(index),
  ]);
  const found = await lookAt(vector(...many), { query: 'x' });
  expect(found).toHaveLength(501);
  expect(found.at(-1)).toMatchObject({ resource: 'x', reading: { is: 'unknown', reason: '9500 more series are bad' } });
  expect(faultsOf(found)).toEqual([]);
});

test('a tenant header and a token are sent, and nothing of the token is told', async () => {
  await using api = await startFakeApi(() => ({ status: 401, body: 'no' }));
  process.env['LARES_TEST_METRICS_TOKEN'] = 'hush-hush';
  const found = await look(api.url, {
    query: 'up',
    token: { env: 'LARES_TEST_METRICS_TOKEN' },
    headers: { 'X-Scope-OrgID': 't1' },
  });
  expect(api.requests[0]?.headers).toMatchObject({ authorization: 'Bearer hush-hush', 'x-scope-orgid': 't1' });
  expect(JSON.stringify(found)).not.toContain('hush');
  expect(found).toMatchObject([{ reading: { is: 'unknown' } }]);
});

const programs = ['prometheus', 'prometheus-blackbox-exporter', 'victoria-metrics'];

describeWith(programs, 'with the real programs', () => {
  let prometheus: Prometheus;
  let metrics: VictoriaMetrics;
  let blackbox: Awaited<ReturnType<typeof startExporter>>;

  beforeAll(async () => {
    blackbox = await startExporter('blackbox');
    const job = {
      job_name: 'blackbox_http_web',
      metrics_path: '/probe',
      params: { module: ['tcp_connect'], target: [`127.0.0.1:${await freePort()}`] },
      static_configs: [{ targets: [blackbox.address] }],
    };
    [prometheus, metrics] = await Promise.all([
      startPrometheus({ config: { scrape_configs: [job] } }),
      startVictoriaMetrics(),
    ]);
    await metrics.write('cpu_busy{instance="a"} 93', 'cpu_busy{instance="b"} 12');
    await until(async () => (await prometheus.query('probe_success')).length > 0, 'the first probe');
  });
  afterAll(async () => {
    await closeHttpAgents();
    await Promise.all([prometheus, metrics, blackbox].map((part) => part[Symbol.asyncDispose]()));
  });

  test('a target behind the blackbox exporter is down while the exporter is up', async () => {
    const rule = { query: 'probe_success{job=~"blackbox_http.*"} < 1', anySeries: 'critical' };
    // A probe that took longer than a second on a busy machine gives no value, until the next one does.
    await expect
      .poll(() => look(prometheus.url, rule), { timeout: 15_000 })
      .toMatchObject([{ reading: { ok: false, severity: 'critical' } }]);
    await expect
      .poll(() => look(prometheus.url, { query: 'up < 1' }), { timeout: 15_000 })
      .toMatchObject([{ summary: 'nothing is bad', reading: { ok: true } }]);
  });

  test.each([() => prometheus.url, () => metrics.url])(
    'what nothing exports is unknown, and a wrong expression too',
    async (url) => {
      const [missing] = await look(url(), { query: 'container_restart_count > 3' });
      expect(missing?.summary).toContain('nothing exports container_restart_count');
      const [job] = await look(url(), { query: 'probe_success{job="nowhere"} < 1' });
      expect(job?.reading.is).toBe('unknown');
      const [wrong] = await look(url(), { query: 'sum(' });
      expect(wrong?.summary).toContain('it refuses the expression');
    },
  );

  test('fresh values of VictoriaMetrics have levels, and a long expression is asked as a form', async () => {
    await until(async () => (await metrics.query('cpu_busy')).length === 2, 'the values');
    const long = `cpu_busy ${'# a long remark\n'.repeat(200)}`;
    for (const query of ['cpu_busy', long]) {
      expect(await look(metrics.url, { query, above: { warning: 85 }, unit: '%' })).toMatchObject([
        { resource: 'a', summary: 'a is at 93 %', reading: { value: 93 } },
        { resource: 'b', reading: { value: 12 } },
      ]);
    }
  });

  test('the evidence is the course of what is compared, with its extremes', async () => {
    const options = check.options.parse({ url: prometheus.url, query: 'probe_success < 1' });
    const [observation] = await check.observe(options, checkContext());
    if (observation === undefined) throw new Error('no observation');
    const evidence = await check.evidence.gather(options, checkContext(), observation);
    expect(evidence.map(({ title }) => title)).toEqual(['Query', 'Last hour of probe_success']);
    expect(evidence[1]?.lines[2]).toMatch(/^least 0 at \d\d:\d\dZ, most 0 at .*, last 0 at/);
  });
});
