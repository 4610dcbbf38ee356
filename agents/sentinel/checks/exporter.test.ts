import * as fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { exposedMetrics } from '#agents/sentinel/probes/exposition.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { startFakeApi } from '../../../test/parts/fake-api.ts';
import { freePort } from '../../../test/parts/free-port.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { startExporter } from '../../../test/parts/prometheus.ts';
import { check } from './exporter.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}`, metrics: [{ metric: 'x', badValue: 0 }] }));
afterEach(closeHttpAgents);

async function look(url: string, options: object): Promise<Observation[]> {
  const found = await check.observe(check.options.parse({ url, ...options }), checkContext());
  expect(faultsOf(found)).toEqual([]);
  return found;
}

async function lookAt(page: string, options: object): Promise<Observation[]> {
  await using api = await startFakeApi(() => ({ body: page }));
  return await look(api.url, options);
}

describe('the text format', () => {
  test('values, labels with quotes and what is no metric', () => {
    const page = [
      '# HELP a_total x',
      'a_total{path="C:\\\\x",say="\\"hi\\"\\n}"} 1.5e+03 1795186971194',
      'a_total 2 # {trace="x"} 1',
      'a_total{broken="} 3',
      'b +Inf',
      'c NaN',
    ].join('\n');
    expect(exposedMetrics(page, new Set(['a_total', 'b']))).toEqual([
      { name: 'a_total', labels: { path: 'C:\\x', say: '"hi"\n}' }, value: 1_500 },
      { name: 'a_total', labels: {}, value: 2 },
      { name: 'b', labels: {}, value: Number.POSITIVE_INFINITY },
    ]);
  });

  test('any page is metrics or none', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (labels, value) => {
        expect(exposedMetrics(`x{${labels}} ${value}\n`, new Set(['x'])).length).toBeLessThanOrEqual(2);
      }),
    );
  });
});

describe('a metric', () => {
  const page = 'up_to_date{name="a"} 0\nup_to_date{name="b"} 1\nbackup_time_seconds{name="a"} 1000000000\n';

  test('with a bad value is a trouble of its series only', async () => {
    const found = await lookAt(page, {
      metrics: [{ metric: 'up_to_date', badValue: 0, condition: 'stale', anySeries: 'critical' }],
    });
    expect(found.filter(({ condition }) => condition === 'stale')).toMatchObject([
      { resource: 'a', labels: { name: 'a' }, reading: { ok: false, severity: 'critical' } },
    ]);
  });

  test('is looked at where its labels fit, and its age is judged', async () => {
    const metrics = [
      { metric: 'up_to_date', where: { name: 'b' }, badValue: 0, condition: 'stale' },
      { metric: 'backup_time_seconds', as: 'age', above: { warning: 93_600 }, unit: 's', condition: 'backup-old' },
    ];
    const found = await lookAt(page, { metrics });
    expect(found.find(({ condition }) => condition === 'stale')?.reading).toMatchObject({ ok: true });
    const { reading } = found.find(({ condition }) => condition === 'backup-old') ?? {};
    expect(reading?.is === 'level' && reading.value > 700_000_000).toBe(true);
  });

  test('that counts is judged by what it grew within five minutes', async () => {
    let kills = 7;
    let now = 1_000_000;
    await using api = await startFakeApi(() => ({ body: `oom_kill{host="a1"} ${kills}\n` }));
    const context = checkContext({ clock: { ...checkContext().clock, now: () => now } });
    const metrics = [{ metric: 'oom_kill', where: { host: 'a*' }, as: 'growth', above: { warning: 1 } }];
    const options = check.options.parse({ url: api.url, metrics });
    const growth = async (): Promise<unknown> => {
      const reading = (await check.observe(options, context)).at(-1)?.reading;
      return reading?.is === 'level' ? reading.value : reading;
    };
    expect(await growth()).toBe(0);
    kills = 9;
    now += 60_000;
    expect(await growth()).toBe(2);
    now += 60_000;
    expect(await growth()).toBe(2);
    kills = 1;
    expect(await growth()).toBe(3);
    now += 300_000;
    expect(await growth()).toBe(0);
  });

  test('that is not there is unknown', async () => {
    const found = await lookAt(page, { metrics: [{ metric: 'nowhere', badValue: 0 }] });
    expect(found.find(({ resource }) => resource.startsWith('nowhere'))?.reading).toEqual({
      is: 'unknown',
      reason: 'its page has no nowhere',
    });
  });

  test.each([{}, { badValue: 0, above: { warning: 1 } }])('%j says not plainly what is bad', (limits) => {
    expect(check.options.safeParse({ url: 'http://x', metrics: [{ metric: 'x', ...limits }] }).success).toBe(false);
  });
});

