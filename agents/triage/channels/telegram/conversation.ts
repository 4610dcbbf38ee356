import type { CallbackQuery, Message, Update, User } from 'grammy/types';
import { messageOf } from '#bus/failure.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import { backoff } from '#agents/runtime/retry.ts';
import { type RateLimit, createRateLimit } from '#agents/runtime/rate-limit.ts';
import type { Log } from '#agents/runtime/log.ts';
import type { People } from '#config/people.ts';
import { cut, visibleLine, visibleText } from '../../render/visible.ts';
import { withoutLinks } from '../../render/html.ts';
import { partsOf } from '../../render/parts.ts';
import { textLimit } from '../../render/telegram-card.ts';
import type { ChannelHost, Person } from '../../channel.ts';
import { TelegramFailure, type BotApi, type Work } from './bot-api.ts';

interface ConversationOptions {
  api: BotApi;
  host: ChannelHost;
  people: People;
  clock: Clock;
  log: Log;
  /** Empty while Telegram has not told it. */
  botName(): string;
  /** The chat of the incidents. Elsewhere than there and in private nothing is answered: other people read along. */
  homeChat(): number | undefined;
  signal: AbortSignal;
}

/** Where an answer goes. */
interface Place {
  chat: number;
  topic: number | undefined;
  isPrivate: boolean;
}

interface Command {
  name: string;
  argument: string;
}

/** Telegram cuts the answer to a press at 200 characters; a long one is shown as a window instead of a passing line. */
const pressAnswerLimit = 200;
const passingLimit = 90;
const partsOfAnswer = 4;
const tries = 3;
const patience = { firstMs: 1_000, maximumMs: 15_000 };
const perHour = 1 / 3_600;
const stranger = 'This bot belongs to somebody else and answers only the people its owner has added.';

/** Takes what people write and press. Who they are counts, never the chat they do it in. */
export class Conversation {
  readonly #options: ConversationOptions;
  readonly #refusals: RateLimit;
  readonly #reports: RateLimit;
  readonly #pairings: RateLimit;

  constructor(options: ConversationOptions) {
    this.#options = options;
    const { clock } = options;
    this.#refusals = createRateLimit({ perSecond: perHour, burst: 1, clock });
    this.#reports = createRateLimit({ perSecond: perHour, burst: 1, clock });
    this.#pairings = createRateLimit({ perSecond: 30 * perHour, burst: 5, clock });
  }

