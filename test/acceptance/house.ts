import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { stringify } from 'yaml';
import { type Crew, everyone, startCrew } from '#agents/crew.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import { createLog } from '#agents/runtime/log.ts';
import { createVirtualClock, type VirtualClock } from '../parts/virtual-clock.ts';
import { loadConfig } from '#config/load.ts';
import { type ChatMessage, startTelegram, type TelegramPart, type TelegramUser } from '../parts/telegram.ts';

export interface HouseOptions {
  /** Keys of the configuration beside those of every house. */
  config?: Record<string, unknown>;
  startAt?: number;
  /** The time of the process instead of one that the test moves. */
  clock?: Clock;
}

/** Our time for each step of the virtual one. All servers live in this process, so a busy machine slows both alike. */
const paceMs = 4;
/** While something is waited for, time passes faster than ours, but not so fast that answers seem late. */
const waitingStepMs = 500;

export const noon = Date.parse('2026-11-20T12:00:00Z');

/**
 * The whole crew in this process, on the real embedded broker and a Telegram of its own, in a time that the test moves.
 * Anna (101) may approve; messages go to her.
 */
export class House implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'lares-house-'));
  readonly telegram: TelegramPart;
  readonly anna: TelegramUser;
  readonly #virtual: VirtualClock | undefined;
  readonly #options: HouseOptions;
  #crew: Crew | undefined;
  #log = '';
  #terminal = '';

  private constructor(telegram: TelegramPart, options: HouseOptions) {
    this.telegram = telegram;
    this.anna = telegram.user(101, 'Anna');
    this.#options = options;
    this.#virtual = options.clock === undefined ? createVirtualClock(options.startAt ?? noon) : undefined;
    mkdirSync(join(this.folder, 'state'), { mode: 0o700 });
    writeFileSync(join(this.folder, 'telegram.token'), telegram.token, { mode: 0o600 });
    writeFileSync(join(this.folder, 'model.key'), 'sk-of-the-test', { mode: 0o600 });
  }

  static async open(options: HouseOptions = {}): Promise<House> {
    const house = new House(await startTelegram(), options);
    await house.start();
    return house;
  }

  get crew(): Crew {
    if (this.#crew === undefined) throw new Error('The crew does not run');
    return this.#crew;
  }

  get clock(): VirtualClock {
    if (this.#virtual === undefined) throw new Error('This house lives in our time');
    return this.#virtual;
  }

  /** What was logged, and what the terminal showed. */
  get log(): string {
    return this.#log;
  }

  get terminal(): string {
    return this.#terminal;
  }

  get configFile(): string {
    return join(this.folder, 'lares.yaml');
  }

  async start(): Promise<void> {
    writeFileSync(this.configFile, stringify(this.#config()));
    const clock = this.#options.clock ?? this.#virtual;
    this.#crew = await startCrew({
      loaded: await loadConfig(this.configFile),
      members: everyone,
      log: createLog({ level: 'info', name: 'house', destination: sink((text) => (this.#log += text)) }),
      terminal: {
        input: new PassThrough(),
        output: sink((text) => (this.#terminal += text)),
        color: false,
        interactive: true,
      },
      ...(clock !== undefined && { clock }),
    });
  }

  async stop(): Promise<void> {
    const crew = this.#crew;
    this.#crew = undefined;
    if (crew === undefined) return;
    // Some waits of a stop are of the crew's own time.
    const ended = new AbortController();
    const stopped = crew.stop().finally(() => ended.abort());
    while (!ended.signal.aborted) await Promise.race([stopped, this.#step(waitingStepMs)]);
    await stopped;
  }

  /** Lets time pass. */
  async pass(ms: number, stepMs = 1_000): Promise<void> {
    const end = this.clock.now() + ms;
    while (this.clock.now() < end) await this.#step(Math.min(stepMs, end - this.clock.now()));
  }

  /** Lets time pass until it is true; rejects after so much of our time. */
  async until(isTrue: () => boolean | Promise<boolean>, what: string, limitMs = 40_000): Promise<void> {
    const end = Date.now() + limitMs;
    while (!(await isTrue())) {
      if (Date.now() > end)
        throw new Error(`Waited in vain for ${what}; the chat is\n${this.chat()}\n${this.#log.slice(-3_000)}`);
      await this.#step(waitingStepMs);
    }
  }

  /** The messages that Anna has, newest last. */
  messages(): ChatMessage[] {
    return this.telegram.messages(this.anna.id).filter((message) => !message.deleted);
  }

  /** Waits for a message with that text. */
  async message(pattern: RegExp, limitMs?: number): Promise<ChatMessage> {
    const find = (): ChatMessage | undefined => this.messages().find((message) => pattern.test(message.text));
    await this.until(() => find() !== undefined, `a message with ${pattern}`, limitMs);
    const found = find();
    if (found === undefined) throw new Error(`The message with ${pattern} vanished`);
    return found;
  }

  /** A question to the crew, as the command line asks it. */
  async ask(verb: string, data: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const bus = this.crew.access.connect('console');
    try {
      await bus.ready(AbortSignal.timeout(15_000));
      return await bus.request(verb, data, AbortSignal.timeout(15_000));
    } finally {
      await bus.close();
    }
  }

  async ping(name: string): Promise<void> {
    const answer = await fetch(`http://127.0.0.1:${this.crew.httpPort}/ping/${name}`);
    if (!answer.ok) throw new Error(`The ping was answered ${answer.status}`);
  }

  chat(): string {
    return this.messages()
      .map(({ id, text, buttons }) => `#${id} ${JSON.stringify(buttons.flat().map((button) => button.text))} ${text}`)
      .join('\n---\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.telegram[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #step(ms: number): Promise<void> {
    await this.#virtual?.advance(ms);
    await wait(paceMs);
  }

  #config(): object {
    return {
      state: 'state',
      http: { port: 0 },
      defaultChecks: false,
      people: { approvers: [101] },
      telegram: { token: { file: 'telegram.token' }, apiRoot: this.telegram.apiRoot, chat: 101 },
      triage: { groupWait: '1s' },
      digest: { enabled: false, timezone: 'UTC' },
      ...this.#options.config,
    };
  }
}

function sink(take: (text: string) => void): Writable {
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      take(chunk.toString());
      done();
    },
  });
}
