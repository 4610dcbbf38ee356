import type { Bus } from '#bus/bus.ts';
import { approval } from '#bus/messages/approval.ts';
import { proposal } from '#bus/messages/proposal.ts';
import { backoff } from '#agents/runtime/retry.ts';
import type { Desk } from '../desk.ts';

const pace = { firstMs: 2_000, maximumMs: 60_000 };

/** Sends the proposals and approvals whose time has come; each goes on until its effect is seen. */
export function resend(desk: Desk, bus: Bus): void {
  if (!bus.connected) return;
  for (const pending of desk.store.plans.due(desk.now)) {
    if (pending.kind === 'proposal' && isIdle(desk, pending.message.incident)) {
      desk.store.plans.endProposal(pending.message.id, 'abandoned');
      continue;
    }
    if (pending.kind === 'proposal') bus.publish(proposal, pending.message);
    else bus.publish(approval, pending.message);
    desk.store.plans.sent(pending, desk.now + backoff(pace, pending.attempts + 1));
  }
}

/** An incident that is over needs no plan any more. */
function isIdle(desk: Desk, incident: string | undefined): boolean {
  if (incident === undefined) return false;
  const state = desk.world.incident(incident)?.state;
  return state === undefined || state === 'closed' || state === 'resolved';
}
