import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fingerprintOf } from '#bus/fingerprint.ts';
import type { Finding } from '#bus/messages/finding.ts';
import type { ConfigInput } from '#config/schema.ts';
import { SentinelStage, startMs } from '../../../test/parts/sentinel-stage.ts';
import { until } from '../../../test/parts/until.ts';

const token = createHash('sha256').update('foreign.test').digest('hex').slice(0, 32);
process.env['FOREIGN_TEST_TOKEN'] = token;
const bearer = { authorization: `Bearer ${token}` };

const config: ConfigInput = {
  hosts: { web: { address: '10.0.0.5' }, pve: { address: 'pve.example.org' } },
  intake: {
    prom: { kind: 'alertmanager', token: { env: 'FOREIGN_TEST_TOKEN' }, labels: { site: 'cellar' } },
    am: { kind: 'alertmanager-webhook', token: { env: 'FOREIGN_TEST_TOKEN' } },
    few: { kind: 'alertmanager', maximumOpen: 3, token: { env: 'FOREIGN_TEST_TOKEN' } },
    open: { kind: 'json', map: { title: 'title', status: 'status', time: 'at' } },
  },
};

interface Posted {
  labels: Record<string, string>;
  annotations?: Record<string, string>;
  startsAt?: string;
  endsAt?: string;
}

class House {
  readonly stage: SentinelStage;

  constructor(stage: SentinelStage) {
    this.stage = stage;
  }

  async send(path: string, body: unknown, headers: Record<string, string> = bearer): Promise<Response> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return fetch(`http://127.0.0.1:${this.stage.port}${path}`, { method: 'POST', body: text, headers });
  }

  async post(source: string, ...alerts: Posted[]): Promise<void> {
    const answer = await this.send(`/in/${source}/api/v2/alerts`, alerts);
    const said = await answer.text();
    if (answer.status !== 200 || said !== '') throw new Error(`The post was answered ${answer.status}: ${said}`);
  }

  async ask(path: string): Promise<unknown> {
    return (await fetch(`http://127.0.0.1:${this.stage.port}${path}`, { headers: bearer })).json();
  }

  last(labels: Record<string, string>): Finding | undefined {
    const fingerprint = fingerprintOf(labels);
    return this.stage.findings.findLast((one) => one.fingerprint === fingerprint);
  }

  async until(labels: Record<string, string>, status: Finding['status']): Promise<Finding> {
    await until(() => this.last(labels)?.status === status, `${JSON.stringify(labels)} to be ${status}`);
    return this.last(labels) as Finding;
  }
}

