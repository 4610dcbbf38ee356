import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bearer, reportedTo, ReportingHouse, token } from '../../../test/parts/reporting-house.ts';
import { SentinelStage } from '../../../test/parts/sentinel-stage.ts';

describe('the door', () => {
  let house: ReportingHouse;
  beforeAll(async () => {
    house = new ReportingHouse(await SentinelStage.open());
    await house.stage.start(reportedTo);
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

  test('an expression that goes astray costs its own little time, however many alerts are open', async () => {
    const labels = { alertname: 'Astray', path: `${'a'.repeat(60)}!` };
    const many = Array.from({ length: 60 }, (_, index) => ({ labels: { ...labels, index: String(index) } }));
    expect((await house.send('/in/prom/api/v2/alerts', many)).status).toBe(200);
    const start = performance.now();
    const filters = Array.from({ length: 20 }, () => `filter=${encodeURIComponent('path=~"(a+)+"')}`).join('&');
    const answer = await house.get(`/in/prom/api/v2/alerts?${filters}`);
    expect([answer.status, await answer.json()]).toEqual([400, 'the expression takes too long']);
    expect(performance.now() - start).toBeLessThan(10_000);
    const answers = await Promise.all(Array.from({ length: 12 }, () => house.get('/api/v2/alerts?filter=x=~"y"')));
    expect(answers.map(({ status }) => status)).toContain(429);
  });

  test('asks a flood to wait', async () => {
    const answers = await Promise.all(Array.from({ length: 230 }, () => house.send('/in/am', { alerts: [] })));
    const late = answers.filter(({ status }) => status === 429);
    expect(late.length).toBeGreaterThan(0);
    expect(late[0]?.headers.get('retry-after')).toBe('1');
  });
});
