import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Finding } from '#bus/messages/finding.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import { makeFinding, storyStart } from '../../../test/parts/triage-story.ts';
import { type Held, compareManifest, mergeFinding, verdictHoldsMs } from './reconcile.ts';

/** A finding's life: occurrences one after the other, each firing, maybe updated, and resolved. */
function life(lengths: readonly number[]): Finding[] {
  let now = storyStart;
  return lengths.flatMap((updates) => {
    now += 1_000;
    const first = makeFinding({ name: 'http-down', host: 'web' }, now);
    const versions = Array.from({ length: updates }, () => {
      now += 1_000;
      return { ...first, updatedAt: toInstant(now) };
    });
    now += 1_000;
    const end: Finding = { ...first, status: 'resolved', endsAt: toInstant(now), updatedAt: toInstant(now) };
    return [first, ...versions, end];
  });
}

function holdAll(messages: readonly Finding[]): Held | undefined {
  let held: Held | undefined;
  for (const message of messages) {
    if (mergeFinding(held, message, storyStart) === 'ignored') continue;
    held = {
      fingerprint: message.fingerprint,
      occurrence: message.occurrence,
      status: message.status,
      startsAt: Date.parse(message.startsAt),
      updatedAt: Date.parse(message.updatedAt),
      sentinel: undefined,
      settledAt: undefined,
    };
  }
  return held;
}

describe('findings that repeat and overtake each other', () => {
  test('in whatever order and however often a life arrives, the end is held in the end', () => {
    fc.assert(
      fc.property(
        fc
          .array(fc.nat(3), { minLength: 1, maxLength: 4 })
          .map(life)
          .chain((messages) =>
            fc.tuple(
              fc.constant(messages),
              fc.shuffledSubarray([...messages, ...messages], { minLength: messages.length * 2 }),
            ),
          ),
        ([messages, shuffled]) => {
          const last = messages.at(-1);
          expect(holdAll(shuffled)).toMatchObject({ occurrence: last?.occurrence, status: 'resolved' });
        },
      ),
    );
  });

  test('a resolved occurrence does not fire again, a new one does', () => {
    const [first, end] = life([0]);
    const again = makeFinding({ name: 'http-down', host: 'web' }, storyStart + 60_000);
    if (first === undefined || end === undefined) throw new Error('A life has two ends');
    const held = holdAll([first, end]);
    expect(mergeFinding(held, first, storyStart)).toBe('ignored');
    expect(mergeFinding(held, again, storyStart)).toBe('new');
  });
});

describe('a manifest', () => {
  const message = makeFinding({ name: 'http-down', host: 'web' }, storyStart);
  const held = holdAll([message]);
  const manifest = (at: number, firing: Finding[], sentinel = 'home') => ({
    sentinel,
    sequence: 1,
    at: toInstant(at),
    firing: firing.map(({ fingerprint, occurrence }) => ({ fingerprint, occurrence })),
    counts: { checks: 0, hosts: 0, ok: 0, pending: 0, firing: 0, asleep: 0, unknown: 0, stale: 0 },
    unseen: [],
  });
  if (held === undefined) throw new Error('A firing finding is held');

  test('ends what it names no more, unless that is newer than the manifest', () => {
    expect(compareManifest(manifest(storyStart + 1, []), [held], true).over).toEqual([message.fingerprint]);
    expect(compareManifest(manifest(storyStart - 1, []), [held], true).over).toEqual([]);
  });

  test('of another sentinel ends nothing', () => {
    const owned = { ...held, sentinel: 'home' };
    expect(compareManifest(manifest(storyStart + 1, [], 'away'), [owned], false).over).toEqual([]);
    expect(compareManifest(manifest(storyStart + 1, [], 'away'), [held], false).over).toEqual([]);
  });

  test('names what was missed, also another occurrence of something that is held', () => {
    const again = { ...message, occurrence: 'another' };
    expect(compareManifest(manifest(storyStart + 1, [message]), [], true).missing).toEqual([message.fingerprint]);
    expect(compareManifest(manifest(storyStart + 1, [again]), [held], true).missing).toEqual([message.fingerprint]);
  });

  test('contradicts a verdict only after recovery has had its time', () => {
    const settled = { ...held, settledAt: storyStart };
    expect(compareManifest(manifest(storyStart + 1, [message]), [settled], true).contradicted).toEqual([]);
    const late = compareManifest(manifest(storyStart + verdictHoldsMs, [message]), [settled], true);
    expect(late.contradicted).toEqual([message.fingerprint]);
  });
});
