import type { Observation } from '#agents/sentinel/check.ts';
import { severityOf } from '#agents/sentinel/judge.ts';

/** What is not well in a look, as `severity condition: summary`; what could not be looked at as `unknown ...`. */
export function problems(observations: readonly Observation[]): string[] {
  return notWell(observations, ({ condition, summary }) => `${condition}: ${summary}`);
}

/** The same with the resource, as `severity condition resource: summary`. */
export function namedProblems(observations: readonly Observation[]): string[] {
  return notWell(observations, ({ condition, resource, summary }) => `${condition} ${resource}: ${summary}`);
}

/** The same in short, as `severity condition resource`. */
export function badOnes(observations: readonly Observation[]): string[] {
  const short = ({ condition, resource }: Observation): string => `${condition} ${resource}`;
  return observations.flatMap((one) =>
    one.reading.is === 'unknown' ? [`unknown ${short(one)}`] : notWell([one], short),
  );
}

function notWell(observations: readonly Observation[], words: (observation: Observation) => string): string[] {
  return observations.flatMap((observation) => {
    const { condition, resource, reading } = observation;
    switch (reading.is) {
      case 'unknown':
        return [`unknown ${condition} ${resource}: ${reading.reason}`];
      case 'asleep':
        return [];
      case 'state':
        return reading.ok ? [] : [`${reading.severity} ${words(observation)}`];
      case 'level': {
        const severity = severityOf(reading);
        return severity === undefined ? [] : [`${severity} ${words(observation)}`];
      }
    }
  });
}
