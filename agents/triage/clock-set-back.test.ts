import { afterEach, describe, expect, test } from 'vitest';
import { agentState } from '#bus/messages/agent-state.ts';
import type { DigestMessage } from '#bus/messages/digest.ts';
import { freeze } from '#bus/messages/freeze.ts';
import { manifest } from '#bus/messages/manifest.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import { DeliveryFailure } from '#agents/triage/channel.ts';
import { dueDigest } from './digest/due.ts';
import { Story } from '../../test/parts/triage-story.ts';

const day = 86_400_000;
const minute = 60_000;

let story: Story;
afterEach(() => story[Symbol.asyncDispose]());

async function begin(): Promise<Story> {
  story = await Story.begin({ config: { hosts: { web: {} } } });
  return story;
}

describe.each(['while it runs', 'while it is stopped'])('a clock that was a day ahead and is set back %s', (when) => {
  const setBack = async (): Promise<void> => {
    if (when === 'while it runs') return story.clock.setBack(day);
    await story.triage.stop();
    story.clock.setBack(day);
    await story.restart();
  };

  test('hides nothing that happens afterwards', async () => {
    const { chat, clock } = await begin();
    const first = await story.fire({ name: 'http-down', host: 'web' });
    await clock.advance(minute);
    await story.resolve(first);
    await clock.advance(20 * minute);
    await setBack();
    const again = await story.fire({ name: 'http-down', host: 'web', summary: 'again' });
    expect(again.occurrence).not.toBe(first.occurrence);
    await clock.advance(2 * minute);
    expect(chat.card()).toMatchObject({ state: 'firing' });
    await story.restart();
    expect(story.triage.queues?.()).toMatchObject({ outbox: 0 });
    await story.resolve(again);
    await clock.advance(minute);
    expect(chat.card()).toMatchObject({ state: 'resolved' });
  });

  test('delays no message that waited for its cause or for its channel', async () => {
    const { chat, clock } = await begin();
    await story.fire({ name: 'http-down', host: 'web' });
    await clock.advance(2_000);
    await setBack();
    await clock.advance(minute);
    expect(chat.card()).toMatchObject({ state: 'firing' });
    chat.refuse = () => new DeliveryFailure('Cannot reach it', { recoverable: true });
    await story.fire({ name: 'disk-full', host: 'web' });
    await clock.advance(minute);
    await setBack();
    chat.refuse = undefined;
    await clock.advance(5 * minute);
    expect(chat.cards().map(({ title }) => title)).toContain('disk-full of web');
  });

  test('lets the manifest of now count', async () => {
    const { bus, chat, clock } = await begin();
    await bus.hear(manifest, manifestAt(clock.now()));
    await setBack();
    await story.fire({ name: 'http-down', host: 'web' });
    await clock.advance(minute);
    await story.bus.hear(manifest, manifestAt(clock.now()));
    await clock.advance(5_000);
    expect(chat.card().state).toBe('resolved');
  });

  test('does not keep a dead agent alive', async () => {
    const { bus, chat, clock } = await begin();
    await bus.hear(agentState, stateOf('online', clock.now()));
    await setBack();
    await clock.advance(minute);
    await story.bus.hear(agentState, stateOf('offline', clock.now()));
    await clock.advance(10 * minute);
    expect(chat.notices().filter((text) => text.includes('"sentinel" is offline'))).toHaveLength(1);
  });
});

test('a freeze that says it is from the future ends with the thaw that the worker accepts', async () => {
  const { bus, chat, clock } = await begin();
  await bus.hear(freeze, { frozen: true, by: 'terminal:ann', reason: 'x', at: '2999-01-01T00:00:00.000Z' });
  expect(await chat.command('status')).toContain('frozen');
  bus.answer = async () => ({ frozen: false });
  await chat.command('unfreeze mended');
  await clock.advance(1_500);
  expect(await chat.command('status')).not.toContain('frozen');
});

test('a night whose digest was made by a clock that was ahead gets its digest when it comes', async () => {
  const { chat, clock } = await begin();
  const nextMorning = async (): Promise<string> => {
    await story.restart(day);
    return (story.bus.retained.get('digest/nightly') as DigestMessage).day;
  };
  expect(await nextMorning()).toBe('2026-11-21');
  clock.setBack(3 * day);
  expect([await nextMorning(), await nextMorning(), await nextMorning()]).toEqual([
    '2026-11-19',
    '2026-11-20',
    '2026-11-21',
  ]);
  await clock.advance(1_500);
  expect(chat.notices().filter((text) => text.startsWith('Lares digest'))).toHaveLength(4);
});

test('a digest of a day far ahead keeps back no digest', async () => {
  await begin();
  const now = Date.parse('2026-11-20T12:00:00Z');
  const times = { at: '07:00', timeZone: 'UTC' };
  expect(dueDigest('2036-01-01', now, times)).toEqual({ day: '2026-11-20', missed: [] });
  // The time of the digest was moved behind now.
  expect(dueDigest('2026-11-20', now, { ...times, at: '22:00' })).toBeUndefined();
});

function stateOf(state: 'online' | 'offline', at: number) {
  return { agent: 'sentinel' as const, state, version: '1', instance: 'a', since: toInstant(at) };
}

function manifestAt(at: number) {
  const counts = { checks: 0, hosts: 0, ok: 0, pending: 0, firing: 0, asleep: 0, unknown: 0, stale: 0 };
  return { sentinel: 'home', sequence: 1, at: toInstant(at), firing: [], counts, unseen: [] };
}
