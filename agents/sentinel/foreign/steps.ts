import type { Finding } from '#bus/messages/finding.ts';
import type { FindingEvent } from '#agents/sentinel/finding.ts';
import type { History } from '#agents/sentinel/history.ts';
import type { ForeignAlert } from './alert.ts';
import { endedFinding, flappingFinding, foreignFinding, type Making, retold, withMore } from './finding.ts';
import { openAlert, openLabels } from './open-alert.ts';
import type { Claim, ClaimChange } from './rows.ts';
import type { Source } from './source.ts';

/** A foreign finding that fires, and who reports it. */
export interface Held {
  finding: Finding;
  claims: ReadonlyMap<string, Claim>;
}

/** What a delivery makes of one fingerprint. */
export interface Step {
  fingerprint: string;
  /** What is to be told of `finding`; nothing when only who reports it, or until when, changed. */
  event?: FindingEvent;
  finding: Finding;
  claims: ReadonlyMap<string, Claim>;
  /** What the store has to know. */
  stored: readonly ClaimChange[];
}

export interface Report extends Making {
  /** When it is over unless it is told again. */
  until: number | undefined;
}

/** When an alert is over without another word; undefined when only a word ends it. A clock that runs ahead adds nothing. */
export function deadlineOf(alert: ForeignAlert, source: Source, now: number): number | undefined {
  if (alert.endsAt !== undefined) return alert.endsAt;
  return source.resolveAfterMs === undefined ? undefined : Math.min(now, alert.saidAt ?? now) + source.resolveAfterMs;
}

/** A source reports an alert, for the first time or again. */
export function reported(held: Held | undefined, alert: ForeignAlert, report: Report): Step {
  if (held === undefined) {
    const finding = foreignFinding(alert, report);
    const claim = claimOf(alert, Date.parse(finding.startsAt), report);
    return { ...claimed(finding, new Map(), claim), event: 'fired' };
  }
  const { source, now } = report;
  const before = held.claims.get(source.name);
  const claim = claimOf(alert, before?.alert.startsAt ?? Date.parse(held.finding.startsAt), report);
  const changed = isVoice(held, source) ? retold(held.finding, alert, now) : undefined;
  if (changed !== undefined) return { ...claimed(changed, held.claims, claim), event: 'updated' };
  const step = claimed(held.finding, held.claims, claim);
  // That it is told again needs no write: after a start each sender gets time to do it.
  return before === undefined || held.finding.condition === 'flapping' ? step : { ...step, stored: [] };
}

function claimed(finding: Finding, claims: Held['claims'], claim: Claim): Step {
  const { fingerprint } = finding;
  const { source } = claim;
  return { fingerprint, finding, claims: new Map(claims).set(source, claim), stored: [{ fingerprint, source, claim }] };
}

/** The words of two sources would take turns: those of the first stand while it reports. */
function isVoice({ finding, claims }: Held, source: Source): boolean {
  return finding.check === source.name || !claims.has(finding.check);
}

function claimOf(alert: ForeignAlert, startsAt: number, { source, until, now, isOwn = false }: Report): Claim {
  const graceMs = until === undefined ? undefined : until - now;
  return { source: source.name, alert: openAlert(alert, startsAt, now), until, graceMs, isOwn };
}

/** A source reports it no more. Undefined when it did not before. */
export function withdrawn(
  held: Held | undefined,
  source: string,
  at: { now: number; endsAt?: number },
): Step | undefined {
  if (held?.claims.has(source) !== true) return undefined;
  const claims = new Map(held.claims);
  claims.delete(source);
  const { fingerprint } = held.finding;
  const isOver = claims.size === 0;
  return {
    fingerprint,
    ...(isOver && { event: 'resolved' as const }),
    finding: isOver ? endedFinding(held.finding, at.now, at.endsAt) : held.finding,
    claims,
    stored: [{ fingerprint, source }],
  };
}

