import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fingerprintOf } from '#bus/fingerprint.ts';
import type { Finding } from '#bus/messages/finding.ts';
import { run } from '#bus/messages/run.ts';
import { reportedTo, ReportingHouse } from '../../../test/parts/reporting-house.ts';
import { SentinelStage, startMs, state } from '../../../test/parts/sentinel-stage.ts';
import { until } from '../../../test/parts/until.ts';

describe('what others report', () => {
  let house: ReportingHouse;
  beforeAll(async () => {
    house = new ReportingHouse(await SentinelStage.open());
    await house.stage.start(reportedTo);
  }, 60_000);
  afterAll(() => house.stage[Symbol.asyncDispose]());

  test('is a finding at once, of the host that its labels name, with its words as evidence', async () => {
    const labels = { alertname: 'DiskFull', instance: '10.0.0.5:9100', mountpoint: '/var', severity: 'critical' };
    const annotations = {
      summary: '/var is full',
      runbook_url: 'https://wiki/disk',
      secret: 'password=hunter2hunter2',
    };
    await house.post('prom', { labels, annotations, startsAt: new Date(startMs - 60_000).toISOString() });
    const finding = await house.until(labels, 'firing');
    expect(finding).toMatchObject({
      fingerprint: fingerprintOf(labels),
      foreign: true,
      severity: 'critical',
      condition: 'problem',
      check: 'prom',
      kind: 'alertmanager',
      host: 'web',
      resource: '/var',
      summary: '/var is full',
      labels: { ...labels, host: 'web', site: 'cellar' },
    });
    expect(Date.parse(finding.startsAt)).toBe(startMs - 60_000);
    expect(JSON.stringify(finding.evidence)).toContain('https://wiki/disk');
    expect(JSON.stringify(finding)).not.toContain('hunter2hunter2');
    await house.stage.clock.advance(100);
    await until(() => house.stage.hosts.get('web')?.problem === true, 'the state of the host');
    await until(
      () => house.stage.manifests.at(-1)?.firing.some((one) => one.occurrence === finding.occurrence) === true,
      'the manifest',
    );
    await until(() => house.stage.manifests.at(-1)?.counts.firing === 1, 'the count');
    expect(await house.ask('/api/v2/alerts?filter=alertname%3D%22DiskFull%22')).toMatchObject([
      { labels, fingerprint: fingerprintOf(labels), status: { state: 'active' } },
    ]);
  });

  test('ends when it is not told again in time, and remembers that it happened before', async () => {
    const labels = { alertname: 'Flappy', instance: 'web' };
    await house.post('prom', { labels });
    const first = await house.until(labels, 'firing');
    await house.stage.clock.advance(4 * 60_000);
    await house.post('prom', { labels });
    await house.stage.clock.advance(4 * 60_000);
    expect(house.last(labels)?.status).toBe('firing');
    await house.stage.clock.advance(2 * 60_000);
    await house.until(labels, 'resolved');
    await house.post('prom', { labels });
    const second = await house.until(labels, 'firing');
    expect(second.occurrence).not.toBe(first.occurrence);
    expect(second.evidence.map(({ title }) => title)).toContain('It happened once before');
    await house.post('prom', { labels, endsAt: new Date(startMs).toISOString() });
    await house.until(labels, 'resolved');
  });

  test('is one finding for two sources, and ends with the last', async () => {
    const labels = { alertname: 'Both', instance: 'web' };
    const payload = (status: string) => ({ version: '4', alerts: [{ status, labels, annotations: {} }] });
    await house.post('prom', { labels });
    const finding = await house.until(labels, 'firing');
    expect((await house.send('/in/am', payload('firing'))).status).toBe(200);
    await house.post('prom', { labels, endsAt: new Date(startMs).toISOString() });
    await house.stage.clock.advance(3_600_000);
    expect(house.last(labels)).toMatchObject({ status: 'firing', occurrence: finding.occurrence });
    await house.send('/in/am', payload('resolved'));
    await house.until(labels, 'resolved');
  });

  test('that comes and goes is one finding that flaps, until it is quiet or goes on for half an hour', async () => {
    const labels = { alertname: 'Flapping', instance: 'web' };
    const over = new Date(startMs).toISOString();
    const isFlapping = (): boolean => house.last(labels)?.condition === 'flapping';
    for (let round = 0; round < 3; round += 1) {
      await house.post('prom', { labels });
      await house.until(labels, 'firing');
      await house.post('prom', { labels, endsAt: over });
      if (round < 2) await house.until(labels, 'resolved');
      await house.stage.clock.advance(60_000);
    }
    await until(isFlapping, 'the flapping');
    const flapping = house.last(labels);
    const told = house.stage.findings.length;
    for (let round = 0; round < 5; round += 1) {
      await house.post('prom', { labels });
      await house.post('prom', { labels, endsAt: over });
      await house.stage.clock.advance(60_000);
    }
    expect(house.stage.findings).toHaveLength(told);
    for (let minute = 0; minute < 32; minute += 4) {
      await house.post('prom', { labels });
      await house.stage.clock.advance(4 * 60_000);
    }
    await until(() => !isFlapping(), 'the steady problem');
    await house.stage.clock.advance(10 * 60_000);
    expect(await house.until(labels, 'resolved')).toMatchObject({ occurrence: flapping?.occurrence });
  });

  test('that flapped is over when it was quiet', async () => {
    const labels = { alertname: 'Quiet', instance: 'web' };
    for (let round = 0; round < 3; round += 1) {
      await house.post('prom', { labels });
      await house.post('prom', { labels, endsAt: new Date(startMs).toISOString() });
      await house.stage.clock.advance(1_000);
    }
    await until(() => house.last(labels)?.condition === 'flapping', 'the flapping');
    await house.stage.clock.advance(10 * 60_000);
    expect(await house.until(labels, 'resolved')).toMatchObject({ condition: 'flapping' });
  });

  test('with a secret among its labels ends like any other', async () => {
    const labels = { alertname: 'Secretive', url: 'https://u:hunter2hunter2@h/', note: 'x'.repeat(2_000) };
    const say = (status: string) => house.send('/in/am', { alerts: [{ status, labels, annotations: {} }] });
    await say('firing');
    expect(JSON.stringify(await house.until(labels, 'firing'))).not.toContain('hunter2hunter2');
    await say('resolved');
    expect(await house.until(labels, 'resolved')).toMatchObject({ status: 'resolved' });
  });

  test('of an earlier time, late or again, changes nothing', async () => {
    const labels = { alertname: 'Late' };
    const say = (status: string, minute: number) =>
      house.send(
        '/in/open',
        { title: 'Late', status, at: new Date(house.stage.clock.now() + minute * 60_000).toISOString() },
        {},
      );
    await say('down', -10);
    await house.until(labels, 'firing');
    await say('ok', -5);
    await house.until(labels, 'resolved');
    const told = house.stage.findings.length;
    expect(await (await say('down', -8)).text()).toBe('taken: 0 firing, 1 resolved\n');
    await house.stage.clock.advance(1_000);
    expect(house.stage.findings).toHaveLength(told);
    await say('down', -1);
    await house.until(labels, 'firing');
    await say('ok', 0);
    await house.until(labels, 'resolved');
  });

  test('in thousands is taken in one post, bounded, and the rest is said once', async () => {
    const many = Array.from({ length: 3_000 }, (_, index) => ({
      labels: { alertname: 'Flood', instance: `n${index}` },
    }));
    await house.post('few', ...many);
    const flood = await house.until({ alertname: 'intake-flood', intake: 'few' }, 'firing');
    expect(flood.summary).toBe('"few" reports more than can be held: 2997 of its alerts were left out');
    expect((await house.ask('/in/few/api/v2/alerts')) as unknown[]).toHaveLength(3);
    const started = performance.now();
    await house.post('prom', ...many);
    expect(performance.now() - started).toBeLessThan(10_000);
    expect((await house.ask('/in/prom/api/v2/alerts?filter=alertname=Flood')) as unknown[]).toHaveLength(500);
    await house.post('prom', ...many.map((alert) => ({ ...alert, endsAt: new Date(startMs).toISOString() })));
    await house.stage.clock.advance(11 * 60_000);
    await house.until({ alertname: 'intake-flood', intake: 'few' }, 'resolved');
  });
});

