import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Bus } from '#bus/bus.ts';
import { finding as findingKind } from '#bus/messages/finding.ts';
import { startTelegram, type TelegramPart } from '../parts/telegram.ts';
import { temporaryFolder } from './process.ts';
import type { Bench } from './row.ts';
import { percentile, timed } from './samples.ts';
import { findingOf, startTriage } from './triage-stand.ts';

const findings = 300;
const patienceMs = 10_000;

export const findingToChannel: Bench = {
  about: `${findings} findings one at a time, each an incident of its own, no group wait, no model`,
  async run() {
    using folder = temporaryFolder();
    await using telegram = await startTelegram();
    const ada = telegram.user(7, 'Ada');
    writeFileSync(join(folder.path, 'token'), telegram.token, { mode: 0o600 });
    const config = {
      people: { approvers: [ada.id] },
      telegram: { token: { file: 'token' }, apiRoot: telegram.apiRoot, chat: ada.id },
      triage: { groupWait: '0s' },
    };
    await using stand = await startTriage(folder.path, config);
    const arrival = watchArrivals(telegram);
    await using floor = await startFloor(stand.broker.connect('triage', { clientIdSuffix: 'floor' }));
    const times = { ours: [] as number[], floor: [] as number[] };
    for (let number = 0; number < findings; number += 1) {
      const message = findingOf(number, 'unit');
      times.ours.push(await timed(() => arrival(message.resource, () => stand.sentinel.publish(findingKind, message))));
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

type Arrival = (text: string, send: () => void) => Promise<void>;

/** Resolves when a message with the text reaches the Bot API. */
function watchArrivals(telegram: TelegramPart): Arrival {
  let wanted: { text: string; found: () => void } | undefined;
  const { calls } = telegram;
  const note = calls.push.bind(calls);
  calls.push = (...added) => {
    for (const { method, fields } of added) {
      if (method !== 'sendMessage' || wanted === undefined) continue;
      if (String(fields['text']).includes(wanted.text)) wanted.found();
    }
    return note(...added);
  };
  return (text, send) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const late = setTimeout(() => reject(new Error(`"${text}" did not arrive`)), patienceMs);
    wanted = {
      text,
      found: () => {
        clearTimeout(late);
        resolve();
      },
    };
    send();
    return promise;
  };
}

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
