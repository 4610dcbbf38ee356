import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type FakeGrafana, grafanaToken, startFakeGrafana } from '../../../test/parts/fake-grafana.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './grafana.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}`, token: { env: 'LARES_TEST_GRAFANA' } }));
afterEach(closeHttpAgents);

process.env['LARES_TEST_GRAFANA'] = grafanaToken;
process.env['LARES_TEST_GRAFANA_OLD'] = 'glsa_expired';
const token = { env: 'LARES_TEST_GRAFANA' };

function look({ url }: { url: string }, options: object = {}): Promise<Observation[]> {
  return check.observe(check.options.parse({ url, ...options }), checkContext());
}

async function lookAt(prepare: (grafana: FakeGrafana) => void, options: object): Promise<Observation[]> {
  await using grafana = await startFakeGrafana();
  prepare(grafana);
  const found = await look(grafana, options);
  expect(faultsOf(found)).toEqual([]);
  return found;
}

const readings = (found: readonly Observation[]): Record<string, string> =>
  Object.fromEntries(
    found.map(({ condition, resource, reading }) => [
      `${condition} ${resource}`,
      reading.is === 'state' ? (reading.ok ? 'ok' : reading.severity) : reading.is,
    ]),
  );

describe('without a token', () => {
  test('a healthy one is well', async () => {
    expect(readings(await lookAt(() => undefined, {}))).toEqual({
      'grafana-down Grafana': 'ok',
      'grafana-database-failing Grafana': 'ok',
    });
  });

  test('a failing database is critical, and Grafana itself is not down', async () => {
    expect(readings(await lookAt((grafana) => (grafana.isDatabaseFailing = true), {}))).toEqual({
      'grafana-down Grafana': 'ok',
      'grafana-database-failing Grafana': 'critical',
    });
  });

  test.each([
    ['server-error-html', 'critical'],
    ['reset', 'critical'],
    ['wrong-content-type', 'unknown'],
    ['not-the-shape', 'unknown'],
    ['forbidden', 'unknown'],
  ] as const)('%s is %s', async (fault, expected) => {
    expect(readings(await lookAt((grafana) => (grafana.fault = fault), {}))).toEqual({
      'grafana-down Grafana': expected,
    });
  });
});

describe('with a token', () => {
  test('one that is not accepted leaves the rules unknown', async () => {
    const found = await lookAt(() => undefined, { token: { env: 'LARES_TEST_GRAFANA_OLD' } });
    expect(readings(found)['grafana-rules Grafana']).toBe('unknown');
    expect(JSON.stringify(found)).not.toContain('glsa');
  });

  test('rules without data or with an error are unknown, never critical', async () => {
    const found = await lookAt(
      (grafana) => {
        grafana.rules = [
          { name: 'Disk', health: 'ok' },
          { name: 'Restarts', health: 'nodata' },
          { name: 'Broken', health: 'error', lastError: 'failed to execute query A' },
        ];
      },
      { token },
    );
    expect(readings(found)).toMatchObject({
      'grafana-rule Alerts/Disk': 'ok',
      'grafana-rule Alerts/Restarts': 'unknown',
      'grafana-rule Alerts/Broken': 'unknown',
      'grafana-rules Grafana': 'ok',
    });
  });

  test('firing alerts are findings by their own names; what has no data is unknown', async () => {
    const found = await lookAt(
      (grafana) => {
        grafana.rules = [
          {
            name: 'High CPU',
            state: 'firing',
            alerts: [
              {
                labels: { alertname: 'High CPU', instance: 'a', severity: 'critical', grafana_folder: 'Alerts' },
                state: 'Alerting',
              },
              { labels: { alertname: 'High CPU', instance: 'b' }, state: 'Normal' },
              {
                labels: { alertname: 'DatasourceNoData', rulename: 'High CPU', datasource_uid: 'x' },
                state: 'Alerting (NoData)',
              },
            ],
          },
        ];
      },
      { token, rules: false, alerts: true },
    );
    const alerts = found.filter(({ alertname }) => alertname !== undefined);
    expect(alerts).toMatchObject([
      { condition: 'high-cpu', resource: 'a', alertname: 'High CPU', reading: { is: 'state', severity: 'critical' } },
      { condition: 'high-cpu', resource: 'High CPU', reading: { is: 'unknown' } },
    ]);
  });

  test('data sources are asked; one whose plug-in cannot tell is passed over', async () => {
    const found = await lookAt(
      (grafana) => {
        grafana.datasources = [
          { uid: 'p', name: 'Prometheus', type: 'prometheus', health: { status: 'OK', message: '' } },
          { uid: 'l', name: 'Loki', type: 'loki', health: { status: 'ERROR', message: 'connection refused' } },
          { uid: 't', name: 'TestData', type: 'testdata' },
        ];
      },
      { token, rules: false, datasources: true },
    );
    expect(readings(found)).toEqual({
      'grafana-down Grafana': 'ok',
      'grafana-database-failing Grafana': 'ok',
      'datasource-down Prometheus': 'ok',
      'datasource-down Loki': 'warning',
      'datasource-down Grafana': 'ok',
    });
  });

  test('the evidence names the rules that cannot be evaluated', async () => {
    await using grafana = await startFakeGrafana();
    grafana.rules = [{ name: 'Broken', health: 'error', lastError: 'no such host' }];
    const options = check.options.parse({ url: grafana.url, token });
    const [observation] = await check.observe(options, checkContext());
    const evidence = await check.evidence.gather(options, checkContext(), observation as Observation);
    expect(evidence.map(({ lines }) => lines)).toEqual([
      ['version 13.0.1', 'database ok'],
      ['error Broken no such host'],
    ]);
  });
});
