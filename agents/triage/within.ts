import { Failure } from '#bus/failure.ts';
import type { Clock } from '#agents/runtime/clock.ts';

/**
 * Gives `work` a signal that aborts after `limit.ms`, and with `limit.signal`. Contract: when its time was up and it
 * failed, a recoverable Failure of the words `limit.late` is thrown, whatever words the work had for that. It is the
 * work that ends; one that does not listen to its signal is waited for.
 */
export async function within<T>(
  limit: { clock: Clock; ms: number; late: string; signal?: AbortSignal },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new Failure(limit.late, { recoverable: true });
  const timeout = new AbortController();
  const cancel = limit.clock.after(limit.ms, () => timeout.abort(late));
  try {
    return await work(limit.signal === undefined ? timeout.signal : AbortSignal.any([limit.signal, timeout.signal]));
  } catch (error) {
    throw timeout.signal.aborted && error instanceof Failure ? late : error;
  } finally {
    cancel();
  }
}
