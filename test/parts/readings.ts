import type { Observation } from '#agents/sentinel/check.ts';

/** Everything that is not well, in short. */
export function badOnes(observations: readonly Observation[]): string[] {
  return observations.flatMap(({ condition, resource, reading }) => {
    if (reading.is === 'unknown') return [`unknown ${condition} ${resource}`];
    if (reading.is === 'state') return reading.ok ? [] : [`${reading.severity} ${condition} ${resource}`];
    if (reading.is === 'asleep') return [];
    const sign = reading.bad === 'above' ? 1 : -1;
    const beyond = (limit?: { trigger: number }) => limit !== undefined && sign * reading.value >= sign * limit.trigger;
    const severity = beyond(reading.critical) ? 'critical' : beyond(reading.warning) ? 'warning' : undefined;
    return severity === undefined ? [] : [`${severity} ${condition} ${resource}`];
  });
}

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
