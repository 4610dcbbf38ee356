import type { Observation } from '#agents/sentinel/check.ts';
import { severityOf } from '#agents/sentinel/judge.ts';

/** What is not well in a look, as `severity condition: summary`; what could not be looked at as `unknown ...`. */
export function problems(observations: readonly Observation[]): string[] {
  return observations.flatMap(({ condition, resource, reading, summary }) => {
    switch (reading.is) {
      case 'unknown':
        return [`unknown ${condition} ${resource}: ${reading.reason}`];
      case 'asleep':
        return [];
      case 'state':
        return reading.ok ? [] : [`${reading.severity} ${condition}: ${summary}`];
      case 'level': {
        const severity = severityOf(reading);
        return severity === undefined ? [] : [`${severity} ${condition}: ${summary}`];
      }
    }
  });
}
