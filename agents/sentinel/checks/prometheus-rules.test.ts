import { rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { fold } from '#agents/sentinel/fold.ts';
import { bindShipped } from '#agents/sentinel/registry.ts';
import { isFiring } from '#agents/sentinel/state.ts';
import type { Watch } from '#agents/sentinel/tracks.ts';
import { ConfigSchema } from '#config/schema.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { Folder } from '../../../test/parts/command.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { type FakeApi, startFakeApi } from '../../../test/parts/fake-api.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { type Prometheus, startPrometheus } from '../../../test/parts/prometheus.ts';
import { until } from '../../../test/parts/until.ts';
import { startVictoriaMetrics, type VictoriaMetrics } from '../../../test/parts/victoria-metrics.ts';
import { check } from './prometheus-rules.ts';

const homelab = 'shipped:homelab';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}`, files: [homelab] }));

const folder = new Folder();
afterAll(async () => {
  await closeHttpAgents();
  folder[Symbol.dispose]();
});

let written = 0;

function write(name: string, content: unknown): void {
  const path = join(folder.path, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  // Two writings within one tick of the file system's clock look like one.
  utimesSync(path, ++written, written);
}

function group(...rules: object[]): object {
  return { groups: [{ name: 'g', rules }] };
}

/** One check over its looks. */
function rules(
  url: string,
  options: object,
): { look(): Promise<Observation[]>; context: CheckContext } & { options: ReturnType<typeof check.options.parse> } {
  const context = checkContext({ baseFolder: folder.path });
  const parsed = check.options.parse({ url, ...options });
  return { context, options: parsed, look: () => check.observe(parsed, context) };
}

const bad = (found: readonly Observation[]): Observation[] =>
  found.filter(({ reading }) => reading.is === 'state' && !reading.ok);
const unknown = (found: readonly Observation[]): Observation[] =>
  found.filter(({ reading }) => reading.is === 'unknown');

/** Answers each expression with its series, and says which metrics there are. */
function answering(series: Record<string, Record<string, string>[]>): Promise<FakeApi> {
  return startFakeApi(({ query }) => {
    const asked = query.get('query') ?? '';
    const result = (series[asked] ?? []).map((metric) => ({ metric, value: [1795186971.194, '7.5'] }));
    const presence = [{ metric: { __name__: 'up' }, value: [1795186971.194, '1'] }];
    const shown = asked.startsWith('count by (__name__)') ? presence : result;
    return { body: { status: 'success', data: { resultType: 'vector', result: shown } } };
  });
}

describe('an alert', () => {
  test('has the labels of its rule over those of the series, its own name, times, severity and words', async () => {
    write(
      'a.json',
      group({
        alert: 'Ct Down',
        expr: 'up < 1',
        for: '3m',
        keep_firing_for: '10m',
        labels: { severity: 'page', team: 'lan {{ $labels.instance }}', job: 'mine' },
        annotations: { summary: '{{ $labels.instance }} is {{ $value | humanize }}', description: 'no' },
      }),
    );
    await using api = await answering({ 'up < 1': [{ __name__: 'up', instance: 'ct1', job: 'node' }] });
    const found = await rules(api.url, { files: ['a.json'] }).look();
    expect(bad(found)).toEqual([
      {
        condition: 'ct-down',
        resource: 'ct1',
        alertname: 'Ct Down',
        summary: 'ct1 is 7.5',
        labels: { instance: 'ct1', job: 'mine', severity: 'page', team: 'lan ct1' },
        holdMs: 180_000,
        keepFiringMs: 600_000,
        reading: { is: 'state', ok: false, severity: 'critical' },
      },
    ]);
    expect(faultsOf(found)).toEqual([]);
  });

  test('without a `for` fires at once, and without words is named by its series', async () => {
    write('a.json', group({ alert: 'X', expr: 'up' }));
    await using api = await answering({ up: [{ instance: 'a' }, { instance: 'b' }] });
    expect(bad(await rules(api.url, { files: ['a.json'] }).look())).toMatchObject([
      { holdMs: 0, summary: 'X: a', reading: { severity: 'warning' } },
      { holdMs: 0, summary: 'X: b' },
    ]);
  });

  test('a text that asks the server is shown as it is written', async () => {
    const text = '{{ query "up" | first | value }} of {{ $labels.instance }}';
    write('a.json', group({ alert: 'X', expr: 'up', annotations: { description: text } }));
    await using api = await answering({ up: [{ instance: 'a' }] });
    expect(bad(await rules(api.url, { files: ['a.json'] }).look())[0]?.summary).toBe(text);
  });
});

describe('what cannot be evaluated', () => {
  test('a rule on a metric that nothing exports is told, and is not well', async () => {
    write('a.json', group({ alert: 'Restarts', expr: 'container_restart_count > 3' }, { alert: 'Up', expr: 'up < 1' }));
    await using api = await answering({});
    const found = await rules(api.url, { files: ['a.json'] }).look();
    expect(bad(found)).toMatchObject([
      {
        condition: 'rules-blind',
        summary: '1 rule can never fire because nothing exports container_restart_count: Restarts',
        reading: { severity: 'info' },
      },
    ]);
    expect(found.map(({ resource }) => resource)).not.toContain('rule Restarts');
    expect(found.map(({ resource }) => resource)).toContain('rule Up');
  });

  test('a file that breaks leaves its old rules in force, and is told with its line', async () => {
    write('a.json', group({ alert: 'X', expr: 'up' }));
    await using api = await answering({ up: [{ instance: 'a' }] });
    const checked = rules(api.url, { files: ['a.json'] });
    await checked.look();
    write('a.json', 'groups:\n- name: g\n  rules: [\n');
    const broken = await checked.look();
    expect(bad(broken)).toMatchObject([{ condition: 'x' }]);
    expect(unknown(broken)).toMatchObject([{ condition: 'rule-file', summary: expect.stringMatching(/a\.json:\d+"/) }]);
    write('a.json', group({ alert: 'Y', expr: 'up' }));
    expect(bad(await checked.look())).toMatchObject([{ condition: 'y' }]);
    rmSync(join(folder.path, 'a.json'));
    expect(unknown(await checked.look())).toMatchObject([{ summary: expect.stringContaining('does not exist') }]);
  });

  test('a file that never could be read leaves everything unknown', async () => {
    await using api = await answering({});
    const found = await rules(api.url, { files: ['nowhere.yaml'] }).look();
    expect(found.every(({ reading }) => reading.is === 'unknown')).toBe(true);
    expect(faultsOf(found)).toEqual([]);
    expect(found.map(({ resource }) => resource)).toContain('rules');
  });

  test('a server that is gone is one unknown and one question, not one for each rule', async () => {
    await using api = await startFakeApi(() => ({ status: 503, body: 'starting' }));
    const found = await rules(api.url, { files: [homelab] }).look();
    expect(api.requests).toHaveLength(1);
    expect(unknown(found)).toMatchObject([{ condition: 'rule-evaluation', resource: 'rules' }]);
  });

  test('a thousand rules that take too long say so', async () => {
    write(
      'many.json',
      group(...Array.from({ length: 1_000 }, (_none, index) => ({ alert: `R${index}`, expr: `up > ${index}` }))),
    );
    await using api = await startFakeApi(() => ({
      delayMs: 30,
      body: { status: 'success', data: { resultType: 'vector', result: [] } },
    }));
    const checked = rules(api.url, { files: ['many.json'] });
    const found = await check.observe(checked.options, { ...checked.context, timeoutMs: 2_000 });
    expect(unknown(found)).toMatchObject([{ resource: 'rules', summary: expect.stringContaining('raise "timeout"') }]);
  });
});

test('a group with a long interval is not evaluated at each look, and what it found stays', async () => {
  write('a.json', { groups: [{ name: 'g', interval: '1h', rules: [{ alert: 'X', expr: 'up' }] }] });
  await using api = await answering({ up: [{ instance: 'a' }] });
  const checked = rules(api.url, { files: ['a.json'] });
  const first = await checked.look();
  const asked = api.requests.length;
  expect(await checked.look()).toEqual(first);
  expect(api.requests).toHaveLength(asked);
});

test('what fires goes on firing while the server is silent or its rule is refused, and ends with its series', async () => {
  write('a.json', group({ alert: 'X', expr: 'up' }, { alert: 'Y', expr: 'other' }));
  let series: object[] = [{ metric: { instance: 'a' }, value: [1, '1'] }];
  let refused = '';
  await using api = await startFakeApi(({ query }) => {
    if (query.get('query') === refused)
      return { status: 400, body: { status: 'error', error: 'no', errorType: 'bad_data' } };
    return {
      body: { status: 'success', data: { resultType: 'vector', result: query.get('query') === 'up' ? series : [] } },
    };
  });
  const config = ConfigSchema.parse({
    defaultChecks: false,
    checks: [{ id: 'rules', kind: 'prometheus-rules', url: api.url, files: [join(folder.path, 'a.json')] }],
  });
  const [bound] = (await bindShipped(config)).checks.filter(({ id }) => id === 'rules');
  if (bound === undefined) throw new Error('no check');
  const watch: Watch = { check: bound, tracks: new Map() };
  const context = checkContext();
  let at = 0;
  const firing = async (): Promise<string[]> => {
    at += 60_000;
    fold(watch, { at, tookMs: 1, observations: await bound.definition.observe(bound.options, context) });
    return [...watch.tracks.values()].flatMap(({ sort, condition, state }) =>
      sort === 'problem' && condition !== 'rules-blind' && isFiring(state) ? [condition] : [],
    );
  };
  expect(await firing()).toEqual(['x']);
  api.fault = 'reset';
  expect([await firing(), await firing(), await firing()]).toEqual([['x'], ['x'], ['x']]);
  api.fault = 'none';
  refused = 'up';
  expect([await firing(), await firing(), await firing()]).toEqual([['x'], ['x'], ['x']]);
  refused = 'other';
  series = [];
  expect([await firing(), await firing(), await firing()].at(-1)).toEqual([]);
});

test('the watchdog, which fires while all is well, is left out', async () => {
  write('a.json', group({ alert: 'Watchdog', expr: 'vector(1)' }, { alert: 'X', expr: 'up' }));
  await using api = await answering({ 'vector(1)': [{}], up: [{}] });
  expect(bad(await rules(api.url, { files: ['a.json'] }).look())).toMatchObject([{ condition: 'x', resource: 'X' }]);
});

describeWith(['prometheus', 'victoria-metrics'], 'with the real programs', () => {
  let prometheus: Prometheus;
  let metrics: VictoriaMetrics;

  beforeAll(async () => {
    const labelled = (expression: string, name: string, value: string): string =>
      `label_replace(${expression}, "${name}", "${value}", "", "")`;
    const probe = labelled(labelled('vector(0)', 'job', 'blackbox_http_web'), 'instance', 'https://a');
    const recorded = { groups: [{ name: 'r', rules: [{ record: 'probe_success', expr: probe }] }] };
    [prometheus, metrics] = await Promise.all([startPrometheus({ rules: recorded }), startVictoriaMetrics()]);
    await metrics.write('probe_success{job="blackbox_http_web",instance="https://a"} 0');
    for (const part of [prometheus, metrics]) {
      await until(async () => (await part.query('probe_success')).length > 0, 'the probe');
    }
  });
  afterAll(() => Promise.all([prometheus[Symbol.asyncDispose](), metrics[Symbol.asyncDispose]()]));

  test.each([() => prometheus.url, () => metrics.url])(
    'the rules for a homelab find the service that is down',
    async (url) => {
      const checked = rules(url(), { files: [homelab] });
      const found = await checked.look();
      expect(faultsOf(found)).toEqual([]);
      expect(bad(found)).toMatchObject([
        {
          condition: 'service-down-http',
          alertname: 'Service Down (HTTP)',
          resource: 'https://a',
          summary: 'https://a does not answer over HTTP',
          holdMs: 120_000,
          reading: { severity: 'critical' },
        },
        { condition: 'rules-blind', summary: expect.stringContaining('node_memory_MemAvailable_bytes') },
      ]);
      const [alert] = bad(found);
      if (alert === undefined) throw new Error('no alert');
      const [rule, course] = await check.evidence.gather(checked.options, checked.context, alert);
      expect(rule?.lines).toEqual([
        'homelab.rules.yaml:7, group homelab, for 2m',
        'probe_success{job=~"blackbox_http.*"} < 1',
        'summary: {{ $labels.instance }} does not answer over HTTP',
      ]);
      expect(course?.title).toBe('Last hour of probe_success{job=~"blackbox_http.*"}');
    },
  );

  test.each([() => prometheus.url, () => metrics.url])('one wrong rule is unknown, the others go on', async (url) => {
    write('b.json', group({ alert: 'Wrong', expr: 'sum(' }, { alert: 'Right', expr: 'probe_success < 1' }));
    const found = await rules(url(), { files: ['b.json'] }).look();
    expect(unknown(found)).toMatchObject([
      { resource: 'rule Wrong (b.json:1)', summary: expect.stringContaining('it refuses the expression') },
    ]);
    expect(bad(found)).toMatchObject([{ condition: 'right' }]);
  });
});
