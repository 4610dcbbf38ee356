import type { Plan } from '#bus/messages/plan.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { Board } from './board.ts';
import type { FindingBook } from './findings.ts';
import type { RemediationStore } from './store.ts';

interface PlanEndsContext {
  store: RemediationStore;
  board: Board;
  clock: Clock;
  findings: FindingBook;
}

/** The ends of plans that nobody decided: they are withdrawn, or they expire. */
export class PlanEnds {
  readonly #by: PlanEndsContext;

  constructor(by: PlanEndsContext) {
    this.#by = by;
  }

  /** Those whose findings have all ended. */
  withdrawOver(): void {
    this.#withdraw((plan) => this.#by.findings.areOver(plan.findings), 'what it was for is over');
  }

  withdrawFor(incident: string): void {
    this.#withdraw((plan) => plan.incident === incident, 'the incident is over');
  }

  expire(): void {
    const now = this.#by.clock.now();
    for (const plan of this.#by.store.plans.pendingPlans()) {
      if (Date.parse(plan.expiresAt) > now) continue;
      this.#end(plan, { status: 'expired', reason: 'nobody approved it in time' });
    }
  }

  #withdraw(isConcerned: (plan: Plan) => boolean, reason: string): void {
    for (const plan of this.#by.store.plans.pendingPlans()) {
      if (isConcerned(plan)) this.#end(plan, { status: 'withdrawn', reason });
    }
  }

  #end(plan: Plan, how: { status: 'withdrawn' | 'expired'; reason: string }): void {
    const { store, board, clock } = this.#by;
    const at = clock.now();
    const isDecided = store.rows.transaction(() => {
      if (!store.plans.decide(plan.id, { ...how, at })) return false;
      store.journal.append({ at, kind: how.status, subject: plan.id, body: { reason: how.reason } });
      return true;
    });
    if (isDecided) board.plan(plan.id);
  }
}
