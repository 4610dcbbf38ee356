import type { Evidence, Finding } from '#bus/messages/finding.ts';
import { evidenceOf } from '#agents/sentinel/probes/text.ts';
import { pastOf } from '#agents/sentinel/evidence.ts';
import type { History } from '#agents/sentinel/history.ts';
import type { OpenAlert } from './source.ts';

/** What comes with a foreign finding: what else its sender says, and how it went before. */
export function evidenceFor(finding: Finding, alert: OpenAlert, history: History): Evidence[] {
  const lines = [...alert.details, ...(alert.generatorUrl === undefined ? [] : [alert.generatorUrl])];
  return [...evidenceOf('state', `What "${finding.check}" says`, lines), ...pastOf(finding, history)];
}
