import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Bus } from '#bus/bus.ts';
import { type People, Role } from '#config/people.ts';

const Invitation = z.object({ nonce: z.string(), link: z.string().optional(), expiresAt: z.string() });
const Paired = z.object({ person: z.object({ id: z.string(), name: z.string(), role: Role }).optional() });

type Invitation = z.output<typeof Invitation>;
export type PairedPerson = { id: string; name: string; role: Role };

const pollMs = 500;

/**
 * Pairs one person: triage makes the one-time link and tells who opened it; the console, which has proved itself by
 * reading the state folder, writes that person into the people file. Triage can grant nothing by itself. Resolves with
 * undefined when nobody came in time.
 */
export async function pair(
  bus: Bus,
  options: { role: Role; people: People; signal: AbortSignal; onInvitation: (invitation: Invitation) => void },
): Promise<PairedPerson | undefined> {
  const invitation = Invitation.parse(await bus.request('pair', { role: options.role }, options.signal));
  options.onInvitation(invitation);
  while (Date.now() < Date.parse(invitation.expiresAt) && !options.signal.aborted) {
    const { person } = Paired.parse(await bus.request('paired', { nonce: invitation.nonce }, options.signal));
    if (person !== undefined) {
      // The role that was asked for here, whatever the answer says.
      const paired = { ...person, role: options.role };
      options.people.add(paired);
      return paired;
    }
    await sleep(pollMs, undefined, { signal: options.signal });
  }
  return undefined;
}
