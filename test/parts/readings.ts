import type { Observation } from '#agents/sentinel/check.ts';

/** The names of what rests. */
export function asleepOnes(observations: readonly Observation[]): string[] {
  return observations.flatMap(({ reading, resource }) => (reading.is === 'asleep' ? [resource] : []));
}

/** The first of a condition, or that of one resource. */
export function oneOf(
  observations: readonly Observation[],
  condition: string,
  resource?: string,
): Observation | undefined {
  return observations.find((o) => o.condition === condition && (resource === undefined || o.resource === resource));
}
