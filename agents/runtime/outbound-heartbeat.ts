import { Failure, messageOf } from '#bus/failure.ts';
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
  let lastTrouble: string | undefined;
  const beat = async (): Promise<void> => {
    if (options.isWell()) {
      const trouble = await call(options.url, ending.signal).then(() => undefined, messageOf);
      if (!ending.signal.aborted) tell(options.log, { trouble, before: lastTrouble });
      lastTrouble = trouble;
    }
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
  // A switch that nobody holds: Uptime Kuma and Healthchecks say 404 for a token that is wrong or was paused.
  if (!response.ok) throw new Failure(`it answered ${response.status}`, { recoverable: true });
}

/** Said when it changes: the address holds a token and stays out of it. */
function tell(log: Log, of: { trouble: string | undefined; before: string | undefined }): void {
  if (of.trouble === of.before) return;
  if (of.trouble === undefined) log.info('the outbound heartbeat is heard again');
  else log.warn({ error: of.trouble }, 'the outbound heartbeat is not heard: nobody would notice that this stops');
}
