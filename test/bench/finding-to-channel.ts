import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Bus } from '#bus/bus.ts';
import { finding as findingKind } from '#bus/messages/finding.ts';
import { temporaryFolder } from './process.ts';
import type { Bench } from './row.ts';
import { percentile, timed } from './samples.ts';
import { startTelegramStage } from './telegram-stage.ts';
import { findingOf } from './triage-stand.ts';

const findings = 300;

export const findingToChannel: Bench = {
  about: `${findings} findings one at a time, each an incident of its own, no group wait, no model`,
  async run() {
    using folder = temporaryFolder();
    await using stage = await startTelegramStage(folder.path);
    const { stand } = stage;
    await using floor = await startFloor(stand.broker.connect('triage', { clientIdSuffix: 'floor' }));
    const times = { ours: [] as number[], floor: [] as number[] };
    for (let number = 0; number < findings; number += 1) {
      times.ours.push(await timed(() => stage.tell(number)));
      const plain = findingOf(number, 'floor');
      times.floor.push(await timed(() => floor.arrival(() => stand.sentinel.publish(findingKind, plain))));
    }
    const row = (share: number, name: string) => ({
      name: `finding-to-channel ${name}`,
      ours: percentile(times.ours, share),
      floor: percentile(times.floor, share),
      against: 'the bus and one HTTP request',
      unit: 'ms',
    });
    return [row(0.5, 'p50'), { ...row(0.99, 'p99'), aim: { of: 'ours', atMost: 100 } }];
  },
};

interface Floor extends AsyncDisposable {
  arrival(send: () => void): Promise<void>;
}

/** A listener on the same bus that posts each finding and does nothing else. */
async function startFloor(bus: Bus): Promise<Floor> {
  let arrived: () => void = () => undefined;
  const server = createServer({ noDelay: true }, (request, response) => {
    request.resume().on('end', () => {
      arrived();
      response.end('{"ok":true}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  bus.subscribe(findingKind, async (message) => {
    if (message.occurrence.startsWith('floor')) {
      await (await fetch(url, { method: 'POST', body: JSON.stringify(message) })).text();
    }
  });
  await bus.ready(AbortSignal.timeout(10_000));
  return {
    arrival(send) {
      const { promise, resolve } = Promise.withResolvers<void>();
      arrived = resolve;
      send();
      return promise;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
