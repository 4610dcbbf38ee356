import type { z } from 'zod';
import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import { rememberAnchor } from '#bus/journal.ts';
import type { MessageKind } from '#bus/message.ts';
import { agentHealth } from '#bus/messages/agent-health.ts';
import { agentState } from '#bus/messages/agent-state.ts';
import { finding } from '#bus/messages/finding.ts';
import { freeze } from '#bus/messages/freeze.ts';
import { inventory } from '#bus/messages/inventory.ts';
import { manifest } from '#bus/messages/manifest.ts';
import { plan } from '#bus/messages/plan.ts';
import { run } from '#bus/messages/run.ts';
import { verdict } from '#bus/messages/verdict.ts';
import type { AgentWatch } from '../agent-watch.ts';
import type { Desk } from '../desk.ts';
import { takeFreeze } from '../freeze.ts';
import { createFleet } from './fleet.ts';
import type { Inbox, InboxMessage } from './inbox.ts';

interface ListenOptions {
  bus: Bus;
  desk: Desk;
  inbox: Inbox;
  watch: AgentWatch;
  /** While triage does not run its store is closed, and messages must stay at the broker. */
  isRunning: () => boolean;
}

/** Subscribes to everything that triage hears. Each listener stores and returns. */
export function listen({ bus, desk, inbox, watch, isRunning }: ListenOptions): void {
  const running = (): void => {
    if (!isRunning()) throw new Failure('Cannot take a message: triage is not running', { recoverable: true });
  };
  const hear = <P extends z.ZodObject>(kind: MessageKind<P>, take: (message: z.output<P>) => void): void => {
    bus.subscribe(kind, (message) => {
      running();
      take(message);
    });
  };
  const keep = <P extends z.ZodObject>(kind: MessageKind<P>, named: (body: z.output<P>) => InboxMessage): void => {
    const store = (body: z.output<P>): Promise<void> => {
      running();
      return inbox.store(named(body));
    };
    bus.subscribe(kind, store, { together: true });
  };
  keep(finding, (body) => ({ kind: 'finding', body }));
  keep(manifest, (body) => ({ kind: 'manifest', body }));
  keep(plan, (body) => ({ kind: 'plan', body }));
  keep(run, (body) => ({ kind: 'run', body }));
  keep(verdict, (body) => ({ kind: 'verdict', body }));
  hear(agentState, (message) => watch.state(message));
  hear(agentHealth, (message) => {
    watch.health(message);
    if (message.agent === bus.agent || message.journal === undefined) return;
    rememberAnchor(desk.store.rows, { agent: message.agent, ...message.journal, at: Date.parse(message.at) });
  });
  const fleet = createFleet(desk);
  hear(inventory, (message) => fleet.take(message));
  bus.onClear(inventory, (sentinel) => {
    if (isRunning()) fleet.forget(sentinel);
  });
  hear(freeze, (message) => takeFreeze(desk, message));
}
