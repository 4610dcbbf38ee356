import type { ForeignAlert } from './alert.ts';
import type { Source } from './source.ts';

/** A flood is over when nothing was left out for so long. */
const floodMs = 10 * 60_000;

/** What Lares says about a source itself. */
export interface Word {
  alertname: string;
  severity: ForeignAlert['severity'];
  condition: ForeignAlert['condition'];
  summary: string;
  endsAt?: number;
}

export function ownLabels(source: Source, alertname: string): Record<string, string> {
  return { alertname, intake: source.name };
}

export function floodOf(source: Source, leftOut: number, now: number): Word {
  return {
    alertname: 'intake-flood',
    severity: 'warning',
    condition: 'problem',
    summary: `"${source.name}" reports more than can be held: ${leftOut} of its alerts were left out`,
    endsAt: now + floodMs,
  };
}