describe('what others report', () => {
  let house: House;
  beforeAll(async () => {
    house = new House(await SentinelStage.open());
    await house.stage.start(config);
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
    expect(house.stage.manifests.at(-1)?.counts.firing).toBe(1);
    expect(await house.ask('/api/v2/alerts?filter=alertname%3D%22DiskFull%22')).toMatchObject([
      { labels, fingerprint: finding.fingerprint, status: { state: 'active' } },
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

describe('after a restart', () => {
  test('what was told is still so, its sender gets time, and what lost its intake ends', async () => {
    const house = new House(await SentinelStage.open());
    await using stage = house.stage;
    await stage.start(config);
    const labels = { alertname: 'Stays', instance: 'web' };
    const told = { alertname: 'Webhook', instance: 'web' };
    await house.post('prom', { labels });
    await house.send('/in/am', { alerts: [{ status: 'firing', labels: told, annotations: {} }] });
    const { occurrence } = await house.until(labels, 'firing');
    await house.until(told, 'firing');
    await stage.stop();
    await stage.clock.advance(3_600_000);
    const { am: _am, ...rest } = config.intake ?? {};
    await stage.start({ ...config, intake: rest });
    await house.until(told, 'resolved');
    await stage.clock.advance(60_000);
    expect(house.last(labels)).toMatchObject({ status: 'firing', occurrence });
    await stage.clock.advance(5 * 60_000);
    await house.until(labels, 'resolved');
  }, 60_000);
});

describe('the door', () => {
  let house: House;
  beforeAll(async () => {
    house = new House(await SentinelStage.open());
    await house.stage.start(config);
  }, 60_000);
  afterAll(() => house.stage[Symbol.asyncDispose]());
  const good = [{ labels: { alertname: 'Door' } }];

  test('opens to the token as bearer, as basic password, and in the address', async () => {
    const basic = (password: string) => ({
      authorization: `Basic ${Buffer.from(`any:${password}`).toString('base64')}`,
    });
    for (const [path, headers] of [
      ['/in/prom/api/v2/alerts', bearer],
      ['/in/prom/api/v2/alerts', basic(token)],
      [`/in/prom/${token}/api/v2/alerts`, {}],
      ['/api/v2/alerts', bearer],
    ] as const) {
      expect([path, (await house.send(path, good, headers)).status]).toEqual([path, 200]);
    }
    for (const headers of [
      {},
      { authorization: `Bearer ${token}x` },
      basic('nope'),
      { authorization: 'Bearer' },
    ] as Record<string, string>[]) {
      const answer = await house.send('/in/prom/api/v2/alerts', good, headers);
      expect([answer.status, await answer.text()]).toEqual([401, 'unauthorized\n']);
    }
    expect((await house.send('/in/nobody', good)).status).toBe(404);
  });

  test('without a token opens to this machine only, and to no web page and no proxy', async () => {
    const body = { title: 'Door', status: 'ok' };
    expect((await house.send('/in/open', body, {})).status).toBe(200);
    const strangers: Record<string, string>[] = [
      { 'x-forwarded-for': '203.0.113.9' },
      { forwarded: 'for=203.0.113.9' },
      { origin: 'https://evil.example' },
      { 'sec-fetch-site': 'cross-site' },
    ];
    for (const headers of strangers) expect((await house.send('/in/open', body, headers)).status).toBe(403);
  });

  test('says what is wrong with a body, and takes none that is too large', async () => {
    const bad = await house.send('/in/prom/api/v2/alerts', 'nonsense');
    expect([bad.status, await bad.text()]).toEqual([400, 'the body is no JSON\n']);
    const half = await house.send('/in/prom/api/v2/alerts', [...good, { labels: {} }]);
    expect([half.status, await half.text()]).toEqual([400, '1 alert refused: at least one label pair required\n']);
    expect((await house.send('/in/am', `"${'x'.repeat(4 * 1_048_576)}"`)).status).toBe(413);
    expect((await house.send('/in/open', `"${'x'.repeat(1_048_576)}"`, {})).status).toBe(413);
  });

  test('answers what senders ask an Alertmanager, and refuses what it does not do', async () => {
    expect(await house.ask('/api/v2/status')).toMatchObject({ cluster: { status: 'disabled' }, versionInfo: {} });
    expect(await house.ask('/in/prom/api/v2/receivers')).toEqual([{ name: 'lares' }]);
    expect(await house.ask('/in/prom/api/v2/silences')).toEqual([]);
    expect(await house.ask('/in/prom/api/v2/alerts/groups')).toMatchObject([{ labels: { alertname: 'Door' } }]);
    for (const filter of ['alertname!="Door"', 'alertname=~"X.*"', 'nothing="x"']) {
      expect(await house.ask(`/in/prom/api/v2/alerts?filter=${encodeURIComponent(filter)}`)).toEqual([]);
    }
    for (const filter of ['alertname=~"D.+"', 'nothing=""', 'alertname!~X', '{alertname="Door"}']) {
      expect(await house.ask(`/in/prom/api/v2/alerts?filter=${encodeURIComponent(filter)}`)).toHaveLength(1);
    }
    expect(await house.ask('/in/prom/api/v2/alerts?active=false')).toEqual([]);
    expect((await house.send('/api/v2/silences', {})).status).toBe(405);
    expect((await house.send('/api/v1/alerts', good)).status).toBe(410);
    expect((await house.send('/in/prom/api/v2/nothing', {})).status).toBe(404);
    const ready = await fetch(`http://127.0.0.1:${house.stage.port}/-/ready`, { headers: bearer });
    expect([ready.status, await ready.text()]).toEqual([200, 'OK']);
  });

  test('asks a flood to wait', async () => {
    const answers = await Promise.all(Array.from({ length: 230 }, () => house.send('/in/am', { alerts: [] })));
    const late = answers.filter(({ status }) => status === 429);
    expect(late.length).toBeGreaterThan(0);
    expect(late[0]?.headers.get('retry-after')).toBe('1');
  });
});
