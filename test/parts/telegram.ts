import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { until } from './until.ts';
import { ApiError, Chats, type ChatMessage } from './telegram-chat.ts';
import { createApiServer, Faults, type ApiCall, type TelegramFault } from './telegram-http.ts';
import { Updates } from './telegram-updates.ts';

export type { ChatMessage } from './telegram-chat.ts';
export type { TelegramFault } from './telegram-http.ts';

export interface Press {
  /** What the person saw after the press. */
  answered: Promise<{ text: string; alert: boolean }>;
  id: string;
}

export interface TelegramUser {
  readonly id: number;
  /** Writes in the private chat, or in a group. Gives the id of the message. */
  say(text: string, chat?: number, topic?: number): number;
  /** By the label or the data of a button that stands there now. */
  press(messageId: number, button: string): Press;
  block(): void;
  unblock(): void;
}

type Method = (fields: Record<string, unknown>, closed: AbortSignal) => unknown;

/** A Telegram Bot API on loopback. It refuses what Telegram refuses, in Telegram's words. */
export class TelegramPart implements AsyncDisposable {
  readonly token = '4242:fake-Token_of-the_test';
  readonly botName = 'lares_test_bot';
  readonly calls: Omit<ApiCall, 'token'>[] = [];
  readonly #chats = new Chats();
  readonly #updates = new Updates();
  readonly #presses = new Map<string, (answer: { text: string; alert: boolean }) => void>();
  readonly #methods: Record<string, Method>;
  readonly #faults = new Faults();
  #webhook = false;
  #server: Server;
  #port = 0;

  constructor() {
    this.#methods = this.#bindMethods();
    this.#server = this.#createServer();
  }

