import type { Manifest } from '#bus/messages/manifest.ts';
import { anchorsOf } from '#bus/journal.ts';
import type { Watched } from '../agent-watch.ts';
import type { Desk } from '../desk.ts';
import type { Parked } from '../store/inbox.ts';
import type { Spent } from '../llm/ledger.ts';

/** What the digest is written from: counted by code, with no model. Times are epoch ms, durations ms. */
export interface DigestFacts {
  from: number;
  to: number;
  opened: { title: string; severity: string; state: string; startsAt: number; endsAt: number | undefined }[];
  closed: number;
  stillOpen: { id: string; title: string; severity: string; startsAt: number; acknowledgedBy: string | undefined }[];
  /** Medians over what happened in the time. */
  detectMs: number | undefined;
  approveMs: number | undefined;
  fixMs: number | undefined;
  findings: number;
  /** Findings that were folded into another message, or were over before one was sent. */
  folded: number;
  sounds: number;
  manifest: Manifest | undefined;
  pendingPlans: { title: string; createdAt: number; expiresAt: number }[];
  runs: { playbook: string; hosts: string; status: string; outcome: string | undefined }[];
  spending: readonly Spent[];
  capEuro: number;
  agents: readonly Watched[];
  journals: { agent: string; sequence: number; head: string }[];
  refusedMessages: { channel: string; error: string }[];
  /** Messages from the bus that handling was a bug for. */
  setAside: readonly Parked[];
  missedDays: readonly string[];
}

export function collectFacts(
  desk: Desk,
  range: { from: number; to: number; missedDays: readonly string[] },
  around: { spending: readonly Spent[]; capEuro: number; agents: readonly Watched[] },
): DigestFacts {
  return {
    ...range,
    ...around,
    ...incidentFacts(desk, range),
    ...delayFacts(desk, range),
    ...noiseFacts(desk, range),
    manifest: desk.store.manifests.newest(),
    pendingPlans: desk.store.plans.pendingPlans().map((plan) => ({
      title: plan.title,
      createdAt: Date.parse(plan.createdAt),
      expiresAt: Date.parse(plan.expiresAt),
    })),
    runs: runFacts(desk, range),
    journals: journalFacts(desk),
    setAside: desk.store.inbox.parked(),
    refusedMessages: desk.outbox.failed().map(({ channel, error }) => ({ channel, error })),
  };
}

type Range = { from: number; to: number };

function incidentFacts(desk: Desk, { from, to }: Range): Pick<DigestFacts, 'opened' | 'closed' | 'stillOpen'> {
  const { rows } = desk.store;
  const records = rows
    .all(
      `SELECT id FROM incidents WHERE opened_at IS NOT NULL AND ((starts_at >= ? AND starts_at < ?)
         OR (opened_at >= ? AND opened_at < ?)) ORDER BY starts_at LIMIT 500`,
      from,
      to,
      from,
      to,
    )
    .flatMap((row) => desk.store.incidents.get(String(row['id'])) ?? [])
    .filter((incident) => incident.mergedInto === undefined);
  const closed = rows.get(
    'SELECT count(*) AS n FROM incidents WHERE opened_at IS NOT NULL AND ends_at >= ? AND ends_at < ?',
    from,
    to,
  );
  return {
    opened: records.map(({ title, severity, state, startsAt, endsAt }) => ({
      title,
      severity,
      state,
      startsAt,
      endsAt,
    })),
    closed: Number(closed?.['n'] ?? 0),
    stillOpen: [...desk.world.incidents.values()]
      .filter((incident) => incident.state === 'open')
      .map(({ id, title, severity, startsAt, acknowledgedName }) => ({
        id,
        title,
        severity,
        startsAt,
        acknowledgedBy: acknowledgedName,
      })),
  };
}

function delayFacts(desk: Desk, { from, to }: Range): Pick<DigestFacts, 'detectMs' | 'approveMs' | 'fixMs'> {
  const numbers = (sql: string): number[] => desk.store.rows.all(sql, from, to).map((row) => Number(row['ms']));
  return {
    detectMs: median(numbers('SELECT seen_at - starts_at AS ms FROM findings WHERE seen_at >= ? AND seen_at < ?')),
    approveMs: median(
      numbers(
        `SELECT a.decided_at - p.created_at AS ms FROM approvals a JOIN plans p ON p.id = a.plan
         WHERE a.decision = 'approve' AND a.decided_at >= ? AND a.decided_at < ?`,
      ),
    ),
    fixMs: median(
      numbers(
        `SELECT v.at - i.starts_at AS ms FROM verdicts v JOIN incidents i ON i.id = v.incident
         WHERE v.outcome = 'fixed' AND v.at >= ? AND v.at < ?`,
      ),
    ),
  };
}

export function median(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

function noiseFacts(desk: Desk, { from, to }: Range): Pick<DigestFacts, 'findings' | 'folded' | 'sounds'> {
  const count = (sql: string): number => Number(desk.store.rows.get(sql, from, to)?.['n'] ?? 0);
  const findings = count('SELECT count(*) AS n FROM findings WHERE seen_at >= ? AND seen_at < ?');
  const messages = count(`SELECT count(*) AS n FROM notifications WHERE reason = 'first' AND at >= ? AND at < ?`);
  const sounds = count('SELECT count(*) AS n FROM notifications WHERE sound = 1 AND at >= ? AND at < ?');
  return { findings, folded: Math.max(0, findings - messages), sounds };
}

function runFacts(desk: Desk, { from, to }: Range): DigestFacts['runs'] {
  return desk.store.rows
    .all(
      `SELECT r.body AS body, v.outcome AS outcome FROM runs r LEFT JOIN verdicts v ON v.run = r.id
       WHERE r.updated_at >= ? AND r.updated_at < ? ORDER BY r.updated_at LIMIT 50`,
      from,
      to,
    )
    .map((row) => {
      const run = JSON.parse(String(row['body'])) as { playbook: string; hosts: string[]; status: string };
      const outcome = typeof row['outcome'] === 'string' ? row['outcome'] : undefined;
      return { playbook: run.playbook, hosts: run.hosts.join(', '), status: run.status, outcome };
    });
}

/** The newest known head of each journal; a person who keeps the digest can prove a later cut. */
function journalFacts(desk: Desk): DigestFacts['journals'] {
  const newest = new Map<string, { agent: string; sequence: number; head: string }>();
  for (const { agent, sequence, head } of anchorsOf(desk.store.rows)) newest.set(agent, { agent, sequence, head });
  return [{ agent: 'triage', ...desk.store.journal.head() }, ...newest.values()];
}
