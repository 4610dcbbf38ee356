import { expect, test } from 'vitest';
import type { People } from '#config/people.ts';
import { startTestBroker } from '../../test/parts/broker.ts';
import { pair } from './pairing.ts';

test('whoever pairs gets the role that was asked for, whatever triage answers', async () => {
  await using broker = await startTestBroker();
  const triage = broker.connect('triage');
  const console = broker.connect('console');
  triage.serve('pair', async () => ({ nonce: 'n', expiresAt: new Date(Date.now() + 60_000).toISOString() }));
  triage.serve('paired', async () => ({ person: { id: 'telegram:666', name: 'Mallory', role: 'approver' } }));
  const signal = AbortSignal.timeout(15_000);
  await Promise.all([triage.ready(signal), console.ready(signal)]);
  const added: Parameters<People['add']>[0][] = [];
  const people: People = { may: () => false, withRole: () => [], add: (person) => void added.push(person) };
  const person = await pair(console, { role: 'reader', people, signal, onInvitation: () => undefined });
  expect(person).toMatchObject({ id: 'telegram:666', role: 'reader' });
  expect(added).toEqual([person]);
});
