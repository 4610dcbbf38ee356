import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent, request } from 'undici';
import { type Alertmanager, startAlertmanager, webhookConfig } from '../parts/alertmanager.ts';
import { programPath } from '../parts/daemon.ts';
import { batch, feed } from './findings-in.ts';
import { memoryOf, temporaryFolder } from './process.ts';
import type { Bench, Row } from './row.ts';
import { interleave, median, percentile, timed } from './samples.ts';
import { startTelegramStage, type TelegramStage } from './telegram-stage.ts';
import { findingOf } from './triage-stand.ts';

const alerts = 300;
const rounds = 5;
/** As many posts at a time as findings are on their way: what the bus client queues at most. */
const inFlight = 200;
const patienceMs = 30_000;
const program = 'prometheus-alertmanager';

/** Each accepts the same facts and tells somebody. Triage has then also written them to disk; Alertmanager has not. */
export const alertPeer: Bench = {
  about: `${alerts} alerts one at a time and ${rounds} times ${batch} at once, beside Alertmanager without a group wait`,
  missing: () => Promise.resolve(programPath(program) === undefined ? `needs ${program}` : undefined),
  async run() {
    using folder = temporaryFolder();
    await using stage = await startTelegramStage(folder.path);
    await using peer = await Peer.start();
    return [...(await compareLatency(stage, peer)), await compareIntake(stage, peer), memoryRow(stage, peer)];
  },
};

async function compareLatency(stage: TelegramStage, peer: Peer): Promise<Row[]> {
  let number = 0;
  const times = await interleave(alerts, {
    ours: () => timed(() => stage.tell((number += 1))),
    floor: () => timed(() => peer.tell((number += 1))),
  });
  const row = (share: number, name: string): Row => ({
    name: `alert-peer to channel ${name}`,
    ours: percentile(times.ours, share),
    floor: percentile(times.floor, share),
    against: 'Alertmanager, from its API to a webhook',
    unit: 'ms',
  });
  return [row(0.5, 'p50'), { ...row(0.99, 'p99'), aim: { of: 'ratio', atMost: 2 } }];
}

async function compareIntake(stage: TelegramStage, peer: Peer): Promise<Row> {
  const times = await interleave(rounds, { ours: () => feed(stage.stand), floor: () => peer.takeBatch() });
  return {
    name: 'alert-peer taken in',
    ours: (median(times.ours) / batch) * 1_000,
    floor: (median(times.floor) / batch) * 1_000,
    against: 'Alertmanager, single posts, kept in memory',
    unit: 'us each',
    aim: { of: 'ratio', atMost: 1 },
  };
}

function memoryRow(stage: TelegramStage, peer: Peer): Row {
  return {
    name: 'alert-peer memory after it',
    ours: memoryOf(stage.stand.triage.pid).resident,
    floor: memoryOf(peer.pid).resident,
    against: 'Alertmanager',
    unit: 'MB',
  };
}

/** Alertmanager whose one receiver is a webhook that is watched. */
class Peer implements AsyncDisposable {
  readonly #alertmanager: Alertmanager;
  readonly #dispatcher = new Agent({ connections: inFlight });
  readonly #closing: AsyncDisposableStack;
  #batch = 0;
  #wanted: { text: string; found: () => void } | undefined;

  private constructor(alertmanager: Alertmanager, closing: AsyncDisposableStack) {
    this.#alertmanager = alertmanager;
    this.#closing = closing;
  }

  static async start(): Promise<Peer> {
    await using starting = new AsyncDisposableStack();
    const watcher: { onBody: (body: string) => void } = { onBody: () => undefined };
    const server = createServer({ noDelay: true }, (message, response) => {
      let body = '';
      message.on('data', (chunk: Buffer) => (body += chunk.toString()));
      message.on('end', () => {
        watcher.onBody(body);
        response.end();
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    starting.defer(async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    });
    const config = webhookConfig(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    // Each alert a group of its own: nothing waits for the interval of another.
    const route = { ...(config['route'] as object), group_by: ['...'] };
    const alertmanager = starting.use(await startAlertmanager({ config: { ...config, route } }));
    const peer = new Peer(alertmanager, starting.move());
    watcher.onBody = (body) => peer.#onBody(body);
    return peer;
  }

  get pid(): number {
    return this.#alertmanager.pid;
  }

  /** Posts one alert; resolves when the webhook is called with it. */
  async tell(number: number): Promise<void> {
    const unit = `peer-${number}.service`;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const late = setTimeout(() => reject(new Error(`"${unit}" did not arrive`)), patienceMs);
    this.#wanted = { text: unit, found: resolve };
    await Promise.all([this.#post(number, 'peer'), promise.finally(() => clearTimeout(late))]);
  }

  /** Milliseconds until a batch of single posts is answered. */
  takeBatch(): Promise<number> {
    this.#batch += 1;
    const left = Array.from({ length: batch }, (_, index) => this.#batch * batch + index);
    const post = async (): Promise<void> => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) await this.#post(next, 'flood');
    };
    return timed(() => Promise.all(Array.from({ length: inFlight }, post)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispatcher.close();
    await this.#closing.disposeAsync();
  }

  #onBody(body: string): void {
    if (this.#wanted !== undefined && body.includes(this.#wanted.text)) this.#wanted.found();
  }

  async #post(number: number, word: string): Promise<void> {
    const { labels, summary, evidence, startsAt } = findingOf(number, word);
    const description = evidence.flatMap((item) => ('lines' in item ? item.lines : [])).join('\n');
    const { statusCode, body } = await request(`${this.#alertmanager.url}/api/v2/alerts`, {
      method: 'POST',
      dispatcher: this.#dispatcher,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([{ labels, annotations: { summary, description }, startsAt }]),
    });
    await body.dump();
    if (statusCode !== 200) throw new Error(`Alertmanager answered ${statusCode}`);
  }
}
