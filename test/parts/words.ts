import type { Observation } from '#agents/sentinel/check.ts';

/** `condition resource ok|warning|critical|info|asleep|unknown|level`: what a look said, to compare as a list. */
export function words(found: readonly Observation[]): string[] {
  return found.map(({ condition, resource, reading }) => {
    const word = reading.is === 'state' ? (reading.ok ? 'ok' : reading.severity) : reading.is;
    return `${condition} ${resource} ${word}`;
  });
}
