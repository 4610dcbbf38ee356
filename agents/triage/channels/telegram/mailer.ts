import type { InlineKeyboardMarkup } from 'grammy/types';
import type { Log } from '#agents/runtime/log.ts';
import { cut, visibleLine, visibleText } from '../../render/visible.ts';
import { toHtml, toPlain, withoutLinks, type Span } from '../../render/html.ts';
import { planFile } from '../../render/plan-file.ts';
import { layoutCard, textLimit } from '../../render/telegram-card.ts';
import {
  DeliveryFailure,
  type Card,
  type CardPlan,
  type Delivered,
  type Outbound,
  type Reference,
} from '../../channel.ts';
import { TelegramFailure, type BotApi } from './bot-api.ts';
import type { Memory } from './memory.ts';

interface MailerOptions {
  api: BotApi;
  memory: Memory;
  log: Log;
  topic?: number | undefined;
  timeZone?: string | undefined;
  homeChat(): number | undefined;
}

type CardMessage = Extract<Outbound, { type: 'card' }>;
type NoticeMessage = Extract<Outbound, { type: 'notice' }>;

interface Text {
  spans: readonly Span[];
  keyboard: InlineKeyboardMarkup;
  silent: boolean;
}

/** A message that was sent, and the digest of the plan whose file stands above it. */
interface Sent {
  chat: number;
  message: number;
  file: string | undefined;
}

/** Sends and edits. One message per incident; what Telegram refuses for its form is sent in a plainer one. */
export class Mailer {
  readonly #options: MailerOptions;

  constructor(options: MailerOptions) {
    this.#options = options;
  }

  async card(message: CardMessage, previous: Reference | undefined, signal: AbortSignal): Promise<Delivered> {
    const { card } = message;
    const before = this.#find(previous);
    const chat = before?.chat ?? this.#chat();
    const file = await this.#planFile({ card, chat, before }, signal);
    const layout = layoutCard(card, { timeZone: this.#options.timeZone, fileSent: file !== undefined });
    const isShown = layout.plan === 'whole' || (layout.plan === 'file' && file !== undefined);
    const text = { spans: layout.spans, keyboard: keyboardOf(card, isShown), silent: message.silent };
    const sent = await this.#put(chat, { text, before }, signal);
    return { reference: JSON.stringify({ ...sent, file }), shownPlan: isShown ? card.plan?.id : undefined };
  }

  /** Digest of the plan in the file above the card, sent now if the commands do not fit on the card. */
  async #planFile(
    { card, chat, before }: { card: Card; chat: number; before: Sent | undefined },
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { plan } = card;
    if (plan === undefined) return undefined;
    if (before?.file === plan.digest) return plan.digest;
    if (layoutCard(card, { timeZone: this.#options.timeZone, fileSent: false }).plan !== 'file') return undefined;
    return (await this.#sendPlan({ card, plan, chat }, signal)) ? plan.digest : undefined;
  }

  async notice(message: NoticeMessage, previous: Reference | undefined, signal: AbortSignal): Promise<Delivered> {
    const before = this.#find(previous);
    const chat = before?.chat ?? this.#chat();
    const whole = withoutLinks(visibleText(message.text)).trim() || '(empty)';
    if (whole.length > textLimit) {
      await this.#sendFile(
        { chat, name: 'message.txt', text: visibleText(message.text), caption: 'The whole text' },
        signal,
      );
    }
    const text = {
      spans: noticeSpans(cut(whole, textLimit)),
      keyboard: { inline_keyboard: [] },
      silent: message.silent,
    };
    const sent = await this.#put(chat, { text, before }, signal);
    return { reference: JSON.stringify(sent), shownPlan: undefined };
  }

  #chat(): number {
    const chat = this.#options.homeChat();
    if (chat !== undefined) return chat;
    throw new DeliveryFailure('Cannot send to Telegram: nobody has paired yet and no chat is configured', {
      recoverable: true,
      retryAfterMs: 15_000,
    });
  }

  /** The earlier message, unless messages now belong into another chat. */
  #find(reference: Reference | undefined): Sent | undefined {
    const sent = reference === undefined ? undefined : parseReference(reference);
    if (sent === undefined) return undefined;
    const chat = this.#options.memory.chat(sent.chat);
    return chat === sent.chat && (this.#options.homeChat() ?? chat) === chat ? sent : undefined;
  }

  /** False when Telegram will never take the file; then the plan stays without its button. */
  async #sendPlan(
    { card, plan, chat }: { card: Card; plan: CardPlan; chat: number },
    signal: AbortSignal,
  ): Promise<boolean> {
    const file = planFile(card, plan, this.#options.timeZone);
    const caption = `Plan for ${cut(visibleLine(card.title), 200)}\nsha256 ${cut(visibleLine(plan.digest), 64)}`;
    try {
      await this.#sendFile({ chat, ...file, caption: withoutLinks(caption) }, signal);
      return true;
    } catch (error) {
      if (!(error instanceof TelegramFailure) || error.recoverable) throw error;
      this.#options.log.warn({ plan: plan.id, reason: error.message }, 'the file with the commands was refused');
      return false;
    }
  }

  async #sendFile(
    { chat, name, text, caption }: { chat: number; name: string; text: string; caption: string },
    signal: AbortSignal,
  ): Promise<void> {
    const { InputFile } = await import('grammy');
    await this.#following(chat, (target) =>
      this.#options.api.call(
        'send a file to',
        (bot, abort) =>
          bot.sendDocument(
            target,
            new InputFile(Buffer.from(text, 'utf8'), name),
            { caption, disable_notification: true, ...this.#thread() },
            abort,
          ),
        { signal, limitMs: 60_000 },
      ),
    );
  }

  async #put(
    chat: number,
    { text, before }: { text: Text; before: Sent | undefined },
    signal: AbortSignal,
  ): Promise<Sent> {
    if (before !== undefined && (await this.#edit(before, text, signal))) return { ...before, file: undefined };
    return this.#following(chat, async (target) => {
      const message = await this.#formatted(text, (body, form) =>
        this.#options.api.call(
          'send to',
          (bot, abort) =>
            bot.sendMessage(
              target,
              body,
              { ...form, ...this.#thread(), ...keyboardField(text), disable_notification: text.silent },
              abort,
            ),
          { signal },
        ),
      );
      return { chat: target, message: message.message_id, file: undefined };
    });
  }

  /** False when there is no longer a message that could be edited. */
  async #edit(sent: Sent, text: Text, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#formatted(text, (body, form) =>
        this.#options.api.call(
          'edit at',
          (bot, abort) =>
            bot.editMessageText(sent.chat, sent.message, body, { ...form, reply_markup: text.keyboard }, abort),
          { signal },
        ),
      );
      return true;
    } catch (error) {
      if (!(error instanceof TelegramFailure)) throw error;
      if (error.description.includes('message is not modified')) return true;
      if (error.migratedTo !== undefined) this.#options.memory.moved(sent.chat, error.migratedTo);
      if (error.migratedTo !== undefined || isGone(error)) return false;
      throw error;
    }
  }

  /** As HTML, and as plain text if Telegram does not accept that: rather without bold than not at all. */
  async #formatted<T>(text: Text, send: (body: string, form: Form) => Promise<T>): Promise<T> {
    try {
      return await send(toHtml(text.spans), { ...form, parse_mode: 'HTML' });
    } catch (error) {
      if (!(error instanceof TelegramFailure) || !error.description.includes("can't parse entities")) throw error;
      this.#options.log.error({ reason: error.message }, 'Telegram refused the markup; the text is sent without');
      return send(cut(toPlain(text.spans), textLimit), form);
    }
  }

  /** Goes after a group that became a supergroup, and remembers where it went. */
  async #following<T>(chat: number, work: (chat: number) => Promise<T>): Promise<T> {
    const target = this.#options.memory.chat(chat);
    try {
      return await work(target);
    } catch (error) {
      if (!(error instanceof TelegramFailure) || error.migratedTo === undefined) throw error;
      this.#options.memory.moved(target, error.migratedTo);
      if (target !== chat) this.#options.memory.moved(chat, error.migratedTo);
      return work(error.migratedTo);
    }
  }

  #thread(): { message_thread_id?: number } {
    return this.#options.topic === undefined ? {} : { message_thread_id: this.#options.topic };
  }
}

