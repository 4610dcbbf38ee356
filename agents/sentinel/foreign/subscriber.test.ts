import { expect, test } from 'vitest';
import { describeWith } from '../../../test/parts/daemon.ts';
import { PlainMosquitto } from '../../../test/parts/plain-mosquitto.ts';
import { SentinelStage } from '../../../test/parts/sentinel-stage.ts';
import { until } from '../../../test/parts/until.ts';

describeWith(['mosquitto'], 'a source at a broker', () => {
  test('that is away too long is unknown and counted so, and well again when it is back', async () => {
    await using broker = await PlainMosquitto.start();
    await broker.kill();
    await using stage = await SentinelStage.open();
    const map = { title: 'what', status: 'state' };
    await stage.start({ intake: { house: { kind: 'mqtt', url: broker.url, topics: ['alarm/#'], map } } });
    await stage.clock.advance(119_000);
    expect(stage.findings).toEqual([]);
    await stage.clock.advance(2_000);
    await until(() => stage.findings.length === 1, 'the finding');
    expect(stage.findings[0]).toMatchObject({
      condition: 'unknown',
      severity: 'warning',
      labels: { alertname: 'intake-unreachable', intake: 'house' },
    });
    await stage.clock.advance(100);
    await until(() => stage.manifests.at(-1)?.counts.unknown === 1, 'the count');
    await broker.resume();
    await until(() => stage.findings.at(-1)?.status === 'resolved', 'the broker to be heard', 20_000);

    for (const state of ['wet', 'wet', 'ok', 'wet'])
      await broker.publish('alarm/cellar', { what: 'leak', state }, true);
    const told = (): string[] =>
      stage.findings.filter(({ labels }) => labels['alertname'] === 'leak').map(({ status }) => status);
    await until(async () => {
      await stage.clock.advance(100);
      return told().at(-1) === 'firing';
    }, 'the last word');
    expect(new Set(stage.findings.map(({ fingerprint }) => fingerprint)).size).toBe(2);
  }, 60_000);
});
