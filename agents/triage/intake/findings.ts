import { Finding } from '#bus/messages/finding.ts';
import type { Manifest } from '#bus/messages/manifest.ts';
import type { Desk } from '../desk.ts';
import { aheadMs, type Held, compareManifest, mergeFinding } from './reconcile.ts';

/** Takes a finding as it came from the bus: repeated, late, or overtaken by another. */
export function takeFinding(desk: Desk, finding: Finding): void {
  const held = desk.world.held(finding.fingerprint);
  const merge = mergeFinding(held, finding, desk.now);
  if (merge === 'ignored') return;
  const next: Held = {
    fingerprint: finding.fingerprint,
    occurrence: finding.occurrence,
    status: finding.status,
    startsAt: Date.parse(finding.startsAt),
    updatedAt: Date.parse(finding.updatedAt),
    sentinel: held?.sentinel,
    settledAt: merge === 'update' ? held?.settledAt : undefined,
  };
  if (held !== undefined && held.status === 'firing' && held.occurrence !== finding.occurrence) {
    desk.store.findings.end(held, next.startsAt);
  }
  desk.store.findings.save(finding, next, desk.now);
  desk.world.remember(next, finding);
  desk.moved.add(finding.fingerprint);
}

/** Takes a sentinel's manifest: ends what it names no more, keeps in mind what it names and nobody sent. */
export function takeManifest(desk: Desk, manifest: Manifest): void {
  const { store, world } = desk;
  if (!store.manifests.save(manifest, desk.now + aheadMs)) return;
  const at = Date.parse(manifest.at);
  const held = [...world.findings.values()].map((known) => known.held);
  const differences = compareManifest(manifest, held, store.manifests.sentinels().length === 1);
  for (const fingerprint of differences.over) endFinding(desk, fingerprint, at);
  for (const fingerprint of differences.contradicted) settleFinding(desk, fingerprint, undefined);
  confirm(desk, differences.confirmed, manifest.sentinel);
  noteMissing(desk, manifest.sentinel, differences.missing);
}

function endFinding(desk: Desk, fingerprint: string, at: number): void {
  const held = desk.world.amend(fingerprint, { status: 'resolved', updatedAt: at });
  if (held === undefined) return;
  desk.store.findings.end(held, at);
  desk.moved.add(fingerprint);
}

function settleFinding(desk: Desk, fingerprint: string, settledAt: number | undefined): void {
  const held = desk.world.amend(fingerprint, { settledAt });
  if (held === undefined) return;
  desk.store.findings.settle(held);
  desk.moved.add(fingerprint);
}

/** A verdict measured that these are over; the sentinel's own word follows when its checks were good often enough. */
export function settleFindings(desk: Desk, fingerprints: readonly string[], at: number): void {
  for (const fingerprint of fingerprints) {
    if (desk.world.findings.get(fingerprint)?.held.status === 'firing') settleFinding(desk, fingerprint, at);
  }
}

function confirm(desk: Desk, fingerprints: readonly string[], sentinel: string): void {
  const fresh = fingerprints.filter((fingerprint) => desk.world.findings.get(fingerprint)?.held.sentinel !== sentinel);
  desk.store.findings.own(fresh, sentinel);
  for (const fingerprint of fresh) desk.world.amend(fingerprint, { sentinel });
}

/** Since when each fingerprint is missing (epoch ms): a finding and its manifest may cross on the way. */
type Missing = Record<string, number>;

function missingOf(desk: Desk, sentinel: string): Missing {
  return JSON.parse(desk.store.fact(`missing:${sentinel}`) ?? '{}') as Missing;
}

function noteMissing(desk: Desk, sentinel: string, fingerprints: readonly string[]): void {
  const before = missingOf(desk, sentinel);
  const entries = fingerprints.map((fingerprint) => [fingerprint, before[fingerprint] ?? desk.now] as const);
  const text = JSON.stringify(Object.fromEntries(entries));
  if (text !== JSON.stringify(before)) desk.store.setFact(`missing:${sentinel}`, text);
}

/** Findings that a manifest names and nobody sent for so long. */
export function missingFindings(desk: Desk, forMs: number): string[] {
  return desk.store.manifests
    .sentinels()
    .flatMap((sentinel) => Object.entries(missingOf(desk, sentinel)))
    .filter(([fingerprint, since]) => since <= desk.now - forMs && desk.world.held(fingerprint)?.status !== 'firing')
    .map(([fingerprint]) => fingerprint);
}

/** What a sentinel answered when it was asked for findings; anything else in the answer is left out. */
export function findingsIn(answer: Record<string, unknown>): Finding[] {
  const list: unknown = answer['findings'];
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry: unknown) => {
    const parsed = Finding.safeParse(entry);
    return parsed.success ? [parsed.data] : [];
  });
}
