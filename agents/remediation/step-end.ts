import type { PlannedHost, PlannedStep } from '#bus/messages/plan.ts';
import { scrub } from '#bus/scrub.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { CommandEnd, CommandOutput } from '#agents/runtime/command.ts';
import { saysTimedOut } from '#agents/runtime/guarded-command.ts';
import { type Leftovers, leftovers } from './leftovers.ts';
import type { Reach } from './reach.ts';
import { explainedRefusal } from './sudo.ts';

/** How a step ended, and whether it is certain that nothing of it still runs. */
export interface StepEnd {
  status: 'succeeded' | 'failed' | 'timed-out' | 'unknown';
  exitStatus?: number;
  /** Both streams, redacted, with what Lares has to say in front. */
  output: string;
  /** False: something of it may still run, and its host stays locked. */
  isOver: boolean;
  /** False: the command never left. */
  hasRun: boolean;
}

/** The outcome of the runner, or that it was stopped on purpose. */
export type RawEnd = CommandEnd | { end: 'stopped'; reason: string };

const outputCharacters = 4_000;

/** Judges how a command ended. Where that leaves open whether it still runs, the host is asked and made to stop it. */
export async function settleStep(
  of: { step: PlannedStep; host: PlannedHost; end: RawEnd; tookMs: number },
  by: { reach: Reach; signal: AbortSignal; clock: Clock },
): Promise<StepEnd> {
  const { end } = of;
  switch (end.end) {
    case 'exited':
    case 'killed':
      return await settleEnded({ ...of, end }, by);
    case 'unreachable':
      return { status: 'failed', output: noted(`it never started: ${end.reason}`, ''), isOver: true, hasRun: false };
    case 'timed-out':
      // The host went silent, or its `timeout` may not end what sudo runs.
      return proven(await stopLeftovers(of, by), {
        status: 'timed-out',
        why: `it did not end within ${of.step.timeoutMs / 1_000}s`,
        output: textOf(end.output),
      });
    case 'lost':
      // Even when nothing of it runs any more, nobody knows whether it did its work.
      return proven(await stopLeftovers(of, by), {
        status: 'unknown',
        why: `connection lost (${end.reason})`,
        output: textOf(end.output),
      });
    case 'stopped':
      return proven(await stopLeftovers(of, by), { status: 'failed', why: `stopped: ${end.reason}`, output: '' });
  }
}

/** It told its end. `timeout` tells by 124, by 137, or by dying of the SIGKILL that it sent to its own group. */
async function settleEnded(
  of: { step: PlannedStep; host: PlannedHost; end: Extract<RawEnd, { end: 'exited' | 'killed' }>; tookMs: number },
  by: { reach: Reach; signal: AbortSignal; clock: Clock },
): Promise<StepEnd> {
  const { end, step, tookMs } = of;
  const output = textOf(end.output);
  const over = { isOver: true, hasRun: true, ...(end.end === 'exited' && { exitStatus: end.code }) };
  if (end.end === 'exited' && step.success.includes(end.code)) return { ...over, status: 'succeeded', output };
  const refusal = await explainedRefusal({ command: step, host: of.host, end }, by);
  if (refusal !== undefined) {
    return { status: 'failed', output: noted(`it never started: ${refusal}`, ''), isOver: true, hasRun: false };
  }
  const isLate = saysTimedOut(end, { ms: tookMs, timeoutMs: step.timeoutMs });
  const why = isLate ? `it took longer than ${step.timeoutMs / 1_000}s` : endedBySignal(end);
  if (why === undefined) return { ...over, status: 'failed', output };
  const found = await stopLeftovers(of, by);
  return { ...over, ...proven(found, { status: isLate ? 'timed-out' : 'failed', why, output }) };
}

/** Whoever killed it may have left its children: a shell in between tells 128 and the number of the signal. */
function endedBySignal(end: Extract<RawEnd, { end: 'exited' | 'killed' }>): string | undefined {
  if (end.end === 'killed') return `killed by ${end.signal}`;
  return end.code > 128 && end.code <= 192 ? `killed by signal ${end.code - 128}` : undefined;
}

function proven(found: Leftovers, of: { status: StepEnd['status']; why: string; output: string }): StepEnd {
  const { status, why, output } = of;
  switch (found.left) {
    case 'none':
      return { status, output: noted(`${why}; nothing of it runs any more`, output), isOver: true, hasRun: true };
    case 'some': {
      const list = found.processes.join('\n');
      return {
        status: 'unknown',
        output: noted(`${why}; STILL RUNNING:\n${list}`, output),
        isOver: false,
        hasRun: true,
      };
    }
    case 'unknown': {
      const note = `${why}; whether it still runs is not known (${found.reason})`;
      return { status: 'unknown', output: noted(note, output), isOver: false, hasRun: true };
    }
  }
}

/** A host that has just dropped a connection often takes the next one. */
const attempts = 3;
const pauseMs = 2_000;

async function stopLeftovers(
  of: { step: PlannedStep; host: PlannedHost },
  by: { reach: Reach; signal: AbortSignal; clock: Clock },
): Promise<Leftovers> {
  let found: Leftovers = { left: 'unknown', reason: 'not asked' };
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    if (by.signal.aborted) return found;
    found = await leftovers(of.step, of.host, { ...by, mode: 'stop' });
    if (found.left !== 'unknown') return found;
    if (attempt < attempts) await by.clock.sleep(pauseMs, by.signal).catch(() => undefined);
  }
  return found;
}

function noted(note: string, output: string): string {
  return `${note}${output === '' ? '' : `\n${output}`}`.slice(0, outputCharacters);
}

/** Both streams without secrets and control characters; the end of what came. */
function textOf({ stdout, stderr }: CommandOutput): string {
  const text = [stdout.trimEnd(), stderr.trimEnd()].filter((part) => part !== '').join('\n');
  return scrub(text)
    .replaceAll(/[^\P{C}\n\t]/gu, '')
    .slice(-outputCharacters + 300);
}
