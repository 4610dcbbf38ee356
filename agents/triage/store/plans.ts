import type { Store } from '#agents/runtime/store.ts';
import { Approval } from '#bus/messages/approval.ts';
import { Plan } from '#bus/messages/plan.ts';
import { Proposal } from '#bus/messages/proposal.ts';
import { Run } from '#bus/messages/run.ts';
import { Verdict } from '#bus/messages/verdict.ts';

/** What is sent again until its effect is seen. */
type Pending =
  | { kind: 'proposal'; message: Proposal; attempts: number }
  | { kind: 'approval'; message: Approval; attempts: number };

export interface PlanRows {
  saveProposal(proposal: Proposal, now: number): void;
  proposal(id: string): Proposal | undefined;
  endProposal(id: string, state: 'planned' | 'abandoned'): void;
  hasProposal(incident: string): boolean;
  savePlan(plan: Plan): void;
  plan(id: string): Plan | undefined;
  pendingPlans(): Plan[];
  /** Pending plans whose time is over since the last call: their cards must be drawn again. */
  takeExpired(now: number): Plan[];
  saveApproval(approval: Approval, now: number): void;
  /** The decision that counts; one that the worker never took in its time does not. */
  approvalOf(plan: string): Approval | undefined;
  endApproval(plan: string): void;
  /** Approvals and refusals whose effect was not seen yet. */
  waitingApprovals(): Approval[];
  /** Those whose time went by without an effect; each is returned once, and its plan may be decided anew. */
  takeUnheard(now: number): Approval[];
  /** Proposals and approvals whose time to be sent has come. */
  due(now: number): Pending[];
  /** All that wait for their effect are due now: the bus has just connected. */
  hurry(now: number): void;
  sent(pending: Pending, nextAt: number): void;
  saveRun(run: Run): void;
  run(id: string): Run | undefined;
  runOfPlan(plan: string): Run | undefined;
  /** False when this verdict was handled before. */
  saveVerdict(verdict: Verdict): boolean;
}

export function planRows(rows: Store): PlanRows {
  return { ...proposalRows(rows), ...renderedRows(rows), ...approvalRows(rows), ...resendRows(rows), ...runRows(rows) };
}

function body(row: Record<string, unknown>): unknown {
  return JSON.parse(String(row['body']));
}

function proposalRows(rows: Store): Pick<PlanRows, 'saveProposal' | 'proposal' | 'endProposal' | 'hasProposal'> {
  return {
    saveProposal(proposal, now) {
      rows.run(
        `INSERT OR IGNORE INTO proposals (id, incident, body, state, created_at, next_at) VALUES (?,?,?,'waiting',?,?)`,
        proposal.id,
        proposal.incident ?? null,
        JSON.stringify(proposal),
        now,
        now,
      );
    },
    proposal(id) {
      const row = rows.get('SELECT body FROM proposals WHERE id = ?', id);
      return row === undefined ? undefined : Proposal.parse(body(row));
    },
    endProposal: (id, state) =>
      void rows.run(`UPDATE proposals SET state = ? WHERE id = ? AND state = 'waiting'`, state, id),
    hasProposal(incident) {
      return rows.get(`SELECT 1 FROM proposals WHERE incident = ? AND state = 'waiting'`, incident) !== undefined;
    },
  };
}

function renderedRows(rows: Store): Pick<PlanRows, 'savePlan' | 'plan' | 'pendingPlans' | 'takeExpired'> {
  return {
    savePlan(plan) {
      rows.run(
        `INSERT INTO plans (id, proposal, incident, status, created_at, redraw_at, body) VALUES (?,?,?,?,?,?,?)
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, redraw_at = excluded.redraw_at, body = excluded.body`,
        plan.id,
        plan.proposal,
        plan.incident ?? null,
        plan.status,
        Date.parse(plan.createdAt),
        plan.status === 'pending' ? Date.parse(plan.expiresAt) : null,
        JSON.stringify(plan),
      );
    },
    plan(id) {
      const row = rows.get('SELECT body FROM plans WHERE id = ?', id);
      return row === undefined ? undefined : Plan.parse(body(row));
    },
    pendingPlans() {
      return rows
        .all(`SELECT body FROM plans WHERE status = 'pending' ORDER BY created_at`)
        .map((row) => Plan.parse(body(row)));
    },
    takeExpired(now) {
      const found = rows.all('SELECT body FROM plans WHERE redraw_at <= ?', now);
      if (found.length > 0) rows.run('UPDATE plans SET redraw_at = NULL WHERE redraw_at <= ?', now);
      return found.map((row) => Plan.parse(body(row)));
    },
  };
}

