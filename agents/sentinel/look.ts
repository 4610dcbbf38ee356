import { Failure, messageOf } from '#bus/failure.ts';
import { formatDuration } from '#config/duration.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { CommandRunner } from '#agents/runtime/command.ts';
import type { Log } from '#agents/runtime/log.ts';
import type { CheckContext, Observation } from './check.ts';
import type { Probes } from './probe.ts';
import type { BoundCheck } from './registry.ts';
import { asleepCondition, unknownCondition } from './tracks.ts';

export interface LookOptions {
  clock: Clock;
  log: Log;
  probes: Probes;
  pings: CheckContext['pings'];
  others: CheckContext['others'];
  baseFolder: string;
  lasting: AbortSignal;
}

/** For checks without a host: there is nowhere to run a command. */
const nowhere: CommandRunner = {
  run: () => Promise.resolve({ end: 'unreachable', reason: 'the check has no host' }),
};

/** What a kind gets to see: for a look and for gathering evidence alike. */
export function contextFor(
  check: BoundCheck,
  options: LookOptions,
  of: Pick<CheckContext, 'memory' | 'signal' | 'isFirst'>,
): CheckContext {
  return {
    host: check.host,
    probe: check.host === undefined ? nowhere : options.probes.runnerFor(check.host.name),
    clock: options.clock,
    pings: options.pings,
    others: options.others,
    baseFolder: options.baseFolder,
    lasting: options.lasting,
    timeoutMs: check.config.timeout,
    ...of,
  };
}

/**
 * One look, whatever happens: a look that takes too long or a kind that throws is `unknown`. `lingering` settles when
 * the kind has really ended, which may be later than its time.
 */
export async function observe(
  check: BoundCheck,
  options: LookOptions,
  of: Pick<CheckContext, 'memory' | 'signal' | 'isFirst'>,
): Promise<{ observations: Observation[]; lingering: Promise<unknown> }> {
  const time = deadline(options.clock, check.config.timeout, of.signal);
  const context = contextFor(check, options, { ...of, signal: time.signal });
  const work = Promise.resolve().then(() => check.definition.observe(check.options, context));
  const lingering = work.then(
    () => undefined,
    () => undefined,
  );
  try {
    return { observations: await Promise.race([work, time.over]), lingering };
  } catch (error) {
    of.signal.throwIfAborted();
    return { observations: [whole(check, reasonOf(error, check, { time, log: options.log }))], lingering };
  } finally {
    time.cancel();
  }
}

/** The whole look as one unknown observation. */
export function whole(check: BoundCheck, reason: string): Observation {
  return {
    condition: unknownCondition,
    resource: check.resource,
    reading: { is: 'unknown', reason: reason.slice(0, 300) },
    summary: reason.slice(0, 300),
  };
}

/** The whole look as one observation that rests: with its host, there is nothing to look at. */
export function resting(check: BoundCheck, reason: string): Observation {
  return {
    condition: asleepCondition,
    resource: check.resource,
    reading: { is: 'asleep', reason: reason.slice(0, 300) },
    summary: reason.slice(0, 300),
  };
}

/** An on-demand service that is not there is asleep; what answers and is not well stays a problem. */
export function withSleep(observations: readonly Observation[]): Observation[] {
  return observations.map((observation) =>
    isDown(observation) && absentCondition.test(observation.condition)
      ? { ...observation, reading: { is: 'asleep', reason: 'an on-demand service is not there' } }
      : observation,
  );
}

/** How the kinds call it when nobody answers: `http-down`, `container-down`, `port-closed`, `ping-lost`. */
const absentCondition = /-(?:down|unreachable)$|^(?:port-closed|ping-lost)$/;

/** What was seen to be down while the way to it was cut is not known to be down. */
export function withoutBlame(observations: readonly Observation[], reason: string): Observation[] {
  return observations.map((observation) =>
    isDown(observation) ? { ...observation, reading: { is: 'unknown', reason } } : observation,
  );
}

/** A level that was read was reached; only a state can be bad because nothing answered. */
export function isDown({ reading }: Observation): boolean {
  return reading.is === 'state' && !reading.ok;
}

function reasonOf(error: unknown, check: BoundCheck, of: { time: Deadline; log: Log }): string {
  if (of.time.isOver()) return `the look took longer than ${formatDuration(check.config.timeout)}`;
  if (error instanceof Failure) return messageOf(error);
  // One faulty kind must not blind the others: its bug is an unknown here and an error in the log.
  of.log.error({ err: error, check: check.id, kind: check.kind }, 'a kind of check has a bug');
  return `the kind "${check.kind}" has a bug: ${messageOf(error)}`;
}

interface Deadline {
  signal: AbortSignal;
  /** Rejects when the time is up or the outer signal aborts. */
  over: Promise<never>;
  isOver(): boolean;
  cancel(): void;
}

function deadline(clock: Clock, timeoutMs: number, outer: AbortSignal): Deadline {
  const controller = new AbortController();
  const { promise: over, reject } = Promise.withResolvers<never>();
  over.catch(() => undefined);
  let isOver = false;
  const end = (reason: unknown): void => {
    controller.abort(reason);
    reject(
      reason instanceof Error ? reason : new Failure('Cannot go on looking: it was called off', { recoverable: true }),
    );
  };
  const stop = (): void => end(outer.reason);
  if (outer.aborted) stop();
  outer.addEventListener('abort', stop, { once: true });
  const cancelTimer = clock.after(timeoutMs, () => {
    isOver = true;
    end(new Failure('Cannot go on looking: its time is up', { recoverable: true }));
  });
  return {
    signal: controller.signal,
    over,
    isOver: () => isOver,
    cancel() {
      cancelTimer();
      outer.removeEventListener('abort', stop);
    },
  };
}
