import type { Store } from '#agents/runtime/store.ts';
import { Run } from '#bus/messages/run.ts';
import type { Verdict } from '#bus/messages/verdict.ts';

/** What may still change of a run, beside its steps: those have rows of their own. */
export type RunHead = Omit<Run, 'steps'>;

type StepStatus = Run['steps'][number]['status'];

/** One step of one run: the row is the intent, written before the command leaves. */
export interface StepRow {
  position: number;
  phase: 'steps' | 'rollback';
  /** Index in that list of the plan. */
  step: number;
  status: StepStatus;
  exitStatus?: number;
  output?: string;
  startedAt?: number;
  endedAt?: number;
}

export interface RunTarget {
  host: string;
  /** What counts for the brake and for blocks: see `targetsOf`. */
  target: string;
}

export interface RunRows {
  targets(run: string): RunTarget[];
  /** Claims the plan: false when a run of it exists. Locks the hosts. */
  claim(
    head: RunHead,
    on: { targets: readonly RunTarget[]; resources: readonly string[]; playbookDigest: string },
    now: number,
  ): boolean;
  head(id: string): RunHead | undefined;
  runOfPlan(plan: string): RunHead | undefined;
  /** Whether a plan of a playbook with exactly this content was approved before. */
  wasApproved(playbookDigest: string): boolean;
  saveHead(head: RunHead): void;
  addSteps(run: string, steps: readonly StepRow[]): void;
  saveStep(run: string, step: StepRow): void;
  steps(run: string): StepRow[];
  /** Commands have ended or nobody knows; `unlock` frees the hosts. */
  end(id: string, now: number): void;
  unlock(id: string): void;
  /** The run that holds a host, if one does. */
  lockOf(host: string): string | undefined;
  locked(): RunHead[];
  withStatus(...statuses: Run['status'][]): RunHead[];
  newest(limit: number): RunHead[];
  /** Runs of a playbook on a target that began after `since`, newest first. */
  recent(of: {
    playbook: string;
    target: string;
    since: number;
  }): { head: RunHead; claimedAt: number; verdict?: string }[];
  /** How many runs of any playbook began on a resource after `since`: see `resourcesOf`. */
  countOn(resource: string, since: number): number;
  saveVerdict(verdict: Verdict, now: number): boolean;
  close(id: string, now: number): void;
  isClosed(id: string): boolean;
  published(): RunHead[];
  overdue(before: number): string[];
  markCleared(id: string): void;
  /** Its topic holds it again, until the next sweep. */
  markPublished(id: string): void;
}

export function runRows(rows: Store): RunRows {
  return { ...headRows(rows), ...stepRows(rows), ...lockRows(rows), ...listRows(rows), ...endRows(rows) };
}

function headOf(row: Record<string, unknown>): RunHead {
  return Run.omit({ steps: true }).parse(JSON.parse(String(row['body'])));
}

function headRows(rows: Store): Pick<RunRows, 'claim' | 'targets' | 'head' | 'runOfPlan' | 'wasApproved' | 'saveHead'> {
  const one = (where: string, value: string): RunHead | undefined => {
    const row = rows.get(`SELECT body FROM runs WHERE ${where} = ?`, value);
    return row && headOf(row);
  };
  return {
    claim(head, { targets, resources, playbookDigest }, now) {
      const { changes } = rows.run(
        'INSERT OR IGNORE INTO runs (id, plan, playbook, status, body, locked, claimed_at) VALUES (?,?,?,?,?,1,?)',
        head.id,
        head.plan,
        head.playbook,
        head.status,
        JSON.stringify(head),
        now,
      );
      if (changes === 0) return false;
      const insert = 'INSERT OR IGNORE INTO run_targets (run, host, target) VALUES (?,?,?)';
      for (const { host, target } of targets) rows.run(insert, head.id, host, target);
      const sql = 'INSERT OR IGNORE INTO run_resources (run, resource) VALUES (?,?)';
      for (const resource of resources) rows.run(sql, head.id, resource);
      rows.run('INSERT OR IGNORE INTO approved_playbooks (digest, at) VALUES (?,?)', playbookDigest, now);
      return true;
    },
    targets(run) {
      const all = rows.all('SELECT host, target FROM run_targets WHERE run = ? ORDER BY target', run);
      return all.map((row) => ({ host: String(row['host']), target: String(row['target']) }));
    },
    head: (id) => one('id', id),
    runOfPlan: (plan) => one('plan', plan),
    wasApproved(playbookDigest) {
      return rows.get('SELECT 1 FROM approved_playbooks WHERE digest = ?', playbookDigest) !== undefined;
    },
    saveHead(head) {
      rows.run('UPDATE runs SET status = ?, body = ? WHERE id = ?', head.status, JSON.stringify(head), head.id);
    },
  };
}

