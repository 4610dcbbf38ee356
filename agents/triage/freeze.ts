import { Freeze } from '#bus/messages/freeze.ts';
import type { Desk } from './desk.ts';

const knownKey = 'freeze';
/** Our own word, until the broker has it. */
const unsentKey = 'freeze.pending';

/** Who froze remediation and why, when it is frozen. */
export function frozenBy(desk: Desk): Freeze | undefined {
  const freeze = read(desk, knownKey);
  return freeze?.frozen === true ? freeze : undefined;
}

/** Takes what the bus says; the newest word counts. Seeing our own means that the broker has it. */
export function takeFreeze(desk: Desk, freeze: Freeze): void {
  const before = read(desk, knownKey);
  if (before !== undefined && Date.parse(before.at) > Date.parse(freeze.at)) return;
  desk.store.rows.transaction(() => {
    desk.store.setFact(knownKey, JSON.stringify(freeze));
    desk.store.setFact(unsentKey, '');
    if (before?.frozen !== freeze.frozen) journal(desk, freeze);
  });
}

/** A person's word. Counts here at once; the caller publishes it after the commit. */
export function setFreeze(desk: Desk, freeze: Freeze): void {
  desk.store.setFact(knownKey, JSON.stringify(freeze));
  desk.store.setFact(unsentKey, JSON.stringify(freeze));
  journal(desk, freeze);
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
