import { topicMatches } from '#bus/subscriptions.ts';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { fieldOf, timeIn } from './json-field.ts';
import { MqttConversation, type MqttMessage, type MqttTarget } from './mqtt.ts';
import { jsonOf, oneLine } from './text.ts';

/** What a topic is listened to for. `path` and `timePath` lead to fields of a JSON payload, `a.b.0`. */
interface TopicWish {
  filter: string;
  path?: string | undefined;
  timePath?: string | undefined;
}

/** The last message of a filter. */
export interface Heard {
  topic: string;
  /** Epoch ms when it was published; undefined for a retained one that does not say. */
  at: number | undefined;
  /** The field of `path`, or the start of the payload. */
  value: string | number | undefined;
}

/**
 * Messages come between the looks, so a connection that listens outlives them: one for each broker, user and set of
 * filters. It keeps no process alive, opens no session at the broker, and ends with those who look. A new look opens one
 * that broke.
 */
class Watch {
  readonly heard = new Map<string, Heard>();
  conversation: MqttConversation | undefined;
  /** Epoch ms since when nothing can have been missed. */
  listeningSince = 0;
  isRefused = false;
}

type Watches = Map<string, Watch>;

/** By the `lasting` of those who look. */
const allWatches = new WeakMap<AbortSignal, Watches>();
const maximumPayload = 65_536;

function watchesOf(lasting: AbortSignal): Watches {
  const known = allWatches.get(lasting);
  if (known !== undefined) return known;
  const watches: Watches = new Map();
  allWatches.set(lasting, watches);
  lasting.addEventListener('abort', () => {
    for (const { conversation } of watches.values()) conversation?.close();
  });
  return watches;
}

export type Listening =
  | { is: 'listening'; since: number; heard: ReadonlyMap<string, Heard> }
  /** The broker does not let this user subscribe. */
  | { is: 'refused' };

/** What was heard so far. The look that opens the connection waits `settleMs` for what the broker has in store. */
export async function listenTo(
  of: { target: MqttTarget; wishes: readonly TopicWish[]; settleMs: number },
  context: CheckContext,
): Promise<Listening> {
  const watches = watchesOf(context.lasting);
  const key = JSON.stringify([of.target.url, of.target.user ?? '', of.wishes]);
  const watch = watches.get(key) ?? new Watch();
  watches.set(key, watch);
  if (watch.conversation?.isOpen !== true) await open(watch, of, context);
  if (watch.isRefused) return { is: 'refused' };
  return { is: 'listening', since: watch.listeningSince, heard: watch.heard };
}

async function open(
  watch: Watch,
  of: { target: MqttTarget; wishes: readonly TopicWish[]; settleMs: number },
  context: CheckContext,
): Promise<void> {
  const { clock } = context;
  watch.conversation?.close();
  const opening = new AbortController();
  const abort = (): void => opening.abort(context.signal.reason);
  context.signal.addEventListener('abort', abort, { once: true });
  try {
    const conversation = await MqttConversation.open(of.target, { signal: opening.signal, isQuiet: true });
    watch.conversation = conversation;
    conversation.listen((message) => {
      const now = clock.now();
      for (const wish of of.wishes) if (topicMatches(wish.filter, message.topic)) note(watch, wish, { message, now });
    });
    watch.isRefused = !(await conversation.subscribe(
      of.wishes.map(({ filter }) => filter),
      1,
    ));
    watch.listeningSince = clock.now();
    await clock.sleep(of.settleMs, context.signal);
    conversation.release();
  } finally {
    context.signal.removeEventListener('abort', abort);
  }
}

function note(watch: Watch, wish: TopicWish, of: { message: MqttMessage; now: number }): void {
  const { message, now } = of;
  const heard = readMessage(message, wish, now);
  const before = watch.heard.get(wish.filter);
  // Many retained topics of one filter come at once: the newest counts, not the last.
  const isOlder = before?.at !== undefined && (heard.at === undefined || heard.at < before.at);
  if (message.retained && isOlder) return;
  watch.heard.set(wish.filter, heard);
}

/** What a message says at `now`. */
export function readMessage(message: MqttMessage, wish: TopicWish, now: number): Heard {
  const text = message.payload.subarray(0, maximumPayload).toString('utf8');
  const isJson = wish.path !== undefined || wish.timePath !== undefined;
  const json = isJson && message.payload.length <= maximumPayload ? jsonOf(text) : undefined;
  const own = wish.timePath === undefined ? undefined : timeIn(fieldOf(json, wish.timePath));
  const field = wish.path === undefined ? text : fieldOf(json, wish.path);
  const value = typeof field === 'number' ? field : field === undefined ? undefined : plain(field);
  const at = own ?? (message.retained || wish.timePath !== undefined ? undefined : now);
  return { topic: oneLine(message.topic, 200), at: at === undefined ? undefined : Math.min(at, now), value };
}

function plain(field: unknown): string {
  return oneLine(typeof field === 'string' ? field : (JSON.stringify(field) ?? ''), 200);
}
