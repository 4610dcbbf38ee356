import type { PlannedHost, PlannedProbe } from '#bus/messages/plan.ts';
import { scrub } from '#bus/scrub.ts';
import { matchesInTime } from '#config/bounded-pattern.ts';
import type { CommandEnd } from '#agents/runtime/command.ts';
import type { Reach } from './reach.ts';
import { explainedRefusal, refusalBySudo } from './sudo.ts';

/** What a probe saw. */
export interface Seen {
  probe: PlannedProbe;
  /** `unknown`: it could not be looked at. */
  holds: 'yes' | 'no' | 'unknown';
  /** What came, in one line, redacted. */
  said: string;
}

/** On top of the host's own `timeout -k 5`: for a host that went silent. */
const silenceMs = 10_000;
const probeOutputBytes = 8_192;

/** Looks at all probes at once; the connection of each host is shared. Rejects only when the signal aborts. */
export async function lookAt(
  probes: readonly PlannedProbe[],
  hosts: readonly PlannedHost[],
  by: { reach: Pick<Reach, 'runner'>; signal: AbortSignal },
): Promise<Seen[]> {
  return await Promise.all(
    probes.map(async (probe) => {
      const host = hosts.find(({ host: name }) => name === probe.host);
      if (host === undefined) return { probe, holds: 'unknown' as const, said: 'the plan does not name its host' };
      const end = await by.reach.runner(host).run(probe.argv, {
        timeoutMs: probe.timeoutMs + silenceMs,
        signal: by.signal,
        maximumOutputBytes: probeOutputBytes,
      });
      const seen = judge(probe, end);
      const refusal = await explainedRefusal({ command: probe, host, end }, by);
      return refusal === undefined ? seen : { ...seen, said: refusal };
    }),
  );
}

/** Pure. A probe that could not run says nothing either way. */
export function judge(probe: PlannedProbe, end: CommandEnd): Seen {
  if (end.end !== 'exited') {
    return { probe, holds: 'unknown', said: 'reason' in end ? shortened(end.reason) : end.end };
  }
  const { stdout, stderr } = end.output;
  const said = shortened(stdout.trim() === '' ? stderr : stdout);
  const obstacle = obstacleOf(probe, end, said);
  if (obstacle !== undefined) return { probe, holds: 'unknown', said: obstacle };
  const isTrue = holds(probe, end.code, stdout);
  if (isTrue === undefined) return { probe, holds: 'unknown', said: 'its expression takes too long on what came' };
  return { probe, holds: isTrue ? 'yes' : 'no', said: said || `exit status ${end.code}` };
}

/** Why the command did not come to look, or undefined. */
function obstacleOf(
  probe: PlannedProbe,
  end: Extract<CommandEnd, { end: 'exited' }>,
  said: string,
): string | undefined {
  if (end.code === 124 || end.code === 137) return 'it took too long';
  // The shell of the host (or env, timeout) could not start it: the tool is missing or may not be used.
  if (end.code === 126 || end.code === 127) return said || 'it cannot be run there';
  return refusalBySudo(probe, end);
}

function holds(probe: PlannedProbe, code: number, stdout: string): boolean | undefined {
  if (!probe.success.includes(code)) return false;
  const has = matches(probe.matches, stdout, true);
  const hasNot = matches(probe.matchesNot, stdout, false);
  return has === undefined || hasNot === undefined ? undefined : has && !hasNot;
}

function matches(pattern: string | undefined, text: string, otherwise: boolean): boolean | undefined {
  return pattern === undefined ? otherwise : matchesInTime(new RegExp(pattern, 'mu'), text.trim());
}

/** One line of at most 200 characters without secrets. */
export function shortened(text: string): string {
  return scrub(text)
    .replaceAll(/[\p{C}\s]+/gu, ' ')
    .trim()
    .slice(0, 200);
}

/** A probe that does not hold, in words. */
export function complaint(seen: Seen): string {
  const { states, host } = seen.probe;
  return seen.holds === 'unknown'
    ? `cannot look on ${host} whether ${states}: ${seen.said}`
    : `not true on ${host}: ${states} (${seen.said})`;
}
