import type { PlanBody } from '#bus/messages/plan.ts';
import { complaint, lookAt, type Seen } from './probe.ts';
import type { Reach } from './reach.ts';

/** What the card says when the trouble ended by itself. */
const conditionGone = 'the condition is already gone';

/**
 * Asks the hosts whether a plan still makes sense: every precondition must hold and what is wrong must still be wrong.
 * Returns why not. A probe that could not look counts as not holding.
 */
export async function guardProbes(
  body: Pick<PlanBody, 'preconditions' | 'condition' | 'hosts'>,
  by: { reach: Reach; signal: AbortSignal },
): Promise<string | undefined> {
  const [preconditions, conditions] = await Promise.all([
    lookAt(body.preconditions, body.hosts, by),
    lookAt(body.condition, body.hosts, by),
  ]);
  return refusalFrom(preconditions, conditions);
}

/** Pure. */
export function refusalFrom(preconditions: readonly Seen[], conditions: readonly Seen[]): string | undefined {
  const failed = preconditions.find(({ holds }) => holds !== 'yes');
  if (failed !== undefined) return `precondition: ${complaint(failed)}`;
  const unseen = conditions.find(({ holds }) => holds === 'unknown');
  if (unseen !== undefined) return complaint(unseen);
  const gone = conditions.find(({ holds }) => holds === 'no');
  return gone === undefined ? undefined : `${conditionGone}: ${complaint(gone)}`;
}
