import type { CheckContext } from '#agents/sentinel/check.ts';
import { startDeadline } from './deadline.ts';

/** What came of work that had only so much time. */
type TimedEnd<T> = { is: 'done'; value: T } | { is: 'late' };

/**
 * Gives a conversation its time. Its signal aborts when the time is up, when the look is called off and when it ends, so
 * that it closes its sockets in one place. Rejects with what the conversation threw, or with the look's own reason.
 */
export async function withinTime<T>(
  limit: { ms: number; context: Pick<CheckContext, 'clock' | 'signal' | 'timeoutMs'> },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<TimedEnd<T>> {
  limit.context.signal.throwIfAborted();
  const closing = new AbortController();
  const { promise, resolve, reject } = Promise.withResolvers<TimedEnd<T>>();
  const cancel = startDeadline(limit, (why) => {
    if (why === 'time') resolve({ is: 'late' });
    else reject(limit.context.signal.reason as Error);
  });
  work(closing.signal).then((value) => resolve({ is: 'done', value }), reject);
  try {
    return await promise;
  } finally {
    cancel();
    closing.abort(new Error('the conversation is over'));
  }
}
