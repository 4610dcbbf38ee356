import { Failure } from '#bus/failure.ts';
import type { Clock } from '#agents/runtime/clock.ts';

/**
 * Gives `work` a signal that aborts after `limit.ms` with a recoverable Failure of the words `limit.late`, and with
 * `limit.signal`. Contract: it is the work that ends; one that does not listen to its signal is waited for.
 */
export async function within<T>(
  limit: { clock: Clock; ms: number; late: string; signal?: AbortSignal },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeout = new AbortController();
  const cancel = limit.clock.after(limit.ms, () => timeout.abort(new Failure(limit.late, { recoverable: true })));
  try {
    return await work(limit.signal === undefined ? timeout.signal : AbortSignal.any([limit.signal, timeout.signal]));
  } finally {
    cancel();
  }
}
