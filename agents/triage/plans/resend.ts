import type { Bus } from '#bus/bus.ts';
import { approval } from '#bus/messages/approval.ts';
import { proposal } from '#bus/messages/proposal.ts';
import { backoff } from '#agents/runtime/retry.ts';
import type { Desk } from '../desk.ts';
import { isForNothing } from './plan-state.ts';

const pace = { firstMs: 2_000, maximumMs: 60_000 };

/** Sends the proposals and approvals whose time has come; each goes on until its effect is seen. */
export function resend(desk: Desk, bus: Bus): void {
  if (!bus.connected) return;
  for (const pending of desk.store.plans.due(desk.now)) {
    if (pending.kind === 'proposal' && isForNothing(desk, pending.message.incident)) {
      desk.store.plans.endProposal(pending.message.id, 'abandoned');
      continue;
    }
    if (pending.kind === 'proposal') bus.publish(proposal, pending.message);
    else bus.publish(approval, pending.message);
    desk.store.plans.sent(pending, desk.now + backoff(pace, pending.attempts + 1));
  }
}
