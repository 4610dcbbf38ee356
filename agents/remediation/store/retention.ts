import type { Store } from '#agents/runtime/store.ts';

const dayMs = 24 * 3_600_000;
/** Plans that never ran, with the proposals and approvals that they came from. */
const plansKeptMs = 90 * dayMs;
/** Runs: far longer than any cool-down, so that a plan can say how the last ones ended. */
const runsKeptMs = 400 * dayMs;
/** Whoever floods the worker with plans makes it forget the oldest, not fill the disk. */
const mostPlans = 10_000;
const mostRuns = 5_000;

/**
 * Forgets what is over for long: the file stays bounded over the years. What was done and who allowed it is in the
 * journal, which is never cut. Contract: nothing goes that is pending, holds a host, waits for a verdict or is still
 * on the bus; a plan goes with its run and never before it, for the run is why the plan cannot run again.
 */
export function forgetOld(rows: Store, now: number): void {
  rows.transaction(() => {
    forgetRuns(rows, Math.min(now, newestRun(rows)) - runsKeptMs);
    forgetPlans(rows, now - plansKeptMs);
  });
}

/** Runs are old beside the newest one: a clock that is ahead for an hour must not end every cool-down. */
function newestRun(rows: Store): number {
  return Number(rows.get('SELECT max(claimed_at) AS at FROM runs')?.['at'] ?? 0);
}

function forgetRuns(rows: Store, before: number): void {
  const old = `SELECT id FROM runs WHERE cleared = 1 AND locked = 0 AND closed_at IS NOT NULL
    AND (closed_at < ? OR id IN (SELECT id FROM runs ORDER BY claimed_at DESC LIMIT -1 OFFSET ${mostRuns}))`;
  for (const table of ['run_steps', 'run_targets', 'run_resources'])
    rows.run(`DELETE FROM ${table} WHERE run IN (${old})`, before);
  rows.run(`DELETE FROM plans WHERE cleared = 1 AND id IN (SELECT plan FROM runs WHERE id IN (${old}))`, before);
  // A plan that is still on the bus keeps its run, which is why it cannot run again.
  rows.run(`DELETE FROM runs WHERE plan NOT IN (SELECT id FROM plans) AND id IN (${old})`, before);
}

function forgetPlans(rows: Store, before: number): void {
  rows.run(
    `DELETE FROM plans WHERE cleared = 1 AND status <> 'pending' AND id NOT IN (SELECT plan FROM runs)
       AND (decided_at < ? OR id IN (SELECT id FROM plans ORDER BY created_at DESC LIMIT -1 OFFSET ?))`,
    before,
    mostPlans,
  );
  // A sender repeats itself for minutes, and an approval expires within them: neither comes back to life after days.
  const sent = before + plansKeptMs - dayMs;
  rows.run('DELETE FROM proposals WHERE plan IS NOT NULL AND at < ? AND plan NOT IN (SELECT id FROM plans)', sent);
  rows.run('DELETE FROM approvals WHERE outcome IS NOT NULL AND at < ? AND plan NOT IN (SELECT id FROM plans)', sent);
}
