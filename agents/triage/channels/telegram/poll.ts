import type { Update } from 'grammy/types';
import { Failure } from '#bus/failure.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import { backoff } from '#agents/runtime/retry.ts';
import { TelegramFailure, type BotApi } from './bot-api.ts';
import type { Memory } from './memory.ts';

interface PollOptions {
  api: BotApi;
  memory: Memory;
  clock: Clock;
  log: Log;
  /** How long Telegram may hold a request open. */
  holdSeconds: number;
  /** How long it may take beyond that before the connection counts as dead. */
  graceSeconds: number;
  /** Called once Telegram answers for the first time. */
  ready: (signal: AbortSignal) => Promise<void>;
  handle: (update: Update) => Promise<void>;
  /** Called when another program polls with the same token. */
  shared: (signal: AbortSignal) => Promise<void>;
}

/** A handler that takes longer no longer delays the next update; it goes on by itself. */
const patienceMs = 30_000;
/** Something between here and Telegram does not hold polls open; asking at once again would be thousands a second. */
const tooSoonPauseMs = 1_000;
const pause = { firstMs: 1_000, maximumMs: 60_000 };
/** A process that was killed leaves its poll open for a while: so many refusals in a row are those of another program. */
const conflictsOfAnother = 5;

/**
 * Long polling that outlives everything but `signal`: refusals, broken connections, answers that are not JSON, silence.
 * Contract: an update is noted as handled before Telegram may forget it, and one that is noted is not handled again.
 */
export async function poll(options: PollOptions, signal: AbortSignal): Promise<void> {
  let failures = 0;
  let isReady = false;
  while (!signal.aborted) {
    try {
      if (!isReady) await options.ready(signal);
      isReady = true;
      const begun = performance.now();
      const updates = await fetchUpdates(options, signal);
      if (updates.length === 0 && performance.now() - begun < 500) await options.clock.sleep(tooSoonPauseMs, signal);
      if (failures > 0) options.log.info({ failures }, 'Telegram answers again');
      failures = 0;
      for (const update of updates) await handleOnce(options, update);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Failure)) throw error;
      failures += 1;
      await recover(options, { error, failures }, signal);
    }
  }
}

function fetchUpdates(
  { api, memory, clock, holdSeconds, graceSeconds }: PollOptions,
  signal: AbortSignal,
): Promise<Update[]> {
  const offset = memory.offset(clock.now());
  return api.call(
    'poll',
    (bot, abort) =>
      bot.getUpdates(
        {
          timeout: holdSeconds,
          allowed_updates: ['message', 'callback_query'],
          ...(offset !== undefined && { offset }),
        },
        abort,
      ),
    { signal, limitMs: (holdSeconds + graceSeconds) * 1_000 },
  );
}

/** A process that dies between the work and the note handles the update again: presses are keyed by their token. */
async function handleOnce({ memory, clock, log, handle }: PollOptions, update: Update): Promise<void> {
  if (!memory.has(update.update_id)) await patiently({ clock, log, handle }, update);
  memory.add(update.update_id, clock.now());
}

async function patiently(
  { clock, log, handle }: Pick<PollOptions, 'clock' | 'log' | 'handle'>,
  update: Update,
): Promise<void> {
  const stop = new AbortController();
  const late = clock.sleep(patienceMs, stop.signal).then(
    () => true,
    () => false,
  );
  const isLate = await Promise.race([handle(update).then(() => false), late]);
  stop.abort();
  if (isLate) log.warn({ update: update.update_id }, 'handling a Telegram update takes long; the next ones go first');
}

async function recover(
  { api, clock, log, shared }: PollOptions,
  { error, failures }: { error: Failure; failures: number },
  signal: AbortSignal,
): Promise<void> {
  // Once at the start of a bad time, then rarely: an hour without network is one fact and not a thousand lines.
  if (failures === 1 || failures % 60 === 0) log.warn({ failures, reason: error.message }, 'Telegram cannot be polled');
  const refusal = error instanceof TelegramFailure ? error : undefined;
  if (refusal?.code === 409 && refusal.description.includes('webhook')) await dropWebhook(api, signal);
  else if (refusal?.code === 409 && failures === conflictsOfAnother) await shared(signal);
  await clock.sleep(pauseMs(refusal, failures), signal).catch(rethrowUnless(signal));
}

function pauseMs(refusal: TelegramFailure | undefined, failures: number): number {
  return refusal?.retryAfterMs ?? backoff(pause, failures);
}

/** Telegram refuses to be polled while a webhook of some earlier program stands. */
async function dropWebhook(api: BotApi, signal: AbortSignal): Promise<void> {
  await api
    .call('free', (bot, abort) => bot.deleteWebhook({ drop_pending_updates: false }, abort), { signal })
    .catch((error: unknown) => {
      if (!(error instanceof TelegramFailure) && !signal.aborted) throw error;
    });
}

function rethrowUnless(signal: AbortSignal): (error: unknown) => void {
  return (error) => {
    if (!signal.aborted) throw error;
  };
}
