import { domainToASCII } from 'node:url';
import { z } from 'zod';
import { oneLine } from './text.ts';

/** What is kept of a domain's registration: JSON, for the days on which nobody answers. */
export const Registration = z.object({
  /** Epoch ms; absent where the registry does not tell. */
  expiresAt: z.number().optional(),
  statuses: z.array(z.string()),
  nameservers: z.array(z.string()),
  registrar: z.string().optional(),
  events: z.array(z.string()),
});
export type Registration = z.output<typeof Registration>;

const maximumMembers = 50;

const Event = z.object({ eventAction: z.string(), eventDate: z.string() });
const Entity = z.object({
  roles: z.array(z.string()).default([]),
  handle: z.string().optional(),
  vcardArray: z.unknown().optional(),
});

/** RFC 9083, section 5.3. Lists of registries hold more than is asked for; broken members are left out. */
const DomainAnswer = z.object({
  objectClassName: z.literal('domain'),
  ldhName: z.string().optional(),
  status: z.array(z.unknown()).default([]),
  events: z.array(z.unknown()).default([]),
  entities: z.array(z.unknown()).default([]),
  nameservers: z.array(z.unknown()).default([]),
});

/** The registration of a domain as RDAP tells it, or why the answer is none. */
export function readRegistration(value: unknown, domain: string): Registration | string {
  const answer = DomainAnswer.safeParse(value);
  if (!answer.success) return 'its answer is no domain of RDAP';
  const { ldhName, status, events, entities, nameservers } = answer.data;
  if (ldhName !== undefined && plainName(ldhName) !== domain) return `its answer is about "${oneLine(ldhName, 80)}"`;
  const known = events.slice(0, maximumMembers).flatMap((one) => Event.safeParse(one).data ?? []);
  // The registrar's own date may stand beside the registry's; the registry's is the one that counts.
  const expiration = known.find(({ eventAction }) => eventAction === 'expiration');
  const expiresAt = expiration === undefined ? Number.NaN : Date.parse(expiration.eventDate);
  const registrar = registrarOf(entities);
  return {
    ...(Number.isFinite(expiresAt) && { expiresAt }),
    statuses: texts(status).map(plainStatus),
    nameservers: texts(nameservers.map((one) => z.object({ ldhName: z.string() }).safeParse(one).data?.ldhName))
      .map(plainName)
      .toSorted(),
    ...(registrar !== undefined && { registrar }),
    events: known.map(({ eventAction, eventDate }) => oneLine(`${eventAction}: ${eventDate}`, 120)),
  };
}

function texts(values: readonly unknown[]): string[] {
  return values.slice(0, maximumMembers).flatMap((value) => (typeof value === 'string' ? [oneLine(value, 255)] : []));
}

/** `client hold` of RDAP and `clientHold` of EPP are the same (RFC 8056). */
function plainStatus(status: string): string {
  return status.toLowerCase().replaceAll(/[^a-z]/g, '');
}

/** ASCII, lower case, without the final dot. */
export function plainName(name: string): string {
  return domainToASCII(name.trim()).toLowerCase().replace(/\.$/, '');
}

/** The `fn` of the vCard of the entity in the role (RFC 7095), or its handle. */
function registrarOf(entities: readonly unknown[]): string | undefined {
  for (const value of entities.slice(0, maximumMembers)) {
    const entity = Entity.safeParse(value).data;
    if (entity === undefined || !entity.roles.includes('registrar')) continue;
    const card = z.tuple([z.string(), z.array(z.unknown())]).safeParse(entity.vcardArray).data?.[1] ?? [];
    const name = card.find((property) => Array.isArray(property) && property[0] === 'fn');
    const text: unknown = Array.isArray(name) ? name[3] : undefined;
    return oneLine(typeof text === 'string' && text !== '' ? text : (entity.handle ?? ''), 120) || undefined;
  }
  return undefined;
}

/** Statuses in which a domain does not resolve or is about to be lost (RFC 5731, RFC 3915). */
const deadly: Record<string, string> = {
  clienthold: 'the registrar took it out of the DNS (clientHold)',
  serverhold: 'the registry took it out of the DNS (serverHold)',
  inactive: 'it has no name servers (inactive)',
  redemptionperiod: 'it was deleted and can only be redeemed (redemptionPeriod)',
  pendingdelete: 'it is about to be deleted (pendingDelete)',
  pendingrestore: 'it was deleted and is being restored (pendingRestore)',
};
const doubtful: Record<string, string> = {
  pendingtransfer: 'somebody asked for its transfer (pendingTransfer)',
  autorenewperiod: 'it ended and the registry renewed it until the registrar pays (autoRenewPeriod)',
};

/** What the statuses mean for the owner, the worst first; undefined when none is bad. */
export function troubleOf(statuses: readonly string[]): { severity: 'warning' | 'critical'; text: string } | undefined {
  const dead = statuses.flatMap((status) => (Object.hasOwn(deadly, status) ? (deadly[status] ?? []) : []));
  if (dead.length > 0) return { severity: 'critical', text: dead.join(', ') };
  const doubts = statuses.flatMap((status) => (Object.hasOwn(doubtful, status) ? (doubtful[status] ?? []) : []));
  return doubts.length > 0 ? { severity: 'warning', text: doubts.join(', ') } : undefined;
}
