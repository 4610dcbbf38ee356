import type { CheckContext } from '#agents/sentinel/check.ts';

/** What is left is for judging and storing what was seen. */
const shareOfTimeout = 0.9;

/**
 * A look's own time, shorter than the check's, so that a silent target is "down" and not "could not be looked at".
 * Calls `onEnd` once: when the time is up, or with the signal's reason when the look is called off.
 */
export function startDeadline(
  within: { ms: number; context: Pick<CheckContext, 'clock' | 'signal' | 'timeoutMs'> },
  onEnd: (why: 'time' | 'aborted') => void,
): () => void {
  const { clock, signal, timeoutMs } = within.context;
  const abort = (): void => end('aborted');
  const cancelTimer = clock.after(Math.min(within.ms, timeoutMs * shareOfTimeout), () => end('time'));
  const cancel = (): void => {
    cancelTimer();
    signal.removeEventListener('abort', abort);
  };
  function end(why: 'time' | 'aborted'): void {
    cancel();
    onEnd(why);
  }
  signal.addEventListener('abort', abort, { once: true });
  return cancel;
}
