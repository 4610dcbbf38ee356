import type { Store } from '#agents/runtime/store.ts';
import { Approval } from '#bus/messages/approval.ts';
import { Plan } from '#bus/messages/plan.ts';
import { Proposal } from '#bus/messages/proposal.ts';

/** A plan and what it was rendered from beside the proposal. */
export interface StoredPlan {
  plan: Plan;
  alertnames: readonly string[];
}

export interface PlanRows {
  /** False when this proposal is known already. */
  saveProposal(proposal: Proposal, now: number): boolean;
  /** Proposals that no plan answers yet. */
  openProposals(): Proposal[];
  planOfProposal(id: string): Plan | undefined;
  savePlan(stored: StoredPlan): void;
  plan(id: string): StoredPlan | undefined;
  pendingPlans(): Plan[];
  newestPlans(limit: number): Plan[];
  /** Ends a plan that is pending. False when it was not: whoever came first has decided. */
  decide(id: string, decision: { status: Plan['status']; reason?: string; at: number }): boolean;
  /** Plans whose topic still holds them. */
  published(): Plan[];
  /** Decided before `before`, topic not cleared yet. */
  overdue(before: number): string[];
  markCleared(id: string): void;
  /** Its topic holds it again, until the next sweep. */
  markPublished(id: string): void;
  /** False when this approval is known already. */
  saveApproval(approval: Approval, now: number): boolean;
  openApprovals(): Approval[];
  endApproval(id: string, outcome: string): void;
}

export function planRows(rows: Store): PlanRows {
  return { ...proposalRows(rows), ...renderedRows(rows), ...clearingRows(rows), ...approvalRows(rows) };
}

function body(row: Record<string, unknown>): unknown {
  return JSON.parse(String(row['body']));
}

function proposalRows(rows: Store): Pick<PlanRows, 'saveProposal' | 'openProposals' | 'planOfProposal'> {
  return {
    saveProposal(proposal, now) {
      const sql = 'INSERT OR IGNORE INTO proposals (id, body, at) VALUES (?,?,?)';
      return rows.run(sql, proposal.id, JSON.stringify(proposal), now).changes > 0;
    },
    openProposals() {
      const all = rows.all('SELECT body FROM proposals WHERE plan IS NULL ORDER BY at, id');
      return all.map((row) => Proposal.parse(body(row)));
    },
    planOfProposal(id) {
      const row = rows.get('SELECT body FROM plans WHERE proposal = ?', id);
      return row && Plan.parse(body(row));
    },
  };
}

function renderedRows(rows: Store): Pick<PlanRows, 'savePlan' | 'plan' | 'pendingPlans' | 'newestPlans' | 'decide'> {
  return {
    savePlan({ plan, alertnames }) {
      rows.run(
        `INSERT INTO plans (id, proposal, incident, playbook, status, digest, body, alertnames, created_at, expires_at, decided_at)
         VALUES (?,?,?,?,?,?,?,?,?,?,?)`,
        plan.id,
        plan.proposal,
        plan.incident ?? null,
        plan.playbook,
        plan.status,
        plan.digest ?? null,
        JSON.stringify(plan),
        JSON.stringify(alertnames),
        Date.parse(plan.createdAt),
        Date.parse(plan.expiresAt),
        plan.status === 'pending' ? null : Date.parse(plan.createdAt),
      );
      rows.run('UPDATE proposals SET plan = ? WHERE id = ?', plan.id, plan.proposal);
    },
    plan(id) {
      const row = rows.get('SELECT body, alertnames FROM plans WHERE id = ?', id);
      if (row === undefined) return undefined;
      return { plan: Plan.parse(body(row)), alertnames: JSON.parse(String(row['alertnames'])) as string[] };
    },
    pendingPlans() {
      const all = rows.all(`SELECT body FROM plans WHERE status = 'pending' ORDER BY created_at`);
      return all.map((row) => Plan.parse(body(row)));
    },
    newestPlans(limit) {
      const all = rows.all('SELECT body FROM plans ORDER BY created_at DESC, id LIMIT ?', limit);
      return all.map((row) => Plan.parse(body(row)));
    },
    decide(id, { status, reason, at }) {
      const row = rows.get(`SELECT body FROM plans WHERE id = ? AND status = 'pending'`, id);
      if (row === undefined) return false;
      const plan: Plan = {
        ...Plan.parse(body(row)),
        status,
        ...(reason !== undefined && { reason: reason.slice(0, 4_000) }),
      };
      const sql = 'UPDATE plans SET status = ?, body = ?, decided_at = ? WHERE id = ?';
      return rows.run(sql, status, JSON.stringify(plan), at, id).changes > 0;
    },
  };
}

function clearingRows(rows: Store): Pick<PlanRows, 'published' | 'overdue' | 'markCleared' | 'markPublished'> {
  return {
    published() {
      const all = rows.all('SELECT body FROM plans WHERE cleared = 0 ORDER BY created_at');
      return all.map((row) => Plan.parse(body(row)));
    },
    overdue(before) {
      const sql = `SELECT id FROM plans WHERE cleared = 0 AND status <> 'pending' AND decided_at < ?`;
      return rows.all(sql, before).map((row) => String(row['id']));
    },
    markCleared: (id) => void rows.run('UPDATE plans SET cleared = 1 WHERE id = ?', id),
    markPublished: (id) => void rows.run('UPDATE plans SET cleared = 0 WHERE id = ? AND cleared = 1', id),
  };
}

function approvalRows(rows: Store): Pick<PlanRows, 'saveApproval' | 'openApprovals' | 'endApproval'> {
  return {
    saveApproval(approval, now) {
      const sql = 'INSERT OR IGNORE INTO approvals (id, plan, body, at) VALUES (?,?,?,?)';
      return rows.run(sql, approval.id, approval.plan, JSON.stringify(approval), now).changes > 0;
    },
    openApprovals() {
      const all = rows.all('SELECT body FROM approvals WHERE outcome IS NULL ORDER BY at, id');
      return all.map((row) => Approval.parse(body(row)));
    },
    endApproval: (id, outcome) =>
      void rows.run('UPDATE approvals SET outcome = ? WHERE id = ?', outcome.slice(0, 1_000), id),
  };
}
