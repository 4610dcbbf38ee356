import { createHash } from 'node:crypto';
import { Labels } from '#bus/fields.ts';
import { fingerprintOf } from '#bus/fingerprint.ts';
import type { Finding } from '#bus/messages/finding.ts';
import { scrub } from '#bus/scrub.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import type { BoundCheck } from './registry.ts';
import { isFiring, type TrackState } from './state.ts';
import type { Track } from './tracks.ts';

const maximumResource = 300;
const maximumSummary = 600;
const maximumLabel = 1_000;
/** A moving value is told this often at most; a change of severity at once. */
const refreshMs = 5 * 60_000;

export type FindingEvent = 'fired' | 'updated' | 'resolved';

/** What happened to a finding between two states of its track, if anything. */
export function eventBetween(before: TrackState, track: Track): FindingEvent | undefined {
  const wasFiring = isFiring(before);
  if (!isFiring(track.state)) return wasFiring ? 'resolved' : undefined;
  return wasFiring ? 'updated' : 'fired';
}

/** The labels that name a condition: its identity over all occurrences. Severity and values are not among them. */
function labelsOf(check: BoundCheck, track: Track): Labels {
  const { host, service, guardian, labels } = check.config;
  const own = {
    alertname: track.last?.alertname ?? track.condition,
    check: check.id,
    kind: check.kind,
    ...(host !== undefined && { host }),
    ...(service !== undefined && { service }),
    ...(guardian !== undefined && { guardian }),
    resource: boundedResource(track.resource),
  };
  const all: Labels = {};
  for (const [name, value] of Object.entries({ ...labels, ...track.last?.labels, ...own })) {
    const one = { [name]: value.slice(0, maximumLabel) };
    if (Labels.safeParse(one).success) Object.assign(all, one);
  }
  return all;
}

/** The finding of a track that has just begun to fire. */
export function newFinding(check: BoundCheck, track: Track, now: number): Finding | undefined {
  const { state } = track;
  if (!isFiring(state) || isGuardians(check, track)) return undefined;
  const labels = labelsOf(check, track);
  const fingerprint = fingerprintOf(labels);
  return {
    fingerprint,
    occurrence: `${fingerprint}-${state.firedAt.toString(36)}`,
    status: 'firing',
    condition: state.isFlapping ? 'flapping' : track.sort,
    severity: state.severity,
    check: check.id,
    kind: check.kind,
    ...(check.config.host !== undefined && { host: check.config.host }),
    resource: boundedResource(track.resource),
    // Not part of what it is: who changes their mind about it gets no second finding.
    labels: check.criticality === undefined ? labels : { ...labels, criticality: check.criticality },
    ...(track.last?.foreign === true && { foreign: true as const }),
    ...wordsOf(check, track),
    startsAt: toInstant(state.since),
    updatedAt: toInstant(now),
    evidence: [],
  };
}

/** What a guardian could not see is said once, by the guardian. */
function isGuardians(check: BoundCheck, track: Track): boolean {
  return check.config.guardian !== undefined && track.sort !== 'problem';
}

/** The same finding after another look, or undefined when there is nothing to tell yet. */
export function refreshed(check: BoundCheck, track: Track, now: number): Finding | undefined {
  const { state, finding } = track;
  if (finding === undefined || !isFiring(state)) return undefined;
  const words = track.last === undefined && track.sort === 'problem' ? undefined : wordsOf(check, track);
  const isNews = state.severity !== finding.severity;
  const isChanged = words !== undefined && words.summary !== finding.summary;
  if (!isNews && !(isChanged && now - Date.parse(finding.updatedAt) >= refreshMs)) return undefined;
  return { ...finding, ...words, severity: state.severity, updatedAt: toInstant(now) };
}

export function resolvedFinding(finding: Finding, now: number): Finding {
  return { ...finding, status: 'resolved', endsAt: toInstant(now), updatedAt: toInstant(now) };
}

function wordsOf(check: BoundCheck, track: Track): Pick<Finding, 'summary' | 'value' | 'unit'> {
  if (track.sort === 'unknown')
    return line(`Check "${check.id}" cannot look at ${track.resource}: ${track.unseen ?? ''}`);
  if (track.sort === 'stale') return line(`Check "${check.id}" has had no result for three intervals`);
  const reading = track.last?.reading;
  const level = reading?.is === 'level' && { value: reading.value, unit: reading.unit.slice(0, 20) };
  const flaps = isFiring(track.state) && track.state.isFlapping ? ' (flapping: it keeps going bad and well)' : '';
  return { ...line(`${track.last?.summary ?? track.condition}${flaps}`), ...level };
}

function line(text: string): { summary: string } {
  return { summary: scrub(text).slice(0, maximumSummary) };
}

/** Long names are cut, with a hash so that two long ones stay two. */
function boundedResource(resource: string): string {
  if (resource.length <= maximumResource) return resource;
  const hash = createHash('sha256').update(resource).digest('hex').slice(0, 12);
  return `${resource.slice(0, maximumResource - 14)}…${hash}`;
}
