import { maximumMessageBytes } from '#bus/message.ts';
import type { Incident } from '#bus/messages/incident.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import type { IncidentRecord } from './incident.ts';

/** What a message leaves for its payload. */
const messageRoomBytes = maximumMessageBytes - 4_096;
/** To how many characters the texts of members are cut, one after the other, until all fit. */
const textLengths = [500, 100, 30];
/** Names of hosts alone may be too much for a message. */
const fewMembers = 100;

/** As the bus carries it: with many members their texts are cut until it fits into `roomBytes`. */
export function messageOfIncident(incident: IncidentRecord, roomBytes = messageRoomBytes): Incident {
  for (const longest of textLengths) {
    const message = withTexts(incident, longest);
    if (Buffer.byteLength(JSON.stringify(message)) <= roomBytes) return message;
  }
  return withTexts({ ...incident, members: incident.members.slice(0, fewMembers) }, 0);
}

function withTexts(incident: IncidentRecord, longest: number): Incident {
  return {
    id: incident.id,
    state: incident.state,
    severity: incident.severity,
    title: incident.title,
    root: incident.root,
    members: incident.members.map(({ fingerprint, host, summary, status, role, rule, why }) => ({
      fingerprint,
      ...(host !== undefined && { host }),
      summary: summary.slice(0, longest),
      status,
      role,
      rule,
      why: why.slice(0, longest),
    })),
    ...(incident.acknowledgedBy !== undefined && { acknowledgedBy: incident.acknowledgedBy }),
    ...(incident.snoozedUntil !== undefined && { snoozedUntil: toInstant(incident.snoozedUntil) }),
    startsAt: toInstant(incident.startsAt),
    ...(incident.endsAt !== undefined && { endsAt: toInstant(incident.endsAt) }),
    updatedAt: toInstant(incident.updatedAt),
  };
}
