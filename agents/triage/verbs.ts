import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import type { Incident } from '#bus/messages/incident.ts';
import type { Role } from '#config/people.ts';
import { parseDuration } from '#config/duration.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import type { Desk } from './desk.ts';
import { detailsOf } from './details.ts';
import type { Nightly } from './digest/nightly.ts';
import type { IncidentRecord } from './incident/incident.ts';
import { messageOfIncident } from './incident/incident-message.ts';
import type { Pairing } from './people/pairing.ts';
import { acknowledge, snooze, snoozeMs } from './people/attend.ts';

interface VerbOptions {
  bus: Bus;
  desk: Desk;
  pairing: Pairing;
  nightly: Pick<Nightly, 'now'>;
  pairLink: ((nonce: string) => string | undefined) | undefined;
}

type Answer = Record<string, unknown>;

/** What the command line asks over the bus. Whoever can speak there as console has read the state folder's password. */
export function serveVerbs(options: VerbOptions): void {
  const { bus, desk } = options;
  const serve = (verb: string, handler: (data: Answer) => Answer): void => {
    bus.serve(verb, async (data) => handler(data));
  };
  serve('incidents', () => listing(desk.world.open()));
  serve('incident', (data) => {
    const incident = wanted(desk, data);
    const timeline = desk.store.incidents.timeline(incident.id, shownTimeline);
    return {
      incident: messageOfIncident(incident, membersRoomBytes),
      timeline: timeline.map(({ at, kind, text }) => ({ at: toInstant(at), kind, text: text.slice(0, 600) })),
      ...detailsOf(desk, incident),
    };
  });
  serve('digest', () => ({ text: options.nightly.now() }));
  serve('acknowledge', (data) => ({
    text: desk.transact(() => acknowledge(desk, wanted(desk, data), personIn(data))),
  }));
  serve('snooze', (data) => {
    const forMs = (typeof data['for'] === 'string' ? parseDuration(data['for']) : undefined) ?? snoozeMs;
    return { text: desk.transact(() => snooze(desk, wanted(desk, data), { person: personIn(data), forMs })) };
  });
  servePairing(options, serve);
}

/** Well below the bus's limit, with room for what else is in the answer. */
const listingRoomBytes = 150_000;
/** In the answer about one incident its timeline and details stand beside it. */
const membersRoomBytes = 110_000;
const shownTimeline = 50;

/** The worst first, each with its first members; what does not fit into one answer is counted. */
function listing(open: readonly IncidentRecord[]): Answer {
  const incidents: Incident[] = [];
  let left = listingRoomBytes;
  for (const record of open) {
    const message = messageOfIncident({ ...record, members: record.members.slice(0, 8) });
    left -= Buffer.byteLength(JSON.stringify(message));
    if (left < 0) break;
    incidents.push(message);
  }
  const leftOut = open.length - incidents.length;
  return { incidents, ...(leftOut > 0 && { leftOut }) };
}

function wanted(desk: Desk, data: Answer): IncidentRecord {
  const id = typeof data['id'] === 'string' ? data['id'] : '';
  const incident = desk.world.incident(id);
  if (incident !== undefined) return incident;
  throw new Failure(`Cannot find incident "${id.slice(0, 80)}"`, { recoverable: false });
}

function personIn(data: Answer): { id: string; name: string } {
  const name = typeof data['by'] === 'string' && data['by'] !== '' ? data['by'].slice(0, 100) : 'console';
  return { id: `terminal:${name}`, name };
}

function servePairing(options: VerbOptions, serve: (verb: string, handler: (data: Answer) => Answer) => void): void {
  const { desk, pairing } = options;
  serve('pair', (data) => {
    const role = roleIn(data);
    return desk.transact(() => {
      const { nonce, expiresAt } = pairing.begin(role, desk.now);
      desk.journal('pairing', 'begun', { role });
      const link = options.pairLink?.(nonce);
      return { nonce, expiresAt: toInstant(expiresAt), ...(link !== undefined && { link }) };
    });
  });
  serve('paired', (data) => {
    const person = typeof data['nonce'] === 'string' ? pairing.claimed(data['nonce']) : undefined;
    return person === undefined ? {} : { person };
  });
}

function roleIn(data: Answer): Role {
  const role = data['role'];
  if (role === 'reader' || role === 'operator' || role === 'approver') return role;
  throw new Failure(`Cannot pair as "${String(role).slice(0, 40)}": the role is none of reader, operator, approver`, {
    recoverable: false,
  });
}
