import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import { rememberAnchor } from '#bus/journal.ts';
import { agentHealth } from '#bus/messages/agent-health.ts';
import { agentState } from '#bus/messages/agent-state.ts';
import { finding } from '#bus/messages/finding.ts';
import { type Freeze, freeze } from '#bus/messages/freeze.ts';
import { manifest } from '#bus/messages/manifest.ts';
import { plan } from '#bus/messages/plan.ts';
import { run } from '#bus/messages/run.ts';
import { verdict } from '#bus/messages/verdict.ts';
import type { AgentWatch } from '../agent-watch.ts';
import type { Desk } from '../desk.ts';
import type { Inbox } from './inbox.ts';

export interface ListenOptions {
  bus: Bus;
  desk: Desk;
  inbox: Inbox;
  watch: AgentWatch;
  /** While triage does not run its store is closed, and messages must stay at the broker. */
  isRunning: () => boolean;
}

/** Subscribes to everything that triage hears. Each listener stores and returns. */
export function listen(options: ListenOptions): void {
  const { bus, inbox, watch, desk } = options;
  bus.subscribe(finding, (message) => inbox.store('finding', message));
  bus.subscribe(manifest, (message) => inbox.store('manifest', message));
  bus.subscribe(plan, (message) => inbox.store('plan', message));
  bus.subscribe(run, (message) => inbox.store('run', message));
  bus.subscribe(verdict, (message) => inbox.store('verdict', message));
  bus.subscribe(agentState, (message) => {
    demandRunning(options);
    watch.state(message);
  });
  bus.subscribe(agentHealth, (message) => {
    demandRunning(options);
    watch.health(message);
    if (message.agent === bus.agent || message.journal === undefined) return;
    rememberAnchor(desk.store.rows, { agent: message.agent, ...message.journal, at: Date.parse(message.at) });
  });
  bus.subscribe(freeze, (message) => {
    demandRunning(options);
    takeFreeze(desk, message);
  });
}

function demandRunning({ isRunning }: ListenOptions): void {
  if (!isRunning()) throw new Failure('Cannot take a message: triage is not running', { recoverable: true });
}

/** The newest word counts. Seeing our own means that the broker has it. */
function takeFreeze(desk: Desk, message: Freeze): void {
  const known = desk.store.fact('freeze');
  const before = known === undefined ? undefined : (JSON.parse(known) as Freeze);
  if (before !== undefined && Date.parse(before.at) > Date.parse(message.at)) return;
  desk.store.rows.transaction(() => {
    desk.store.setFact('freeze', JSON.stringify(message));
    desk.store.setFact('freeze.pending', '');
    if (before?.frozen !== message.frozen) {
      desk.journal('freeze', message.frozen ? 'frozen' : 'released', { by: message.by, reason: message.reason });
    }
  });
}
