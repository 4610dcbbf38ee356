import type { Store } from '#agents/runtime/store.ts';

const dayMs = 24 * 3_600_000;
/** Findings that ended, and messages that were delivered or refused. */
const passingMs = 90 * dayMs;
/** Incidents and all that belongs to them. */
const incidentsKeptMs = 400 * dayMs;

/**
 * Forgets what is over for long: the file stays bounded over the years. What was told, decided and done is in the
 * journal, which is never cut. Contract: nothing goes that is open, waits to be sent or waits for an answer.
 */
export function forgetOld(rows: Store, now: number): void {
  rows.transaction(() => {
    forgetIncidents(rows, now - incidentsKeptMs);
    forgetRequests(rows, now - incidentsKeptMs);
    const before = now - passingMs;
    rows.run(`DELETE FROM findings WHERE seen_at < ?1 AND status = 'resolved' AND updated_at < ?1`, before);
    rows.run(`DELETE FROM outbox WHERE created_at < ? AND state <> 'queued' AND substr(key, 1, 7) = 'notice:'`, before);
    rows.run('DELETE FROM inbox WHERE error IS NOT NULL AND received_at < ?', before);
  });
}

function forgetIncidents(rows: Store, before: number): void {
  const old = `SELECT id FROM incidents WHERE starts_at < ?1 AND state = 'closed' AND closed_at < ?1`;
  rows.run(`DELETE FROM approvals WHERE plan IN (SELECT id FROM plans WHERE incident IN (${old}))`, before);
  const belonging = ['timeline', 'assessments', 'notifications', 'tokens', 'blocks', 'verdicts', 'runs', 'plans'];
  for (const table of [...belonging, 'proposals']) rows.run(`DELETE FROM ${table} WHERE incident IN (${old})`, before);
  rows.run(`DELETE FROM outbox WHERE key IN (SELECT 'card:' || id FROM (${old}))`, before);
  rows.run(`DELETE FROM incidents WHERE id IN (${old})`, before);
}

/** What a person asked for without an incident. */
function forgetRequests(rows: Store, before: number): void {
  const old = `SELECT id FROM proposals WHERE incident IS NULL AND created_at < ? AND state <> 'waiting'
    AND id NOT IN (SELECT proposal FROM plans WHERE status = 'pending')`;
  const plans = `SELECT id FROM plans WHERE proposal IN (${old})`;
  rows.run(`DELETE FROM approvals WHERE plan IN (${plans})`, before);
  rows.run(`DELETE FROM verdicts WHERE run IN (SELECT id FROM runs WHERE plan IN (${plans}))`, before);
  rows.run(`DELETE FROM runs WHERE plan IN (${plans})`, before);
  rows.run(`DELETE FROM plans WHERE proposal IN (${old})`, before);
  rows.run(`DELETE FROM tokens WHERE incident IN (${old})`, before);
  rows.run(`DELETE FROM outbox WHERE key IN (SELECT 'card:' || id FROM (${old}))`, before);
  rows.run(`DELETE FROM proposals WHERE id IN (${old})`, before);
}
