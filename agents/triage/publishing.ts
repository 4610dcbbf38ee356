import type { Bus } from '#bus/bus.ts';
import { hasElapsed } from '#agents/runtime/clock.ts';
import { type Assessment, assessment } from '#bus/messages/assessment.ts';
import { type DigestMessage, digest } from '#bus/messages/digest.ts';
import { type Freeze, freeze } from '#bus/messages/freeze.ts';
import { incident } from '#bus/messages/incident.ts';
import type { Desk } from './desk.ts';
import { unsentFreeze } from './freeze.ts';
import type { Nightly } from './digest/nightly.ts';
import type { IncidentRecord } from './incident/incident.ts';
import { messageOfIncident } from './incident/incident-message.ts';

/** What triage owns on the bus: a view of its store, published on every change and again on every connect. */
export interface Publishing {
  incidents(incidents: readonly IncidentRecord[]): void;
  assessment(assessment: Assessment): void;
  digest(message: DigestMessage): void;
  freeze(freeze: Freeze): void;
  all(): void;
  /** Since when triage hears the others (epoch ms). */
  awakeSince(): number;
  awake(): void;
  /** Keeps when the bus was last there: what ended after that must still be cleared from it. */
  noteConnected(): void;
}

const connectedKey = 'connected.at';
const noteEveryMs = 60_000;

export function createPublishing(desk: Desk, bus: Bus, nightly: Pick<Nightly, 'last'>): Publishing {
  let awakeSince = desk.now;
  let notedAt = 0;
  function incidents(changed: readonly IncidentRecord[]): void {
    if (!bus.connected) return;
    for (const record of changed) {
      if (record.state === 'closed') bus.clear(incident, record.id);
      else bus.publish(incident, messageOfIncident(record));
    }
  }
  function clearEnded(): void {
    const since = Number(desk.store.fact(connectedKey) ?? 0) - noteEveryMs;
    for (const id of desk.store.incidents.closedSince(since)) bus.clear(incident, id);
  }
  return {
    incidents,
    assessment: (message) => bus.connected && bus.publish(assessment, message),
    digest: (message) => bus.connected && bus.publish(digest, message),
    freeze: (message) => bus.connected && bus.publish(freeze, message),
    all() {
      awakeSince = desk.now;
      clearEnded();
      incidents([...desk.world.incidents.values()].filter((record) => record.state !== 'closed'));
      const last = nightly.last();
      if (last !== undefined) bus.publish(digest, last);
      const unsent = unsentFreeze(desk);
      if (unsent !== undefined) bus.publish(freeze, unsent);
    },
    awakeSince: () => awakeSince,
    awake() {
      awakeSince = desk.now;
    },
    noteConnected() {
      if (!bus.connected || !hasElapsed(noteEveryMs, { since: notedAt, now: desk.now })) return;
      notedAt = desk.now;
      desk.store.setFact(connectedKey, String(notedAt));
    },
  };
}
