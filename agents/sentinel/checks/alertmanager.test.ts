import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { type Alertmanager, startAlertmanager, webhookConfig } from '../../../test/parts/alertmanager.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { startFakeApi } from '../../../test/parts/fake-api.ts';
import { freePort } from '../../../test/parts/free-port.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { until } from '../../../test/parts/until.ts';
import { check } from './alertmanager.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}`, alerts: true }));
afterEach(closeHttpAgents);

function look(url: string, options: object = {}, context: CheckContext = checkContext()): Promise<Observation[]> {
  return check.observe(check.options.parse({ url, ...options }), context);
}

const bad = (found: readonly Observation[]): string[] =>
  found.flatMap(({ condition, reading }) => (reading.is === 'state' && !reading.ok ? [condition] : []));

interface Said {
  cluster?: object;
  alerts?: object[];
  page?: string;
}

async function lookAt(
  { cluster = { status: 'disabled', peers: [] }, alerts = [], page = '' }: Said,
  options: object = {},
): Promise<Observation[]> {
  const bodies: Record<string, unknown> = {
    '/-/ready': 'OK',
    '/metrics': `alertmanager_config_last_reload_successful 1\n${page}\n`,
    '/api/v2/status': { cluster, versionInfo: {}, uptime: '', config: { original: '' } },
    '/api/v2/alerts': alerts,
  };
  await using api = await startFakeApi(({ path }) => ({ body: bodies[path] }));
  return await look(api.url, options);
}

describe('golden bodies', () => {
  const alert = {
    annotations: { summary: 'disk is full' },
    endsAt: '2026-11-20T22:00:00.000Z',
    fingerprint: 'c6eadffa33fcdf37',
    receivers: [{ name: 'lares' }],
    startsAt: '2026-11-20T21:00:00.000Z',
    updatedAt: '2026-11-20T21:00:00.000Z',
    labels: { alertname: 'DiskFull', instance: 'a:9100', severity: 'page' },
  };

  test.each([
    ['0.25', { inhibitedBy: [], silencedBy: [], state: 'active' }],
    ['0.33', { inhibitedBy: [], silencedBy: [], mutedBy: [], state: 'active' }],
  ])('an alert of Alertmanager %s is a finding by its own name', async (_version, status) => {
    const found = await lookAt({ alerts: [{ ...alert, status }] }, { alerts: true });
    expect(found).toContainEqual({
      condition: 'disk-full',
      resource: 'a:9100',
      alertname: 'DiskFull',
      summary: 'disk is full',
      labels: alert.labels,
      holdMs: 0,
      foreign: true,
      reading: { is: 'state', ok: false, severity: 'critical' },
    });
    expect(faultsOf(found)).toEqual([]);
  });

  test.each([
    ['silenced', { silencedBy: ['uuid'], inhibitedBy: [], state: 'suppressed' }],
    ['inhibited', { silencedBy: [], inhibitedBy: ['c6'], state: 'suppressed' }],
    ['muted by time', { silencedBy: [], inhibitedBy: [], mutedBy: ['night'], state: 'suppressed' }],
  ])('a %s alert rests', async (_what, status) => {
    const found = await lookAt({ alerts: [{ ...alert, status }] }, { alerts: true });
    expect(found.find(({ condition }) => condition === 'disk-full')?.reading.is).toBe('asleep');
  });

  test('of two alerts with one name the worse counts, and the watchdog is left out', async () => {
    const status = { state: 'active' };
    const warning = { ...alert, labels: { ...alert.labels, severity: 'warning' }, status };
    const watchdog = { ...alert, labels: { alertname: 'Watchdog' }, status };
    const found = await lookAt({ alerts: [warning, { ...alert, status }, watchdog] }, { alerts: true });
    expect(bad(found)).toEqual(['disk-full']);
    expect(found.find(({ condition }) => condition === 'disk-full')?.reading).toMatchObject({ severity: 'critical' });
  });
});