function approvalRows(
  rows: Store,
): Pick<PlanRows, 'saveApproval' | 'approvalOf' | 'endApproval' | 'waitingApprovals' | 'takeUnheard'> {
  return {
    saveApproval(approval, now) {
      rows.run(
        `INSERT INTO approvals (id, plan, decision, name, body, state, decided_at, expires_at, next_at)
         VALUES (?,?,?,?,?,'waiting',?,?,?)
         ON CONFLICT (plan) DO UPDATE SET id = excluded.id, decision = excluded.decision, name = excluded.name,
           body = excluded.body, state = excluded.state, decided_at = excluded.decided_at,
           expires_at = excluded.expires_at, attempts = 0, next_at = excluded.next_at
         WHERE state = 'expired'`,
        approval.id,
        approval.plan,
        approval.decision,
        approval.name,
        JSON.stringify(approval),
        Date.parse(approval.decidedAt),
        Date.parse(approval.expiresAt),
        now,
      );
    },
    approvalOf(plan) {
      const row = rows.get(`SELECT body FROM approvals WHERE plan = ? AND state <> 'expired'`, plan);
      return row === undefined ? undefined : Approval.parse(body(row));
    },
    endApproval: (plan) =>
      void rows.run(`UPDATE approvals SET state = 'seen' WHERE plan = ? AND state = 'waiting'`, plan),
    waitingApprovals: () =>
      rows.all(`SELECT body FROM approvals WHERE state = 'waiting'`).map((row) => Approval.parse(body(row))),
    takeUnheard(now) {
      const where = `WHERE state = 'waiting' AND expires_at <= ?`;
      const found = rows.all(`SELECT body FROM approvals ${where}`, now).map((row) => Approval.parse(body(row)));
      if (found.length > 0) rows.run(`UPDATE approvals SET state = 'expired' ${where}`, now);
      return found;
    },
  };
}

function resendRows(rows: Store): Pick<PlanRows, 'due' | 'hurry' | 'sent'> {
  const tables = { proposal: 'proposals', approval: 'approvals' } as const;
  return {
    due(now) {
      const due = (table: string, isAlive = 'TRUE'): Record<string, unknown>[] =>
        rows.all(`SELECT body, attempts FROM ${table} WHERE state = 'waiting' AND next_at <= ?1 AND ${isAlive}`, now);
      return [
        ...due('proposals').map((row): Pending => ({
          kind: 'proposal',
          message: Proposal.parse(body(row)),
          attempts: Number(row['attempts']),
        })),
        ...due('approvals', 'expires_at > ?1').map((row): Pending => ({
          kind: 'approval',
          message: Approval.parse(body(row)),
          attempts: Number(row['attempts']),
        })),
      ];
    },
    hurry(now) {
      for (const table of Object.values(tables))
        rows.run(`UPDATE ${table} SET next_at = ? WHERE state = 'waiting'`, now);
    },
    sent(pending, nextAt) {
      const sql = `UPDATE ${tables[pending.kind]} SET attempts = attempts + 1, next_at = ? WHERE id = ?`;
      rows.run(sql, nextAt, pending.message.id);
    },
  };
}

function runRows(rows: Store): Pick<PlanRows, 'saveRun' | 'run' | 'runOfPlan' | 'saveVerdict'> {
  return {
    saveRun(run) {
      rows.run(
        `INSERT INTO runs (id, plan, incident, status, started_at, updated_at, body) VALUES (?,?,?,?,?,?,?)
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, started_at = excluded.started_at,
           updated_at = excluded.updated_at, body = excluded.body`,
        run.id,
        run.plan,
        run.incident ?? null,
        run.status,
        run.startedAt === undefined ? null : Date.parse(run.startedAt),
        Date.parse(run.updatedAt),
        JSON.stringify(run),
      );
    },
    run(id) {
      const row = rows.get('SELECT body FROM runs WHERE id = ?', id);
      return row === undefined ? undefined : Run.parse(body(row));
    },
    runOfPlan(plan) {
      const row = rows.get('SELECT body FROM runs WHERE plan = ? ORDER BY updated_at DESC LIMIT 1', plan);
      return row === undefined ? undefined : Run.parse(body(row));
    },
    saveVerdict(verdict) {
      const { changes } = rows.run(
        'INSERT OR IGNORE INTO verdicts (run, incident, outcome, at, body) VALUES (?,?,?,?,?)',
        verdict.run,
        verdict.incident ?? null,
        verdict.outcome,
        Date.parse(verdict.at),
        JSON.stringify(verdict),
      );
      return changes > 0;
    },
  };
}