  /** Contract: never rejects. An update that breaks something is logged once and is over. */
  async handle(update: Update): Promise<void> {
    try {
      if (update.callback_query) await this.#pressed(update.callback_query);
      else if (update.message) await this.#wrote(update.message);
    } catch (error) {
      if (this.#options.signal.aborted) return;
      const fields = { update: update.update_id, reason: messageOf(error) };
      if (error instanceof TelegramFailure) this.#options.log.warn(fields, 'an answer did not reach its reader');
      else this.#options.log.error({ ...fields, err: error }, 'a Telegram update could not be handled');
    }
  }

  async #pressed(query: CallbackQuery): Promise<void> {
    const person = personOf(query.from);
    const answer = await this.#pressAnswer(person, query.data);
    const text = cut(answer, pressAnswerLimit);
    const shown = await this.#answerPress(query.id, text);
    if (shown && text === answer) return;
    const place = query.message && placeOf(query.message);
    if (place === undefined || answer === '' || !this.#isOurs(place)) return;
    await this.#say(place, place.isPrivate ? answer : `${person.name}: ${answer}`);
  }

  async #pressAnswer(person: Person, token: string | undefined): Promise<string> {
    if (!this.#options.people.may(person.id, 'reader')) {
      this.#report(person, 'a button');
      return stranger;
    }
    if (token === undefined) return '';
    try {
      return visibleText(await this.#options.host.press(person, token)).trim();
    } catch (error) {
      this.#options.log.error({ person: person.id, err: error }, 'a press could not be handled');
      return 'That did not work: the log of Lares says why.';
    }
  }

  /** False when Telegram no longer takes the answer: it forgets a press after about a quarter of a minute. */
  async #answerPress(id: string, text: string): Promise<boolean> {
    try {
      await this.#insist('answer at', (bot, signal) =>
        bot.answerCallbackQuery(id, { ...(text !== '' && { text, show_alert: text.length > passingLimit }) }, signal),
      );
      return true;
    } catch (error) {
      if (error instanceof TelegramFailure && error.code === 400) return false;
      throw error;
    }
  }

  async #wrote(message: Message): Promise<void> {
    if (message.from === undefined || message.text === undefined) return;
    const person = personOf(message.from);
    const place = placeOf(message);
    const command = commandOf(message.text, this.#options.botName());
    if (command === undefined && !place.isPrivate) return;
    const answer = await this.#answer(person, place, command ?? { name: 'help', argument: '' });
    if (answer !== '') await this.#say(place, answer);
  }

  async #answer(person: Person, place: Place, { name, argument }: Command): Promise<string> {
    const { host, people, log } = this.#options;
    try {
      if (name === 'start' && argument !== '') {
        if (!this.#pairings.take(person.id)) return '';
        return await host.pair(person, argument);
      }
      if (!people.may(person.id, 'reader')) return this.#refusal(person, `/${name}`);
      if (!this.#isOurs(place)) {
        return this.#refusals.take(person.id) ? 'Ask me in our private chat: others read along here.' : '';
      }
      return await host.command(person, name === 'start' ? 'help' : name, argument);
    } catch (error) {
      log.error({ person: person.id, command: name, err: error }, 'a command could not be handled');
      return 'That did not work: the log of Lares says why.';
    }
  }

  /** Elsewhere others read along, as where the incidents were told once. */
  #isOurs(place: Place): boolean {
    return place.isPrivate || place.chat === this.#options.homeChat();
  }

  #refusal(person: Person, what: string): string {
    this.#report(person, what);
    if (!this.#refusals.take(person.id)) return '';
    return `${stranger}\nYour Telegram id is ${person.id.slice('telegram:'.length)}; the owner can add it, or send you a pairing link.`;
  }

  #report(person: Person, what: string): void {
    if (!this.#reports.take(person.id)) return;
    this.#options.log.warn({ person: person.id, what }, 'somebody unknown was turned away');
    this.#options.host.refused?.(person, what);
  }

  /** Plain text, so that nothing in it can be markup. */
  async #say(place: Place, text: string): Promise<void> {
    for (const part of partsOf(answerText(text), textLimit, partsOfAnswer)) {
      await this.#insist('answer at', (bot, signal) =>
        bot.sendMessage(
          place.chat,
          part,
          {
            link_preview_options: { is_disabled: true },
            ...(place.topic !== undefined && { message_thread_id: place.topic }),
          },
          signal,
        ),
      );
    }
  }

  /** An answer has no outbox behind it: it gets a few tries while its reader still waits. */
  async #insist<T>(what: string, work: Work<T>): Promise<T> {
    const { api, clock, signal } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await api.call(what, work, { signal });
      } catch (error) {
        if (!(error instanceof TelegramFailure) || !error.recoverable || attempt === tries) throw error;
        await clock.sleep(Math.min(error.retryAfterMs ?? backoff(patience, attempt), patience.maximumMs), signal);
      }
    }
  }
}

function personOf(user: User): Person {
  const name = [user.first_name, user.last_name].filter((part) => part !== undefined).join(' ');
  return { id: `telegram:${user.id}`, name: cut(visibleLine(name).trim(), 64) };
}

function placeOf(message: Pick<Message, 'chat'> & Partial<Message>): Place {
  const topic = message.is_topic_message === true ? message.message_thread_id : undefined;
  return { chat: message.chat.id, topic, isPrivate: message.chat.type === 'private' };
}

/** `/name@bot argument`. Undefined when it is no command or one for another bot. */
function commandOf(text: string, botName: string): Command | undefined {
  const match = /^\/(\w{1,32})(?:@(\w{1,64}))?(?:\s+([\s\S]*))?$/.exec(text.trim());
  if (match === null) return undefined;
  const [, name = '', bot, argument = ''] = match;
  if (bot !== undefined && botName !== '' && bot.toLowerCase() !== botName.toLowerCase()) return undefined;
  return { name: name.toLowerCase(), argument: cut(argument.trim(), 1_000) };
}

/** Commands at the start of a line stay ones that can be tapped: an answer lists them so. */
function answerText(answer: string): string {
  const lines = visibleText(answer).trim().split('\n');
  return lines.map((line) => (/^\/\w/.test(line) ? `/${withoutLinks(line.slice(1))}` : withoutLinks(line))).join('\n');
}