/** Whoever reports it, it is over. Undefined for what nobody reports, and for what Lares says about a source. */
export function dismissed(held: Held | undefined, now: number): Step | undefined {
  if (held === undefined || [...held.claims.values()].some(({ isOwn }) => isOwn)) return undefined;
  const { fingerprint } = held.finding;
  return {
    fingerprint,
    event: 'resolved',
    finding: endedFinding(held.finding, now),
    claims: new Map(),
    stored: [...held.claims.keys()].map((source) => ({ fingerprint, source })),
  };
}

/** The same finding with what was found out about it since. */
export function enriched({ finding, claims }: Held, evidence: Finding['evidence'], now: number): Step {
  const { fingerprint } = finding;
  return { fingerprint, event: 'updated', finding: withMore(finding, evidence, now), claims, stored: [] };
}

/** Clocks that are set right by so little change no deadline. */
const aheadMs = 60_000;

/** The claim without a time that a clock set, which was ahead: its deadline counts from now. */
export function pulledBack(claim: Claim, now: number): Claim {
  const { until, graceMs = 0 } = claim;
  return until === undefined || until - graceMs <= now + aheadMs ? claim : { ...claim, until: now + graceMs };
}

/** When the first of them is over unless it is told again; infinity when only words end them. */
export function soonestEnd(all: Iterable<Held>): number {
  let soonest = Number.POSITIVE_INFINITY;
  for (const { claims } of all) {
    for (const { until } of claims.values()) soonest = Math.min(soonest, until ?? soonest);
  }
  return soonest;
}

/** After a start a sender gets as long as it had to tell its alerts again, and no longer than this. */
const graceAfterStartMs = 15 * 60_000;

/** The claim when nobody listened until now. */
export function renewed(stored: Claim, now: number): Claim {
  const claim = pulledBack(stored, now);
  if (claim.until === undefined) return claim;
  return { ...claim, until: Math.max(claim.until, now + Math.min(claim.graceMs ?? 0, graceAfterStartMs)) };
}

/** An alert that ended so often within the span flaps. */
const flapping = { ends: 2, spanMs: 30 * 60_000 };
/** What flaps is over when it was quiet for so long. */
const quietMs = 10 * 60_000;

/** A source says that it is over. One that ends again and again has not ended: it goes on as one that flaps. */
export function ended(
  held: Held | undefined,
  alert: ForeignAlert,
  at: { source: Source; now: number; history: Pick<History, 'endsSince'> },
): Step | undefined {
  const { now, history } = at;
  const source = at.source.name;
  const claim = held?.claims.get(source);
  if (held === undefined || claim === undefined) return undefined;
  const { fingerprint, condition } = held.finding;
  const isFlapping = held.claims.size === 1 && history.endsSince(fingerprint, now - flapping.spanMs) >= flapping.ends;
  if (!isFlapping) return withdrawn(held, source, endOf(alert, now));
  const quiet: Claim = { ...claim, until: now + quietMs, graceMs: quietMs };
  return {
    fingerprint,
    ...(condition !== 'flapping' && { event: 'updated' as const }),
    finding: flappingFinding(held.finding, now),
    claims: new Map(held.claims).set(source, quiet),
    stored: [{ fingerprint, source, claim: quiet }],
  };
}

function endOf({ endsAt, saidAt }: ForeignAlert, now: number): { now: number; endsAt?: number } {
  const at = endsAt ?? saidAt;
  return { now, ...(at !== undefined && { endsAt: at }) };
}

/** Whether what is held is a word of Lares about a source, or an alert with other labels. */
export function isAnothers(held: Held | undefined, labels: ForeignAlert['labels']): boolean {
  if (held === undefined) return false;
  // What is held has no secrets any more, so they are taken from the other side too.
  const own = canonical(openLabels(labels));
  return [...held.claims.values()].some(({ isOwn, alert }) => isOwn || canonical(alert.labels) !== own);
}

function canonical(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