test('an alert that came while the clock was a month ahead ends in its time after the clock is right', async () => {
  const house = new ReportingHouse(await SentinelStage.open());
  await using stage = house.stage;
  const month = 30 * 86_400_000;
  await stage.start(reportedTo);
  await stage.clock.advance(month);
  const labels = { alertname: 'Ahead', instance: 'web' };
  await house.post('prom', { labels });
  await house.until(labels, 'firing');
  stage.clock.setBack(month);
  await stage.clock.advance(20 * 60_000);
  expect(await house.until(labels, 'resolved')).toMatchObject({ check: 'prom' });
}, 60_000);

describe('a sender that says what Lares says', () => {
  test('neither takes a finding of Lares back nor stands for one, before it fires or after', async () => {
    const house = new ReportingHouse(await SentinelStage.open());
    await using stage = house.stage;
    stage.lever('lever').observe = () => [state(true)];
    await stage.start({ ...reportedTo, checks: [{ id: 'door', kind: 'lever', every: '10s', for: '0s' }] });
    const labels = { alertname: 'door-open', check: 'door', kind: 'lever', resource: 'front' };
    const own = (): Finding | undefined => stage.findings.findLast(({ check }) => check === 'door');
    const told = async (status: string): Promise<void> => {
      await house.send('/in/am', { alerts: [{ status, labels, annotations: {} }] });
      await stage.clock.advance(1_000);
    };
    await told('firing');
    await until(() => stage.findings.some(({ check }) => check === 'am'), 'what was posted');
    stage.lever('lever').observe = () => [state(false)];
    await stage.clock.advance(20_000);
    await until(() => own()?.status === 'firing', 'the finding of the check');
    expect(own()?.labels).toEqual(labels);
    const posted = stage.findings.filter(({ check }) => check === 'am').length;
    await told('resolved');
    await told('firing');
    await stage.clock.advance(20_000);
    expect(own()).toMatchObject({ fingerprint: fingerprintOf(labels), status: 'firing' });
    expect(stage.findings.filter(({ check }) => check === 'am')).toHaveLength(posted);
    await until(() => stage.manifests.at(-1)?.counts.firing === 1, 'the count');
  }, 60_000);

  test('cannot take back what Lares says of it', async () => {
    const house = new ReportingHouse(await SentinelStage.open());
    await using stage = house.stage;
    await stage.start(reportedTo);
    await house.post('few', ...Array.from({ length: 9 }, (_, index) => ({ labels: { alertname: `n${index}` } })));
    const labels = { alertname: 'intake-flood', intake: 'few' };
    const flood = await house.until(labels, 'firing');
    expect(flood).not.toHaveProperty('foreign');
    await house.post('few', { labels, endsAt: new Date(startMs).toISOString() });
    await stage.clock.advance(1_000);
    expect(house.last(labels)).toEqual(flood);
  }, 60_000);

  test('is told to choose nothing, unless its intake may propose', async () => {
    const house = new ReportingHouse(await SentinelStage.open());
    await using stage = house.stage;
    const am = { ...reportedTo.intake?.['am'], kind: 'alertmanager-webhook', mayPropose: true };
    await stage.start({ ...reportedTo, intake: { ...reportedTo.intake, am } });
    await house.post('prom', { labels: { alertname: 'a' } });
    expect(await house.until({ alertname: 'a' }, 'firing')).toMatchObject({ foreign: true });
    await house.send('/in/am', { alerts: [{ status: 'firing', labels: { alertname: 'b' }, annotations: {} }] });
    expect(await house.until({ alertname: 'b' }, 'firing')).not.toHaveProperty('foreign');
  }, 60_000);
});