test.each(['<html>Welcome</html>', ''])('the page %j is no exporter', async (page) => {
  expect(await lookAt(page, {})).toMatchObject([{ condition: 'exporter-down', reading: { is: 'unknown' } }]);
});

test('another exporter than the one that is wanted is unknown', async () => {
  expect(await lookAt('windows_cs_hostname 1\n', { expectMetric: 'node_uname_info' })).toMatchObject([
    { reading: { is: 'unknown', reason: 'its page has no metric node_uname_info: another program answers there' } },
  ]);
});

test('one that is silent is a warning, critical after ten minutes, and begins anew when it answered', async () => {
  let now = Date.parse('2026-11-20T12:00:00Z');
  let body = 'up 1\n';
  let status = 500;
  await using api = await startFakeApi(() => ({ status, body }));
  const base = checkContext();
  const context = { ...base, clock: { ...base.clock, now: () => now } };
  const severity = async (afterMs: number): Promise<unknown> => {
    now += afterMs;
    const [health] = await check.observe(check.options.parse({ url: api.url }), context);
    return health?.reading.is === 'state' && (health.reading.ok || health.reading.severity);
  };
  expect(await severity(0)).toBe('warning');
  expect(await severity(9 * 60_000)).toBe('warning');
  expect(await severity(60_000)).toBe('critical');
  status = 200;
  expect(await severity(60_000)).toBe(true);
  status = 500;
  expect(await severity(60_000)).toBe('warning');
  [status, body] = [200, '<html>'];
  expect(await severity(0)).toBe(false);
});

const programs = ['prometheus-node-exporter', 'prometheus-blackbox-exporter', 'prometheus-snmp-exporter'];

describeWith(programs, 'with the real exporters', () => {
  test('node_exporter tells its disks and whether its collectors work', async () => {
    await using node = await startExporter('node');
    const found = await look(node.url, {
      expectMetric: 'node_uname_info',
      metrics: [
        { metric: 'node_scrape_collector_success', badValue: 0, condition: 'collector-failing' },
        { metric: 'node_filesystem_avail_bytes', below: { critical: 0 }, condition: 'disk-full', unit: 'B' },
      ],
    });
    expect(found[0]).toMatchObject({ condition: 'exporter-down', reading: { ok: true } });
    expect(found.filter(({ condition }) => condition === 'disk-full').length).toBeGreaterThan(0);
  });

  test('blackbox_exporter answers well for a target that is down, and its metric tells', async () => {
    await using blackbox = await startExporter('blackbox');
    const dead = `127.0.0.1:${await freePort()}`;
    const metrics = [{ metric: 'probe_success', badValue: 0, condition: 'probe-failed', anySeries: 'critical' }];
    const probe = (parameters: object): Promise<Observation[]> =>
      look(blackbox.url, { path: '/probe', parameters, metrics });
    expect(await probe({ module: 'tcp_connect', target: dead })).toMatchObject([
      { condition: 'exporter-down', reading: { ok: true } },
      { condition: 'probe-failed', reading: { ok: false, severity: 'critical' } },
    ]);
    expect(await probe({ module: 'nonsense', target: dead })).toMatchObject([
      { condition: 'exporter-down', reading: { is: 'unknown', reason: expect.stringContaining('Unknown module') } },
    ]);
  });

  test('snmp_exporter answers', async () => {
    await using snmp = await startExporter('snmp');
    expect(await look(snmp.url, { expectMetric: 'go_info' })).toMatchObject([{ reading: { ok: true } }]);
  });
});
