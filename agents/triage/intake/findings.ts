import { Finding } from '#bus/messages/finding.ts';
import type { Manifest } from '#bus/messages/manifest.ts';
import type { Desk } from '../desk.ts';
import { type Held, compareManifest, mergeFinding } from './reconcile.ts';

/** Takes a finding as it came from the bus: repeated, late, or overtaken by another. */
export function takeFinding(desk: Desk, finding: Finding): void {
  const held = desk.world.held(finding.fingerprint);
  const merge = mergeFinding(held, finding);
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

interface Missing {
  [fingerprint: string]: number;
}

const missingKey = 'missing';

/** Takes a sentinel's manifest: ends what it names no more, keeps in mind what it names and nobody sent. */
export function takeManifest(desk: Desk, manifest: Manifest): void {
  const { rows } = desk.store;
  const at = Date.parse(manifest.at);
  const last = rows.get('SELECT at FROM manifests WHERE sentinel = ?', manifest.sentinel)?.['at'];
  if (typeof last === 'number' && last > at) return;
  rows.run(
    'INSERT OR REPLACE INTO manifests (sentinel, at, sequence, body) VALUES (?,?,?,?)',
    manifest.sentinel,
    at,
    manifest.sequence,
    JSON.stringify(manifest),
  );
  const sentinels = Number(rows.get('SELECT count(*) AS n FROM manifests')?.['n'] ?? 1);
  const held = [...desk.world.findings.values()].map((known) => known.held);
  const differences = compareManifest(manifest, held, sentinels === 1);
  for (const fingerprint of differences.over) endFinding(desk, fingerprint, at);
  for (const fingerprint of differences.contradicted) unsettle(desk, fingerprint);
  confirm(desk, differences.confirmed, manifest.sentinel);
  noteMissing(desk, manifest.sentinel, differences.missing);
}

function endFinding(desk: Desk, fingerprint: string, at: number): void {
  const known = desk.world.findings.get(fingerprint);
  if (known === undefined) return;
  desk.store.findings.end(known.held, at);
  desk.world.findings.set(fingerprint, { ...known, held: { ...known.held, status: 'resolved', updatedAt: at } });
  desk.moved.add(fingerprint);
}

function unsettle(desk: Desk, fingerprint: string): void {
  const known = desk.world.findings.get(fingerprint);
  if (known === undefined) return;
  const held = { ...known.held, settledAt: undefined };
  desk.store.findings.settle(held);
  desk.world.findings.set(fingerprint, { ...known, held });
  desk.moved.add(fingerprint);
}

/** A verdict measured that these are over; the sentinel's own word follows when its checks were good often enough. */
export function settleFindings(desk: Desk, fingerprints: readonly string[], at: number): void {
  for (const fingerprint of fingerprints) {
    const known = desk.world.findings.get(fingerprint);
    if (known === undefined || known.held.status !== 'firing') continue;
    const held = { ...known.held, settledAt: at };
    desk.store.findings.settle(held);
    desk.world.findings.set(fingerprint, { ...known, held });
    desk.moved.add(fingerprint);
  }
}

function confirm(desk: Desk, fingerprints: readonly string[], sentinel: string): void {
  const fresh = fingerprints.filter((fingerprint) => desk.world.findings.get(fingerprint)?.held.sentinel !== sentinel);
  desk.store.findings.own(fresh, sentinel);
  for (const fingerprint of fresh) {
    const known = desk.world.findings.get(fingerprint);
    if (known !== undefined) desk.world.findings.set(fingerprint, { ...known, held: { ...known.held, sentinel } });
  }
}

/** Since when each is missing, by sentinel: a finding and its manifest may cross on the way. */
function noteMissing(desk: Desk, sentinel: string, fingerprints: readonly string[]): void {
  const key = `${missingKey}:${sentinel}`;
  const before = JSON.parse(desk.store.fact(key) ?? '{}') as Missing;
  const now: Missing = Object.fromEntries(
    fingerprints.map((fingerprint) => [fingerprint, before[fingerprint] ?? desk.now]),
  );
  const text = JSON.stringify(now);
  if (text !== (desk.store.fact(key) ?? '{}')) desk.store.setFact(key, text);
}

/** Findings that a manifest names and nobody sent for so long. */
export function missingFindings(desk: Desk, forMs: number): string[] {
  return desk.store.rows
    .all('SELECT sentinel FROM manifests')
    .flatMap((row) =>
      Object.entries(JSON.parse(desk.store.fact(`${missingKey}:${String(row['sentinel'])}`) ?? '{}') as Missing),
    )
    .filter(([fingerprint, since]) => since <= desk.now - forMs && !isHeldFiring(desk, fingerprint))
    .map(([fingerprint]) => fingerprint);
}

function isHeldFiring(desk: Desk, fingerprint: string): boolean {
  return desk.world.held(fingerprint)?.status === 'firing';
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

export function newestManifest(desk: Desk): Manifest | undefined {
  const row = desk.store.rows.get('SELECT body FROM manifests ORDER BY at DESC LIMIT 1');
  return row === undefined ? undefined : (JSON.parse(String(row['body'])) as Manifest);
}
