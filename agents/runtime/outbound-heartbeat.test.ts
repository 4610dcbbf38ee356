import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { startFakeApi } from '../../test/parts/fake-api.ts';
import { until } from '../../test/parts/until.ts';
import { createVirtualClock } from '../../test/parts/virtual-clock.ts';
import { createLog } from './log.ts';
import { startOutboundHeartbeat } from './outbound-heartbeat.ts';

interface Line {
  msg: string;
  error?: string;
}

function logLines(): { lines: Line[]; destination: Writable } {
  const lines: Line[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()) as Line);
      done();
    },
  });
  return { lines, destination };
}

test('a watcher that does not know the token is told once, without the token, and so is that it listens again', async () => {
  // Uptime Kuma: 404 for an unknown or paused monitor, and anything but the exact status "up" is down.
  let isKnown = false;
  await using kuma = await startFakeApi(() =>
    isKnown ? { body: { ok: true } } : { status: 404, body: { ok: false, msg: 'Monitor not found or not active.' } },
  );
  const { lines, destination } = logLines();
  const clock = createVirtualClock(0);
  const url = `${kuma.url}/api/push/SeCrEtToKeN?status=up&msg=OK`;
  const log = createLog({ level: 'info', name: 'test', destination });
  const heartbeat = startOutboundHeartbeat({ url, every: 60_000, isWell: () => true, clock, log });
  const beats = async (count: number): Promise<void> => {
    await clock.advance(60_000);
    await until(() => kuma.requests.length >= count && clock.pending() === 1, `beat ${count}`);
  };
  try {
    await beats(1);
    await beats(2);
    isKnown = true;
    await beats(3);
    expect(lines.map(({ msg, error }) => [msg, error])).toEqual([
      ['the outbound heartbeat is not heard: nobody would notice that this stops', 'it answered 404'],
      ['the outbound heartbeat is heard again', undefined],
    ]);
    expect(JSON.stringify(lines)).not.toContain('SeCrEtToKeN');
    expect(new Set(kuma.requests.map(({ query }) => query.get('status')))).toEqual(new Set(['up']));
  } finally {
    heartbeat.stop();
  }
});

test('while something is not well it is silent, so that the watcher notices', async () => {
  await using watcher = await startFakeApi(() => ({ body: 'OK' }));
  const clock = createVirtualClock(0);
  const log = createLog({ level: 'silent', name: 'test' });
  const heartbeat = startOutboundHeartbeat({ url: watcher.url, every: 60_000, isWell: () => false, clock, log });
  await clock.advance(600_000);
  heartbeat.stop();
  expect(watcher.requests).toEqual([]);
});
