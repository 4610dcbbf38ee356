import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { type FakeApi, startFakeApi } from '../../../test/parts/fake-api.ts';
import { freePort } from '../../../test/parts/free-port.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { type Prometheus, startPrometheus } from '../../../test/parts/prometheus.ts';
import { until } from '../../../test/parts/until.ts';
import { startVictoriaMetrics, startVmalert } from '../../../test/parts/victoria-metrics.ts';
import { check } from './prometheus-targets.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));
afterEach(closeHttpAgents);

function look(url: string, options: object = {}, context: CheckContext = checkContext()): Promise<Observation[]> {
  return check.observe(check.options.parse({ url, ...options }), context);
}

const bad = (found: readonly Observation[]): string[] =>
  found.flatMap(({ condition, reading }) => (reading.is === 'state' && !reading.ok ? [condition] : []));

/** A Prometheus that says these lines of itself and has these targets. */
function saying(page: () => string, targets: object[] = [], yaml = ''): Promise<FakeApi> {
  const bodies: Record<string, () => unknown> = {
    '/metrics': page,
    '/-/ready': () => 'Prometheus Server is Ready.\n',
    '/health': () => 'OK',
    '/api/v1/targets': () => ({ status: 'success', data: { activeTargets: targets } }),
    '/api/v1/alertmanagers': () => ({ status: 'success', data: { activeAlertmanagers: [] } }),
    '/api/v1/status/config': () => ({ status: 'success', data: { yaml } }),
  };
  return startFakeApi(({ path }) => {
    const body = bodies[path];
    return body === undefined ? undefined : { body: body() };
  });
}

const target = (more: object): object => ({
  labels: { job: 'node', instance: 'a:9100' },
  scrapePool: 'node',
  scrapeUrl: 'http://a:9100/metrics',
  lastError: '',
  lastScrape: '2026-11-20T21:40:58Z',
  ...more,
});

describe('targets', () => {
  test.each<[string, object, Observation['reading']['is'] | 'bad']>([
    ['up', { health: 'up' }, 'state'],
    ['down', { health: 'down', lastError: 'connection refused' }, 'bad'],
    ['not scraped yet, by Prometheus', { health: 'unknown', lastScrape: '0001-01-01T00:00:00Z' }, 'unknown'],
    ['not scraped yet, by VictoriaMetrics', { health: 'down', lastScrape: '1970-01-01T00:00:00Z' }, 'unknown'],
  ])('%s', async (_what, more, expected) => {
    await using api = await saying(() => 'prometheus_config_last_reload_successful 1\n', [target(more)]);
    const [found] = (await look(api.url)).filter(({ condition }) => condition === 'target-down');
    expect(found?.labels).toEqual({ job: 'node', instance: 'a:9100' });
    const { reading } = found ?? {};
    expect(reading?.is === 'state' && !reading.ok ? 'bad' : reading?.is).toBe(expected);
  });

  test('two paths of one machine are two targets; an ignored job is none; too few are told', async () => {
    const paths = ['/a', '/b'].map((path) => target({ health: 'down', scrapeUrl: `http://a${path}` }));
    const ignored = target({ health: 'down', labels: { job: 'on-demand', instance: 'c' } });
    await using api = await saying(() => 'prometheus_tsdb_head_series 5\n', [...paths, ignored]);
    const found = await look(api.url, { ignore: ['on-*'], atLeast: 4, seriesAbove: 4 });
    expect(found.filter(({ condition }) => condition === 'target-down').map(({ resource }) => resource)).toEqual([
      'node a:9100 http://a/a',
      'node a:9100 http://a/b',
    ]);
    expect(bad(found)).toContain('targets-missing');
    expect(found.find(({ condition }) => condition === 'series-many')?.reading).toMatchObject({
      value: 5,
      warning: { trigger: 4 },
    });
  });

  test('alerting that is configured and has nobody to tell is a problem, no alerting is none', async () => {
    for (const [yaml, expected] of [
      ['global:\n  x: 1\nalerting:\n  relabel: 1\n  alertmanagers:\n  - scheme: http\nscrape_configs: []\n', true],
      ['global:\n  x: 1\nscrape_configs: []\n', false],
    ] as const) {
      await using api = await saying(() => 'prometheus_tsdb_head_series 5\n', [target({ health: 'up' })], yaml);
      expect(bad(await look(api.url)).includes('alertmanager-missing')).toBe(expected);
    }
  });
});