interface Form {
  parse_mode?: 'HTML';
  link_preview_options: { is_disabled: true };
}

const form: Form = { link_preview_options: { is_disabled: true } };

function isGone(error: TelegramFailure): boolean {
  return /message to edit not found|message can't be edited|MESSAGE_ID_INVALID/.test(error.description);
}

function keyboardField(text: Text): { reply_markup?: InlineKeyboardMarkup } {
  return text.keyboard.inline_keyboard.length === 0 ? {} : { reply_markup: text.keyboard };
}

/** Approving is offered only where the exact commands were shown. */
function keyboardOf(card: Card, isPlanShown: boolean): InlineKeyboardMarkup {
  const rows = card.buttons
    .map((row) => row.filter((button) => button.action !== 'approve' || isPlanShown))
    .filter((row) => row.length > 0)
    .map((row) => row.map(({ label, token }) => ({ text: cut(visibleLine(label), 64) || '·', callback_data: token })));
  return { inline_keyboard: rows };
}

/** The first of several lines is the headline. */
function noticeSpans(text: string): Span[] {
  const end = text.indexOf('\n');
  if (end <= 0) return [{ style: 'plain', text }];
  return [
    { style: 'bold', text: text.slice(0, end) },
    { style: 'plain', text: text.slice(end) },
  ];
}

/** Undefined for what another version of Lares wrote: then the message is sent anew. */
function parseReference(reference: Reference): Sent | undefined {
  try {
    const { chat, message, file } = JSON.parse(reference) as Record<string, unknown>;
    if (typeof chat !== 'number' || typeof message !== 'number') return undefined;
    return { chat, message, file: typeof file === 'string' ? file : undefined };
  } catch {
    return undefined;
  }
}
