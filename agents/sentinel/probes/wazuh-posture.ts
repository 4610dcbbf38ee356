import { z } from 'zod';
import { formatDuration } from '#config/duration.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { fewAtOnce } from './few-at-once.ts';
import { state, unseen } from './reading.ts';
import { remember } from './remembered.ts';
import { counted } from './text.ts';
import type { Wazuh } from './wazuh-api.ts';

export interface Agent {
  id: string;
  name: string;
}

/** Two requests each; the API takes 300 a minute from all who ask it. */
const maximumAgents = 60;
const atOnce = 4;
/** A lower score that has stood for so long is how it is now. */
const acceptedMs = 7 * 86_400_000;

const Policy = z.object({ policy_id: z.string(), name: z.string().default(''), score: z.number() });
const Scan = z.object({ start: z.string().nullish(), end: z.string().nullish() });
const Scores = z.record(z.string(), z.object({ score: z.number(), at: z.number() }));

interface Of {
  agents: readonly Agent[];
  context: CheckContext;
}

/** Scores of the hardening benchmarks against the best that was seen lately. */
export async function lookAtBenchmarks(wazuh: Wazuh, { agents, context }: Of, drop: number): Promise<Observation[]> {
  const condition = 'wazuh-score-dropped';
  const before = Scores.safeParse(context.memory.get('scores'));
  const known = before.success ? before.data : {};
  const scores: z.output<typeof Scores> = { ...known };
  const now = context.clock.now();
  const found = await fewAtOnce(agents.slice(0, maximumAgents), atOnce, async ({ id, name }) => {
    const answer = await wazuh.items(Policy, { path: `/sca/${encodeURIComponent(id)}` });
    if (answer.is !== 'value') return [unseen({ condition, resource: `${id} ${name}` }, answer.reason)];
    const policies = [...new Map(answer.value.map((policy) => [policy.policy_id, policy])).values()];
    return policies.slice(0, 10).map(({ policy_id: policy, name: title, score }) => {
      const key = `${id}/${policy}`;
      const best = known[key];
      const isNewBest = best === undefined || score >= best.score || now - best.at > acceptedMs;
      const reference = isNewBest ? score : best.score;
      // Seen at its best: the time counts from the last look that saw it.
      scores[key] = isNewBest ? { score, at: now } : best;
      return state({
        condition,
        resource: `${id} ${name} ${policy}`,
        labels: { agent: id.slice(0, 20), policy: policy.slice(0, 200) },
        holdMs: 0,
        summary: `${name} scores ${score} of 100 in ${title || policy}${reference > score ? `, it was ${reference}` : ''}`,
        ok: reference - score < drop,
        severity: 'warning',
      });
    });
  });
  remember(context.memory, 'scores', Object.fromEntries(Object.entries(scores).slice(0, 600)));
  return [...found.flat(), ...leftOut(condition, agents)];
}

/** What was not looked at is not well. */
function leftOut(condition: string, agents: readonly Agent[]): Observation[] {
  const left = agents.length - maximumAgents;
  if (left <= 0) return [];
  const reason = `${counted(left, 'agent')} more than the ${maximumAgents} that one check asks for: split them between two checks by "ignoreAgents"`;
  return [unseen({ condition, resource: 'agents' }, reason)];
}

/** When the files of each agent were last looked through. */
export async function lookAtFileScans(wazuh: Wazuh, { agents, context }: Of, limitMs: number): Promise<Observation[]> {
  const condition = 'wazuh-file-scan-old';
  const found = await fewAtOnce(agents.slice(0, maximumAgents), atOnce, async ({ id, name }) => {
    const said = { condition, resource: `${id} ${name}`, labels: { agent: id.slice(0, 20) }, holdMs: 0 };
    const answer = await wazuh.items(Scan, { path: `/syscheck/${encodeURIComponent(id)}/last_scan` });
    if (answer.is !== 'value') return unseen(said, answer.reason);
    // While a scan runs its end is empty, or that of the scan before.
    const times = answer.value.flatMap(({ start, end }) => [Date.parse(start ?? ''), Date.parse(end ?? '')]);
    const last = Math.max(0, ...times.filter((time) => !Number.isNaN(time)));
    const age = Math.max(0, context.clock.now() - last);
    const words =
      last === 0
        ? 'were never looked through'
        : `were looked through ${formatDuration(Math.floor(age / 60_000) * 60_000)} ago`;
    return state({
      ...said,
      summary: `the files of ${name} ${words}`,
      ok: last > 0 && age <= limitMs,
      severity: 'warning',
    });
  });
  return [...found, ...leftOut(condition, agents)];
}
