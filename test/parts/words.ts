import type { Observation } from '#agents/sentinel/check.ts';

/** `condition resource ok|warning|critical|info|asleep|unknown|level`: what a look said, to compare as a list. */
export function words(found: readonly Observation[]): string[] {
  return found.map(({ condition, resource, reading }) => `${condition} ${resource} ${wordOf(reading)}`);
}

/** `ok|warning|critical|info|asleep|unknown|level condition: summary`, with what differs from run to run replaced. */
export function told(found: readonly Observation[], replaced: readonly [RegExp, string][] = []): string[] {
  return found.map(({ condition, reading, summary }) => {
    const text = replaced.reduce((words, [pattern, by]) => words.replaceAll(pattern, by), summary);
    return `${wordOf(reading)} ${condition}: ${text}`;
  });
}

function wordOf(reading: Observation['reading']): string {
  return reading.is === 'state' ? (reading.ok ? 'ok' : reading.severity) : reading.is;
}
