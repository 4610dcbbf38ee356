import type { Clock } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import { Failure } from '#bus/failure.ts';
import type { People } from '#config/people.ts';
import { openBotApi, TelegramFailure, type BotApi } from './telegram/bot-api.ts';
import { Conversation } from './telegram/conversation.ts';
import { openMemory, type Memory } from './telegram/memory.ts';
import { Mailer } from './telegram/mailer.ts';
import { poll } from './telegram/poll.ts';
import { commandEntries, describeCommand } from '../people/command-list.ts';
import {
  type Channel,
  type ChannelHost,
  type Delivered,
  DeliveryFailure,
  type Outbound,
  type Reference,
} from '../channel.ts';

export interface TelegramOptions {
  token: string;
  apiRoot: string;
  /** Chat that gets the messages. Absent: the private chat of the first person who may approve. */
  chat?: number | undefined;
  /** Topic of a forum group. */
  topic?: number | undefined;
  people: People;
  clock: Clock;
  log: Log;
  stateFolder: string;
  timeZone?: string | undefined;
  /** How long Telegram may hold a poll open; less only makes more requests. */
  holdSeconds?: number;
  /** How much longer an answer may take before the connection counts as dead; 15 unless told. */
  graceSeconds?: number;
}

export interface TelegramChannel extends Channel {
  /** Without the `@`. Empty as long as Telegram could not be asked. */
  readonly botName: string;
}

/** Asks Telegram whose token it is. A refused token is a Failure; a Telegram that does not answer is waited for later. */
export async function openTelegram(options: TelegramOptions): Promise<TelegramChannel> {
  if (!/^\d+:[\w-]+$/.test(options.token)) throw badToken('it does not look like 123456789:AbC-dEf');
  const api = await openBotApi(options.token, options.apiRoot);
  let botName = '';
  try {
    botName = await askName(api, { signal: new AbortController().signal, limitMs: 10_000 });
  } catch (error) {
    if (!(error instanceof TelegramFailure)) throw error;
    if (error.code === 401 || error.code === 404) throw badToken(`Telegram answered ${error.description}`);
    options.log.warn({ reason: error.message }, 'Telegram does not answer yet; it is asked again');
  }
  return new Telegram({ ...options, api, botName, memory: openMemory(options.stateFolder) });
}

function badToken(reason: string): Failure {
  return new Failure(`Cannot use the Telegram bot token: ${reason}; copy it again from @BotFather`, {
    recoverable: false,
  });
}

async function askName(api: BotApi, limits: { signal: AbortSignal; limitMs?: number }): Promise<string> {
  const me = await api.call('ask', (bot, signal) => bot.getMe(signal), limits);
  return me.username;
}

const sharedToken = `Another program reads what is written to this bot
It takes presses and commands away that are meant for Lares. End it, or make a bot for each with @BotFather.`;

/** What Telegram offers when somebody types a slash. */
const menu = commandEntries.map(([command, entry]) => ({ command, description: describeCommand(entry) }));

class Telegram implements TelegramChannel {
  readonly kind = 'telegram';
  readonly #options: TelegramOptions & { api: BotApi; memory: Memory };
  readonly #mailer: Mailer;
  readonly #polling = new AbortController();
  readonly #answering = new AbortController();
  #botName: string;
  #isWarned = false;
  #loop: Promise<void> | undefined;

  constructor(options: TelegramOptions & { api: BotApi; memory: Memory; botName: string }) {
    this.#options = options;
    this.#botName = options.botName;
    this.#mailer = new Mailer({ ...options, homeChat: () => this.#homeChat() });
  }

  get botName(): string {
    return this.#botName;
  }

  async start(host: ChannelHost): Promise<void> {
    const conversation = new Conversation({
      ...this.#options,
      host,
      botName: () => this.#botName,
      homeChat: () => this.#homeChat(),
      signal: this.#answering.signal,
    });
    this.#loop = poll(
      {
        ...this.#options,
        holdSeconds: this.#options.holdSeconds ?? 30,
        graceSeconds: this.#options.graceSeconds ?? 15,
        ready: (signal) => this.#introduce(signal),
        handle: (update) => conversation.handle(update),
        shared: (signal) => this.#warnOfAnother(signal),
      },
      this.#polling.signal,
    );
  }

  deliver(message: Outbound, previous: Reference | undefined, signal: AbortSignal): Promise<Delivered> {
    return message.type === 'card'
      ? this.#mailer.card(message, previous, signal)
      : this.#mailer.notice(message, previous, signal);
  }

  /** The update in hand is finished, for at most five seconds. */
  async stop(): Promise<void> {
    if (this.#polling.signal.aborted) return this.#loop;
    this.#polling.abort();
    const giveUp = this.#options.clock.after(5_000, () => this.#answering.abort());
    await this.#loop;
    giveUp();
    this.#answering.abort();
    this.#options.memory.close();
  }

  async #introduce(signal: AbortSignal): Promise<void> {
    const { api, log } = this.#options;
    if (this.#botName === '') this.#botName = await askName(api, { signal });
    await api
      .call('set the menu at', (bot, abort) => bot.setMyCommands(menu, undefined, abort), { signal })
      .catch((error: unknown) => {
        if (!(error instanceof TelegramFailure)) throw error;
        log.debug({ reason: error.message }, 'the menu of commands was not set');
      });
    log.info({ bot: this.#botName }, 'Telegram answers');
  }

  /** Sending still works: presses and commands are what the other program takes away. */
  async #warnOfAnother(signal: AbortSignal): Promise<void> {
    if (this.#isWarned) return;
    this.#isWarned = true;
    const { log } = this.#options;
    log.error({ bot: this.#botName }, 'another program polls with the token of this bot');
    try {
      await this.#mailer.notice({ type: 'notice', text: sharedToken, silent: false }, undefined, signal);
    } catch (error) {
      if (!(error instanceof DeliveryFailure)) throw error;
      log.warn({ reason: error.message }, 'nobody could be told of the other program');
    }
  }

  /** A private chat has the id of its person. */
  #homeChat(): number | undefined {
    const { chat, people, memory } = this.#options;
    if (chat !== undefined) return memory.chat(chat);
    const ids = (['approver', 'operator', 'reader'] as const).flatMap((role) => people.withRole(role));
    const first = ids.find((id) => /^telegram:\d+$/.test(id));
    return first === undefined ? undefined : Number(first.slice('telegram:'.length));
  }
}
