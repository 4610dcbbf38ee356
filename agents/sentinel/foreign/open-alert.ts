import { fingerprintOf } from '#bus/fingerprint.ts';
import { oneLine } from '#agents/sentinel/probes/text.ts';
import type { ForeignAlert } from './alert.ts';
import type { OpenAlert } from './source.ts';
import { safeLine, scrubbedValue } from './words.ts';

const maximumDetails = 12;

/** What is kept of an alert for whoever asks its source's address what is open. */
export function openAlert(alert: ForeignAlert, startsAt: number, now: number): OpenAlert {
  return {
    // Alertmanager's, which its tools expect.
    fingerprint: fingerprintOf(alert.labels),
    labels: openLabels(alert.labels),
    summary: safeLine(alert.summary),
    details: alert.details.slice(0, maximumDetails).map((line) => safeLine(line)),
    startsAt,
    updatedAt: now,
    endsAt: undefined,
    generatorUrl: alert.generatorUrl === undefined ? undefined : safeLine(alert.generatorUrl, 1_000),
  };
}

/** Labels as their sender may see them again: without secrets, bounded. */
export function openLabels(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(labels).map(([name, value]) => [oneLine(name, 200), scrubbedValue(name, value)]),
  );
}
