import { messageOf } from '#bus/failure.ts';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';

/** Calls an address at an interval while all is well: a dead man's switch that somebody else watches. */
export function startOutboundHeartbeat(options: {
  url: string;
  /** Milliseconds. */
  every: number;
  isWell: () => boolean;
  clock: Clock;
  log: Log;
}): { stop(): void } {
  const ending = new AbortController();
  let cancel: () => void;
  const beat = async (): Promise<void> => {
    if (options.isWell()) await call(options.url, ending.signal).catch((error: unknown) => report(options.log, error));
    if (!ending.signal.aborted) cancel = options.clock.after(options.every, beat);
  };
  cancel = options.clock.after(0, beat);
  return {
    stop: () => {
      ending.abort();
      cancel();
    },
  };
}

async function call(url: string, signal: AbortSignal): Promise<void> {
  const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]) });
  await response.body?.cancel();
}

function report(log: Log, error: unknown): void {
  log.warn({ error: messageOf(error) }, 'the outbound heartbeat got no answer');
}
