import type { Clock } from '#agents/runtime/clock.ts';

/**
 * A look's own time, shorter than the check's, so that a silent target is "down" and not "could not be looked at".
 * Calls `onEnd` once: when the time is up, or with the signal's reason when the look is called off.
 */
export function startDeadline(
  within: { ms: number; clock: Clock; signal: AbortSignal },
  onEnd: (why: 'time' | 'aborted') => void,
): () => void {
  const abort = (): void => end('aborted');
  const cancelTimer = within.clock.after(within.ms, () => end('time'));
  const cancel = (): void => {
    cancelTimer();
    within.signal.removeEventListener('abort', abort);
  };
  function end(why: 'time' | 'aborted'): void {
    cancel();
    onEnd(why);
  }
  within.signal.addEventListener('abort', abort, { once: true });
  return cancel;
}