describe('a run that was to mend it', () => {
  test('is judged by its sender: fixed when it was taken back, unknown while it was not', async () => {
    const house = new ReportingHouse(await SentinelStage.open());
    await using stage = house.stage;
    await stage.start(reportedTo);
    const labels = { alertname: 'Mend', instance: 'web' };
    const told = { status: 'firing', labels, annotations: {} };
    const ask = async (id: string): Promise<string | undefined> => {
      const at = new Date(stage.clock.now()).toISOString();
      stage.listener.publish(run, {
        id,
        plan: 'plan',
        playbook: 'restart',
        hosts: ['web'],
        findings: [fingerprintOf(labels)],
        status: 'verifying',
        steps: [],
        startedAt: at,
        updatedAt: at,
      });
      await until(async () => {
        await stage.clock.advance(5_000);
        return stage.verdicts.some((one) => one.run === id);
      }, `the verdict of ${id}`);
      return stage.verdicts.find((one) => one.run === id)?.outcome;
    };
    await house.send('/in/am', { alerts: [told] });
    await house.until(labels, 'firing');
    expect(await ask('run-1')).toBe('unknown');
    await house.send('/in/am', { alerts: [{ ...told, status: 'resolved' }] });
    await house.until(labels, 'resolved');
    expect(await ask('run-2')).toBe('fixed');
  }, 60_000);
});

describe('after a restart', () => {
  test('what was told is still so, its sender gets time, and what lost its intake ends', async () => {
    const house = new ReportingHouse(await SentinelStage.open());
    await using stage = house.stage;
    await stage.start(reportedTo);
    const labels = { alertname: 'Stays', instance: 'web' };
    const told = { alertname: 'Webhook', instance: 'web' };
    await house.post('prom', { labels });
    await house.send('/in/am', { alerts: [{ status: 'firing', labels: told, annotations: {} }] });
    const { occurrence } = await house.until(labels, 'firing');
    await house.until(told, 'firing');
    await stage.stop();
    await stage.clock.advance(3_600_000);
    const { am: _am, ...rest } = reportedTo.intake ?? {};
    await stage.start({ ...reportedTo, intake: rest });
    await house.until(told, 'resolved');
    await stage.clock.advance(60_000);
    expect(house.last(labels)).toMatchObject({ status: 'firing', occurrence });
    await stage.clock.advance(5 * 60_000);
    await house.until(labels, 'resolved');
  }, 60_000);
});