  get apiRoot(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** What stands in the chats, in order; deleted messages too. */
  messages(chat?: number): ChatMessage[] {
    return this.#chats.messages.filter((message) => chat === undefined || message.chat === chat);
  }

  /** Waits until a message is there that satisfies. */
  async message(satisfies: (message: ChatMessage) => boolean, what = 'a Telegram message'): Promise<ChatMessage> {
    let found: ChatMessage | undefined;
    const isThere = (): boolean => (found = this.#chats.messages.find(satisfies)) !== undefined;
    await until(isThere, what);
    if (found === undefined) throw new Error(`${what} vanished`);
    return found;
  }

  get isPolled(): boolean {
    return this.#updates.isPolled;
  }

  /** Updates that no bot has acknowledged. */
  get pending(): number {
    return this.#updates.pending;
  }

  user(id: number, name: string): TelegramUser {
    const place = this.#chats.places.get(id) ?? this.#chats.add({ id, type: 'private', title: name });
    const from = { id, is_bot: false, first_name: name };
    return {
      id,
      say: (text, chat = id, topic) => this.#say({ from, text, chat, topic }),
      press: (messageId, button) => this.#press(from, messageId, button),
      block: () => void (place.blocked = true),
      unblock: () => void (place.blocked = false),
    };
  }

  /** Ids of groups are negative. */
  group(id: number, title: string, topics: readonly number[] = []): void {
    this.#chats.add({ id, type: 'supergroup', title, topics });
  }

  /** A group becomes a supergroup: its id changes. */
  migrate(from: number, to: number): void {
    const place = this.#chats.places.get(from);
    if (place === undefined) throw new Error(`There is no chat ${from}`);
    this.#chats.add({ id: to, type: 'supergroup', title: place.title, topics: place.topics });
    place.movedTo = to;
  }

  remove(message: ChatMessage): void {
    message.deleted = true;
  }

  setWebhook(): void {
    this.#webhook = true;
  }

  fault(fault: TelegramFault): void {
    this.#faults.add(fault);
  }

  clearFaults(): void {
    this.#faults.clear();
  }

  /** Nothing listens any more, and every connection is cut. */
  async down(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async up(): Promise<void> {
    if (this.#server.listening) return;
    this.#server = this.#createServer();
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }

  #createServer(): Server {
    return createApiServer(this.#faults, (call, closed) => this.#call(call, closed));
  }

  #bindMethods(): Record<string, Method> {
    const me = { id: 4_242, is_bot: true, first_name: 'Lares', username: this.botName };
    return {
      getme: () => ({ ...me, can_join_groups: true }),
      setmycommands: () => true,
      deletewebhook: () => {
        this.#webhook = false;
        return true;
      },
      getupdates: (fields, closed) => {
        if (!this.#webhook) return this.#updates.poll(fields, closed);
        const conflict =
          "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
        throw new ApiError(409, conflict);
      },
      sendmessage: (fields) => this.#wire(this.#chats.send(fields)),
      senddocument: (fields) => this.#wire(this.#chats.send(fields)),
      editmessagetext: (fields) => this.#wire(this.#chats.edit(fields)),
      editmessagereplymarkup: (fields) => this.#wire(this.#chats.edit(fields)),
      deletemessage: (fields) => this.#chats.remove(fields),
      answercallbackquery: (fields) => this.#answer(fields),
    };
  }

  #wire(message: ChatMessage): unknown {
    const place = this.#chats.places.get(message.chat);
    return {
      message_id: message.id,
      date: Math.floor(Date.now() / 1_000),
      chat: { id: message.chat, type: place?.type, title: place?.title },
      text: message.text,
      ...(message.topic !== undefined && { message_thread_id: message.topic, is_topic_message: true }),
    };
  }

  #say({ from, text, chat, topic }: { from: object; text: string; chat: number; topic: number | undefined }): number {
    const place = this.#chats.places.get(chat);
    const id = this.#chats.nextId();
    const inTopic = topic === undefined ? {} : { message_thread_id: topic, is_topic_message: true };
    const where = { id: chat, type: place?.type, title: place?.title };
    this.#updates.push({ message: { message_id: id, from, chat: where, date: 1_700_000_000, text, ...inTopic } });
    return id;
  }

  #press(from: object, messageId: number, button: string): Press {
    const message = this.#chats.messages.find((candidate) => candidate.id === messageId);
    const pressed = message?.buttons.flat().find(({ text, data }) => text === button || data === button);
    if (message === undefined || pressed === undefined)
      throw new Error(`Message ${messageId} has no button "${button}"`);
    const id = `${Date.now()}${this.#presses.size}`;
    const { promise, resolve } = Promise.withResolvers<{ text: string; alert: boolean }>();
    this.#presses.set(id, resolve);
    this.#updates.push({
      callback_query: { id, from, message: this.#wire(message), chat_instance: '1', data: pressed.data },
    });
    return { id, answered: promise };
  }

  #answer(fields: Record<string, unknown>): true {
    const id = String(fields['callback_query_id']);
    const resolve = this.#presses.get(id);
    if (resolve === undefined) {
      throw new ApiError(400, 'Bad Request: query is too old and response timeout expired or query ID is invalid');
    }
    const text = typeof fields['text'] === 'string' ? fields['text'] : '';
    if (text.length > 200) throw new ApiError(400, 'Bad Request: MESSAGE_TOO_LONG');
    this.#presses.delete(id);
    resolve({ text, alert: fields['show_alert'] === true });
    return true;
  }

  /** Telegram no longer takes an answer to this press. */
  expire(press: Press): void {
    this.#presses.delete(press.id);
  }

  async #call({ token, method, fields }: ApiCall, closed: AbortSignal): Promise<unknown> {
    this.calls.push({ method, fields });
    // A malformed token is no route at all.
    if (!/^\d+:/.test(token)) throw new ApiError(404, 'Not Found');
    if (token !== this.token) throw new ApiError(401, 'Unauthorized');
    const work = this.#methods[method.toLowerCase()];
    if (work === undefined) throw new ApiError(404, 'Not Found: method not found');
    return work(fields, closed);
  }
}

export async function startTelegram(): Promise<TelegramPart> {
  const telegram = new TelegramPart();
  await telegram.up();
  return telegram;
}
