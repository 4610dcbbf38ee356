import { createHash } from 'node:crypto';
import type { Finding } from '#bus/messages/finding.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import { resourceName } from '#agents/sentinel/probes/text.ts';
import type { ForeignAlert } from './alert.ts';
import type { HostFinder } from './hosts.ts';
import type { Source } from './source.ts';
import { safeLabels, safeLine } from './words.ts';

/** A moving value is told this often at most; a change of severity at once. */
const refreshMs = 5 * 60_000;
const steadyMs = 30 * 60_000;

/** Labels that say what of the host is meant, the most telling first. */
const resourceLabels = [
  'resource',
  'mountpoint',
  'unit',
  'container',
  'name',
  'pod',
  'device',
  'monitor',
  'endpoint',
  'url',
  'target',
  'instance',
  'job',
];

export interface Making {
  fingerprint: string;
  source: Source;
  /** Said by Lares about the source. */
  isOwn?: boolean;
  hostOf: HostFinder;
  now: number;
}

/** The finding of an alert that nobody reported before. */
export function foreignFinding(
  alert: ForeignAlert,
  { fingerprint, source, hostOf, now, isOwn = false }: Making,
): Finding {
  const host = hostOf({ ...alert.more, ...alert.labels });
  const labels = {
    ...safeLabels({ ...source.config.labels, ...alert.more, ...alert.labels }),
    ...(host !== undefined && { host }),
  };
  return {
    fingerprint,
    occurrence: `${fingerprint}-${now.toString(36)}`,
    status: 'firing',
    condition: alert.condition,
    severity: alert.severity,
    check: source.name,
    kind: source.kind,
    ...(host !== undefined && { host }),
    resource: resourceOf(labels),
    labels,
    ...(!isOwn && !source.config.mayPropose && { foreign: true as const }),
    summary: safeLine(alert.summary),
    startsAt: toInstant(beginOf(alert, now)),
    updatedAt: toInstant(now),
    evidence: [],
  };
}

/** The same finding with what the sender says of it now, or undefined when there is nothing to tell. */
export function retold(finding: Finding, alert: ForeignAlert, now: number): Finding | undefined {
  const summary = safeLine(alert.summary);
  const condition = isStillFlapping(finding, now) ? finding.condition : alert.condition;
  const isNews = alert.severity !== finding.severity || condition !== finding.condition;
  const isDue = summary !== finding.summary && now - Date.parse(finding.updatedAt) >= refreshMs;
  if (!isNews && !isDue) return undefined;
  return { ...finding, severity: alert.severity, condition, summary, updatedAt: after(finding, now) };
}

/** The same finding with more evidence behind what it has; a message has room for eight pieces. */
export function withMore(finding: Finding, evidence: Finding['evidence'], now: number): Finding {
  return { ...finding, evidence: [...finding.evidence, ...evidence].slice(0, 8), updatedAt: after(finding, now) };
}

/** The same finding when it goes bad and well again and again. */
export function flappingFinding(finding: Finding, now: number): Finding {
  return finding.condition === 'flapping'
    ? finding
    : { ...finding, condition: 'flapping', updatedAt: after(finding, now) };
}

/** Until it was told for so long that it is wrong, and never that it is over. */
function isStillFlapping({ condition, updatedAt }: Finding, now: number): boolean {
  return condition === 'flapping' && now - Date.parse(updatedAt) < steadyMs;
}

/** The finding when nobody reports it any more. */
export function endedFinding(finding: Finding, now: number, endsAt = now): Finding {
  const at = Math.min(now, Math.max(endsAt, Date.parse(finding.startsAt)));
  return { ...finding, status: 'resolved', endsAt: toInstant(at), updatedAt: after(finding, now) };
}

/** Receivers drop what is not newer than what they hold, and two posts may come within one millisecond. */
function after(finding: Finding, now: number): string {
  return toInstant(Math.max(now, Date.parse(finding.updatedAt) + 1));
}

/** A clock that runs ahead must not make an alert begin in the future. */
function beginOf({ startsAt, saidAt }: ForeignAlert, now: number): number {
  const at = startsAt ?? saidAt ?? now;
  return at > 0 && at <= now ? at : now;
}

function resourceOf(labels: Readonly<Record<string, string>>): string {
  const name = resourceLabels.find((label) => (labels[label] ?? '') !== '');
  const text = (name === undefined ? labels['alertname'] : labels[name]) ?? '';
  if (text !== '') return resourceName(text);
  return createHash('sha256').update(JSON.stringify(labels)).digest('hex').slice(0, 12);
}
