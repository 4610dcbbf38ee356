import type { Signer } from '#bus/keys.ts';
import { Freeze } from '#bus/messages/freeze.ts';
import { signThaw } from '#bus/sign.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import type { Asking } from './asking.ts';
import type { Person } from './channel.ts';
import type { Desk } from './desk.ts';
import { sendText } from './present.ts';

const knownKey = 'freeze';
/** Our own word, until the broker has it. */
const unsentKey = 'freeze.pending';
const answerMs = 15_000;

/** Who froze remediation and why, when it is frozen. */
export function frozenBy(desk: Desk): Freeze | undefined {
  const freeze = read(desk, knownKey);
  return freeze?.frozen === true ? freeze : undefined;
}

/**
 * Takes what the bus says; the newest word counts. Seeing our own means that the broker has it. An older freeze counts
 * against a thaw: the worker says it again when that thaw did not count there.
 */
export function takeFreeze(desk: Desk, freeze: Freeze): void {
  if (!freeze.frozen && freeze.signature === undefined) return;
  const before = read(desk, knownKey);
  const saidAt = before === undefined ? 0 : Date.parse(before.at);
  // By a clock that is years ahead no thaw would ever be newer, and nothing could be approved any more.
  const isOlder = saidAt <= desk.now && saidAt > Date.parse(freeze.at);
  if (isOlder && (before?.frozen === true || !freeze.frozen)) return;
  desk.store.rows.transaction(() => {
    desk.store.setFact(knownKey, JSON.stringify(freeze));
    desk.store.setFact(unsentKey, '');
    if (before?.frozen !== freeze.frozen) journal(desk, freeze);
  });
}

/** A person's word. Counts here at once; the caller publishes it after the commit. */
export function setFrozen(desk: Desk, freeze: Freeze & { frozen: true }): void {
  desk.store.setFact(knownKey, JSON.stringify(freeze));
  desk.store.setFact(unsentKey, JSON.stringify(freeze));
  journal(desk, freeze);
}

/**
 * Asks the worker to go on. Only its answer counts, by its own list of approvers; everybody is told when it does, and
 * whoever asked when it does not.
 */
export function askThaw(
  { asking, desk, signer }: { asking: Asking; desk: Desk; signer: Signer },
  { person, reason }: { person: Person; reason: string },
  channel: string,
): void {
  const thaw = signThaw({ by: person.id, reason, at: toInstant(desk.now) }, signer);
  // It may have heard and its answer may be lost: then it says on the bus what counts.
  const late = 'The worker did not answer in time; /status says whether remediation is frozen';
  asking.ask({ verb: 'thaw', data: thaw, ms: answerMs, late }, (reply) => {
    if (!reply.ok) {
      desk.journal('freeze', 'thaw-refused', { by: person.id, why: reply.failure.message });
      return sendText(desk, reply.failure.message, channel);
    }
    takeFreeze(desk, thaw);
    const text = `Remediation is allowed again by ${person.name}: ${reason}`;
    desk.outbox.notice(`freeze:${thaw.at}`, { type: 'notice', text, silent: true });
  });
}

export function unsentFreeze(desk: Desk): Freeze | undefined {
  return read(desk, unsentKey);
}

function read(desk: Desk, key: string): Freeze | undefined {
  const text = desk.store.fact(key) ?? '';
  return text === '' ? undefined : Freeze.parse(JSON.parse(text));
}

function journal(desk: Desk, { frozen, by, reason }: Freeze): void {
  desk.journal('freeze', frozen ? 'frozen' : 'released', { by, reason });
}