describe('what it says of itself', () => {
  test.each([
    ['prometheus', 'prometheus_config_last_reload_successful 0', 'config-reload-failed'],
    ['victoria-metrics', 'vm_storage_is_read_only{path="/var/lib/vm"} 1', 'metrics-read-only'],
    ['vmalert', 'vmalert_config_last_reload_successful 0', 'config-reload-failed'],
  ])('%s: %s', async (product, page, condition) => {
    await using api = await saying(() => `# HELP x\n${page}\n`, [target({ health: 'up' })]);
    expect(bad(await look(api.url, { product }))).toEqual([condition]);
  });

  test('a counter is bad while it grows and five minutes after, and not because it once grew', async () => {
    let dropped = 7;
    let now = 1_000_000;
    await using api = await saying(
      () => `prometheus_notifications_dropped_total ${dropped}\n`,
      [target({ health: 'up' })],
    );
    const clock = { ...checkContext().clock, now: () => now };
    const context = checkContext({ clock });
    expect(bad(await look(api.url, {}, context))).toEqual([]);
    dropped = 8;
    now += 60_000;
    expect(bad(await look(api.url, {}, context))).toEqual(['alerts-not-sent']);
    now += 240_000;
    expect(bad(await look(api.url, {}, context))).toEqual(['alerts-not-sent']);
    now += 120_000;
    expect(bad(await look(api.url, {}, context))).toEqual([]);
    // A restart begins at 0 again.
    dropped = 0;
    expect(bad(await look(api.url, {}, context))).toEqual([]);
  });

  test('the disk of VictoriaMetrics has levels by its free GiB', async () => {
    await using api = await saying(() => 'vm_free_disk_space_bytes{path="/var/lib/vm"} 2147483648\n');
    const found = await look(api.url, { product: 'victoria-metrics' });
    expect(found.find(({ condition }) => condition === 'metrics-disk-full')).toMatchObject({
      resource: '/var/lib/vm',
      summary: 'the disk of VictoriaMetrics has 2.0 GiB left',
      reading: { value: 2, bad: 'below', warning: { trigger: 5 }, critical: { trigger: 1 } },
    });
  });

  test('a page of another product is unknown', async () => {
    await using api = await saying(() => '<html>\n', [target({ health: 'up' })]);
    expect((await look(api.url)).find(({ condition }) => condition === 'self-metrics')?.reading.is).toBe('unknown');
  });
});

test('while it starts it is down, and what fires goes on firing', async () => {
  await using api = await startFakeApi(() => ({ status: 503, body: 'Service Unavailable' }));
  const found = await look(api.url);
  expect(bad(found)).toEqual(['metrics-down']);
  expect(found).toMatchObject([{ resource: 'Prometheus', hidesRest: true }]);
});

describeWith(['prometheus', 'victoria-metrics', 'vmalert'], 'with the real programs', () => {
  let prometheus: Prometheus;
  let dead: string;

  beforeAll(async () => {
    dead = `127.0.0.1:${await freePort()}`;
    const scrape_configs = [{ job_name: 'dead', static_configs: [{ targets: [dead] }] }];
    const alerting = { alertmanagers: [{ static_configs: [{ targets: [dead] }] }] };
    const rules = { groups: [{ name: 'g', rules: [{ alert: 'A', expr: 'vector(1)' }] }] };
    prometheus = await startPrometheus({ config: { scrape_configs, alerting }, rules });
    await until(async () => (await prometheus.query('up')).length > 0, 'the first scrape');
  });
  afterAll(() => prometheus[Symbol.asyncDispose]());

  test('Prometheus tells its dead target with the reason, alerts that reach nobody and a wrong configuration', async () => {
    const context = checkContext();
    const errors = async (): Promise<number> => {
      const page = await (await fetch(`${prometheus.url}/metrics`)).text();
      return Number(/prometheus_notifications_errors_total\{[^}]*\} (\d+)/.exec(page)?.[1] ?? 0);
    };
    // It learns of its targets and of its Alertmanagers apart: a counter that is not there yet cannot be seen to grow.
    await until(async () => (await errors()) > 0, 'a failed notification');
    const found = await look(prometheus.url, {}, context);
    expect(faultsOf(found)).toEqual([]);
    expect(found.find(({ condition }) => condition === 'target-down')).toMatchObject({
      resource: `dead ${dead}`,
      summary: expect.stringContaining('connection refused'),
      reading: { ok: false },
    });
    const before = await errors();
    await until(async () => (await errors()) > before, 'one more failed notification');
    await prometheus.configure({ config: 'nonsense: true' });
    await prometheus.reload();
    const again = await look(prometheus.url, {}, context);
    expect(bad(again)).toEqual(expect.arrayContaining(['alerts-not-sent', 'config-reload-failed', 'target-down']));
    const down = again.find(({ condition }) => condition === 'target-down');
    if (down === undefined) throw new Error('no target');
    const [evidence] = await check.evidence.gather(check.options.parse({ url: prometheus.url }), context, down);
    expect(evidence?.lines[0]).toMatch(/^down .* connection refused$/);
  });

  test('VictoriaMetrics and vmalert tell of their targets, disk and rules', async () => {
    const scrape = {
      scrape_configs: [{ job_name: 'dead', scrape_interval: '1s', static_configs: [{ targets: [dead] }] }],
    };
    await using metrics = await startVictoriaMetrics({ scrape });
    let found: Observation[] = [];
    await until(async () => {
      found = await look(metrics.url, { product: 'victoria-metrics' });
      return bad(found).includes('target-down');
    }, 'the first scrape');
    expect(found.map(({ condition }) => condition)).toEqual(
      expect.arrayContaining(['metrics-down', 'metrics-read-only', 'metrics-disk-full', 'rows-ignored']),
    );
    await using vmalert = await startVmalert({
      rules: { groups: [{ name: 'g', rules: [{ alert: 'A', expr: 'vector(1)' }] }] },
      datasource: metrics.url,
      notifier: `http://${dead}`,
    });
    const context = checkContext();
    await until(async () => {
      found = await look(vmalert.url, { product: 'vmalert' }, context);
      return bad(found).includes('alerts-not-sent');
    }, 'a failed notification');
    expect(found.map(({ condition }) => condition)).toContain('config-reload-failed');
  });
});
