import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Bus } from '#bus/bus.ts';
import { fingerprintOf } from '#bus/fingerprint.ts';
import { reportedTo, ReportingHouse } from '../../test/parts/reporting-house.ts';
import { SentinelStage } from '../../test/parts/sentinel-stage.ts';

describe('a person', () => {
  let house: ReportingHouse;
  let person: Bus;
  beforeAll(async () => {
    const heartbeats = ['backup', 'never'].map((ping) => ({ id: ping, kind: 'heartbeat', ping }));
    house = new ReportingHouse(await SentinelStage.open());
    await house.stage.start({ ...reportedTo, checks: heartbeats });
    person = house.stage.broker.connect('console');
  }, 60_000);
  afterAll(() => house.stage[Symbol.asyncDispose]());

  const ask = (verb: string, data: Record<string, unknown> = {}): Promise<Record<string, unknown>> =>
    person.request(verb, data, AbortSignal.timeout(15_000));

  test('ends what a sender forgot, of all its sources, and whoever reports it again opens it again', async () => {
    const labels = { alertname: 'Forgotten', instance: 'web' };
    const fingerprints = [fingerprintOf(labels), '0123456789abcdef'];
    await house.post('prom', { labels });
    await house.post('few', { labels });
    await house.until(labels, 'firing');
    expect(await ask('resolve', { fingerprints, by: 'terminal:ann' })).toEqual({ resolved: 1, left: 1 });
    const ended = await house.until(labels, 'resolved');
    expect(await house.ask('/api/v2/alerts')).toEqual([]);
    expect(await ask('resolve', { fingerprints, by: 'terminal:ann' })).toEqual({ resolved: 0, left: 2 });
    await house.stage.clock.advance(1_000);
    await house.post('prom', { labels });
    const again = await house.until(labels, 'firing');
    expect(again.occurrence).not.toBe(ended.occurrence);
    expect(JSON.stringify(again.evidence)).toContain('said to be over by terminal:ann');
  });

  test('does not end what Lares says of a sender, and says who they are', async () => {
    const flood = { alertname: 'intake-flood', intake: 'few' };
    const many = [1, 2, 3, 4].map((index) => ({ labels: { alertname: 'Many', index: String(index) } }));
    await house.post('few', ...many);
    await house.until(flood, 'firing');
    const fingerprints = [fingerprintOf(flood)];
    expect(await ask('resolve', { fingerprints, by: 'terminal:ann' })).toEqual({ resolved: 0, left: 1 });
    await expect(ask('resolve', { fingerprints })).rejects.toThrow('by whom');
    await expect(ask('resolve', { fingerprints: ['x; y'], by: 'ann' })).rejects.toThrow('it is not said what');
  });

  test('learns what came last from whom, and what was turned away and why', async () => {
    await house.send('/in/am', '[]', { authorization: 'Bearer nonsense' });
    await house.send('/in/open', { nonsense: true });
    await fetch(`http://127.0.0.1:${house.stage.port}/ping/backup/3`);
    const at = expect.any(String) as string;
    expect(await ask('intakes')).toMatchObject({
      since: at,
      intakes: [
        {
          name: 'prom',
          kind: 'alertmanager',
          taken: { at, text: expect.stringMatching(/^taken: \d firing/) as string },
        },
        {
          name: 'am',
          open: 0,
          complaint: { at, text: 'somebody without the right token came to an intake', count: 1 },
        },
        { name: 'few', complaint: { text: 'an intake reports more than can be held' } },
        { name: 'open', complaint: { text: expect.stringContaining('nothing stands at "title"') as string } },
      ],
      heartbeats: [
        { name: 'backup', last: { kind: 'fail', at } },
        { name: 'never', since: at },
      ],
    });
  });
});