function stepRows(rows: Store): Pick<RunRows, 'addSteps' | 'saveStep' | 'steps'> {
  const save = (run: string, step: StepRow): void => {
    rows.run(
      `INSERT OR REPLACE INTO run_steps (run, position, phase, step, status, exit_status, output, started_at, ended_at)
       VALUES (?,?,?,?,?,?,?,?,?)`,
      run,
      step.position,
      step.phase,
      step.step,
      step.status,
      step.exitStatus ?? null,
      step.output ?? null,
      step.startedAt ?? null,
      step.endedAt ?? null,
    );
  };
  return {
    addSteps: (run, steps) => rows.transaction(() => steps.forEach((step) => save(run, step))),
    saveStep: save,
    steps: (run) => rows.all('SELECT * FROM run_steps WHERE run = ? ORDER BY position', run).map(stepOf),
  };
}

function stepOf(row: Record<string, unknown>): StepRow {
  return {
    position: Number(row['position']),
    phase: row['phase'] === 'rollback' ? 'rollback' : 'steps',
    step: Number(row['step']),
    status: row['status'] as StepStatus,
    ...(row['exit_status'] !== null && { exitStatus: Number(row['exit_status']) }),
    ...(typeof row['output'] === 'string' && { output: row['output'] }),
    ...(row['started_at'] !== null && { startedAt: Number(row['started_at']) }),
    ...(row['ended_at'] !== null && { endedAt: Number(row['ended_at']) }),
  };
}

function lockRows(rows: Store): Pick<RunRows, 'unlock' | 'lockOf' | 'locked'> {
  return {
    unlock: (id) => void rows.run('UPDATE runs SET locked = 0 WHERE id = ?', id),
    lockOf(host) {
      const sql = 'SELECT runs.id FROM runs JOIN run_targets ON run = runs.id WHERE host = ? AND locked = 1';
      const row = rows.get(sql, host);
      return row && String(row['id']);
    },
    locked: () => rows.all('SELECT body FROM runs WHERE locked = 1 ORDER BY claimed_at').map(headOf),
  };
}

function listRows(rows: Store): Pick<RunRows, 'withStatus' | 'newest' | 'recent' | 'countOn'> {
  return {
    withStatus(...statuses) {
      const marks = statuses.map(() => '?').join(',');
      return rows.all(`SELECT body FROM runs WHERE status IN (${marks}) ORDER BY claimed_at`, ...statuses).map(headOf);
    },
    newest: (limit) => rows.all('SELECT body FROM runs ORDER BY claimed_at DESC, id LIMIT ?', limit).map(headOf),
    recent({ playbook, target, since }) {
      const all = rows.all(
        `SELECT body, claimed_at, verdict FROM runs JOIN run_targets ON run = runs.id
         WHERE playbook = ? AND target = ? AND claimed_at > ? AND status <> 'refused' ORDER BY claimed_at DESC`,
        playbook,
        target,
        since,
      );
      return all.map((row) => ({
        head: headOf(row),
        claimedAt: Number(row['claimed_at']),
        ...(typeof row['verdict'] === 'string' && { verdict: row['verdict'] }),
      }));
    },
    countOn(resource, since) {
      const sql = `SELECT count(*) AS runs FROM runs JOIN run_resources ON run = runs.id
                   WHERE resource = ? AND claimed_at > ? AND status <> 'refused'`;
      return Number(rows.get(sql, resource, since)?.['runs'] ?? 0);
    },
  };
}

function endRows(
  rows: Store,
): Pick<
  RunRows,
  'end' | 'saveVerdict' | 'close' | 'isClosed' | 'published' | 'overdue' | 'markCleared' | 'markPublished'
> {
  return {
    end: (id, now) => void rows.run('UPDATE runs SET ended_at = ? WHERE id = ?', now, id),
    saveVerdict(verdict, now) {
      const sql = 'UPDATE runs SET verdict = ?, closed_at = ? WHERE id = ? AND verdict IS NULL';
      return rows.run(sql, verdict.outcome, now, verdict.run).changes > 0;
    },
    close: (id, now) => void rows.run('UPDATE runs SET closed_at = ? WHERE id = ?', now, id),
    isClosed: (id) => rows.get('SELECT 1 FROM runs WHERE id = ? AND closed_at IS NOT NULL', id) !== undefined,
    published: () => rows.all('SELECT body FROM runs WHERE cleared = 0 ORDER BY claimed_at').map(headOf),
    overdue(before) {
      const sql = 'SELECT id FROM runs WHERE cleared = 0 AND closed_at IS NOT NULL AND closed_at < ?';
      return rows.all(sql, before).map((row) => String(row['id']));
    },
    markCleared: (id) => void rows.run('UPDATE runs SET cleared = 1 WHERE id = ?', id),
    markPublished: (id) => void rows.run('UPDATE runs SET cleared = 0 WHERE id = ? AND cleared = 1', id),
  };
}