describe('its cluster', () => {
  test.each<[object, object, boolean]>([
    [{ status: 'ready', peers: [{ name: 'a', address: '10.0.0.1:9094' }] }, {}, true],
    [{ status: 'ready', peers: [{ name: 'a', address: '10.0.0.1:9094' }] }, { peers: 2 }, false],
    [{ status: 'settling', peers: [] }, {}, false],
    [{ status: 'disabled' }, {}, true],
  ])('%j', async (cluster, options, isWell) => {
    expect(bad(await lookAt({ cluster }, options))).toEqual(isWell ? [] : ['cluster-degraded']);
  });
});

test('a notification that is given up is worse than an attempt that fails', async () => {
  let failed = 0;
  await using api = await startFakeApi(({ path }) => {
    const page = `alertmanager_notification_requests_failed_total{integration="email"} ${failed}\nalertmanager_notifications_failed_total{integration="email"} ${failed}\n`;
    return { body: path === '/api/v2/status' ? { cluster: { status: 'disabled' } } : page };
  });
  const context = checkContext();
  await look(api.url, {}, context);
  failed = 1;
  const found = await look(api.url, {}, context);
  expect(found.filter(({ condition }) => condition === 'notifications-failing')).toMatchObject([
    { resource: 'email', summary: 'Alertmanager: notifications by email fail', reading: { severity: 'critical' } },
  ]);
});

test('alerts that nobody sorts are stuck after ten minutes', async () => {
  const found = await lookAt({
    page: 'alertmanager_alerts{state="active"} 3\nalertmanager_alerts{state="unprocessed"} 2',
  });
  expect(found.find(({ condition }) => condition === 'alerts-stuck')).toMatchObject({
    summary: 'Alertmanager has 2 alerts that wait to be sorted',
    holdMs: 600_000,
    reading: { ok: false },
  });
});

describeWith(['prometheus-alertmanager'], 'with the real Alertmanager', () => {
  let alertmanager: Alertmanager;

  beforeAll(async () => {
    const nobody = `http://127.0.0.1:${await freePort()}/`;
    alertmanager = await startAlertmanager({ config: webhookConfig(nobody) });
  });
  afterAll(() => alertmanager[Symbol.asyncDispose]());

  test('its alerts, a webhook that nobody answers and a wrong configuration are told', async () => {
    const context = checkContext();
    expect(bad(await look(alertmanager.url, { alerts: true }, context))).toEqual([]);
    await alertmanager.post({ labels: { alertname: 'Ct Down', instance: 'ct1', severity: 'critical' } });
    let found: Observation[] = [];
    await until(async () => {
      found = await look(alertmanager.url, { alerts: true }, context);
      return bad(found).includes('notifications-failing');
    }, 'the notification to fail');
    expect(faultsOf(found)).toEqual([]);
    expect(found.filter(({ reading }) => reading.is === 'unknown')).toEqual([]);
    expect(found.find(({ condition }) => condition === 'ct-down')).toMatchObject({
      alertname: 'Ct Down',
      resource: 'ct1',
    });
    expect(
      found.find(({ condition, resource }) => condition === 'notifications-failing' && resource === 'webhook'),
    ).toMatchObject({
      summary: 'Alertmanager: attempts to notify by webhook fail',
      labels: { integration: 'webhook' },
      reading: { severity: 'warning' },
    });
    await alertmanager.configure('nonsense');
    expect(await alertmanager.reload()).toBe(false);
    expect(bad(await look(alertmanager.url, {}, context))).toContain('config-reload-failed');
    const [alerts, receivers] = await check.evidence.gather(
      check.options.parse({ url: alertmanager.url }),
      context,
      found[0] as Observation,
    );
    expect(alerts?.lines).toEqual([expect.stringMatching(/^active Ct Down since 20/)]);
    expect(receivers?.lines).toEqual(['lares']);
  });
});
