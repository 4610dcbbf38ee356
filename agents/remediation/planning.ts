import type { Proposal } from '#bus/messages/proposal.ts';
import type { RateLimit } from '#agents/runtime/rate-limit.ts';
import type { Board } from './board.ts';
import { tooMany } from './pace.ts';
import type { Dropped } from './dropped.ts';
import { makePlan, type PlannerContext, refusedPlan } from './plan.ts';
import type { StoredPlan } from './store/plans.ts';

interface PlanningContext extends PlannerContext {
  board: Board;
  limit: RateLimit;
  dropped: Dropped;
  stopping: AbortSignal;
  /** Takes work in the background and sees to its failures. */
  track: (work: Promise<void>) => void;
  /** Called after a plan was made for what ended meanwhile. */
  withdrawOver: () => void;
}

/** From proposals to plans: each is answered once, and the answer is told again when the proposal comes again. */
export class Planning {
  readonly #by: PlanningContext;
  readonly #active = new Set<string>();

  constructor(by: PlanningContext) {
    this.#by = by;
  }

  get active(): number {
    return this.#active.size;
  }

  onProposal(proposal: Proposal): void {
    const { store, context, board, limit } = this.#by;
    if (!store.plans.saveProposal(proposal, context.clock.now())) {
      // It is sent again because its plan was not seen.
      const known = store.plans.planOfProposal(proposal.id);
      if (known !== undefined) board.plan(known.id);
    } else if (limit.take('proposal')) this.#begin(proposal);
    else this.#turnAway(proposal);
  }

  /** Answered like any other, but not each is written down: the journal is never cut, so nobody may fill it. */
  #turnAway(proposal: Proposal): void {
    const { store, board, dropped } = this.#by;
    const plan = refusedPlan(this.#by, proposal, tooMany('proposals'));
    store.plans.savePlan({ plan, alertnames: [] });
    dropped.note({ kind: 'proposal-dropped', subject: plan.id, body: { playbook: plan.playbook, by: proposal.by } });
    board.plan(plan.id);
  }

  /** What was accepted and not answered, because the process or the world failed meanwhile. */
  resume(): void {
    for (const open of this.#by.store.plans.openProposals()) this.#begin(open);
  }

  #begin(proposal: Proposal): void {
    if (this.#active.has(proposal.id)) return;
    this.#active.add(proposal.id);
    this.#by.track(this.#make(proposal).finally(() => this.#active.delete(proposal.id)));
  }

  async #make(proposal: Proposal): Promise<void> {
    const made = await makePlan(this.#by, proposal, this.#by.stopping);
    this.#keep(made, proposal.by);
    if (this.#by.findings.areOver(made.plan.findings)) this.#by.withdrawOver();
  }

  #keep({ plan, alertnames }: StoredPlan, by: string): void {
    const { store, context, board } = this.#by;
    const { digest, status, reason, playbook } = plan;
    const body = { playbook, status, digest: digest ?? null, reason: reason ?? null, by };
    store.rows.transaction(() => {
      store.plans.savePlan({ plan, alertnames });
      store.journal.append({ at: context.clock.now(), kind: 'plan', subject: plan.id, body });
    });
    board.plan(plan.id);
  }
}
