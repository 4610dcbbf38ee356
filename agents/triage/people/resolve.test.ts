import { afterEach, describe, expect, test } from 'vitest';
import { Failure } from '#bus/failure.ts';
import { Story } from '../../../test/parts/triage-story.ts';
import { firingIn } from './resolve.ts';

let story: Story;
describe('what other programs reported', () => {
  afterEach(() => story[Symbol.asyncDispose]());

  test('is over when a person says so: sentinel is asked, and its answer is told', async () => {
    story = await Story.begin({ config: { hosts: { web: {} } } });
    await story.fire({ name: 'DiskFull', host: 'web', resource: '/var', foreign: true });
    await story.clock.advance(40_000);
    const { chat } = story;
    const [id = ''] = (await chat.command('incidents')).split(' ');
    const asked: Record<string, unknown>[] = [];
    story.bus.answer = async (verb, data) => {
      asked.push({ verb, ...data });
      return { resolved: 1, left: 0 };
    };
    expect(await chat.command(`resolve ${id}`)).toBe('Sentinel is asked; it says here what it ended.');
    await story.clock.advance(1_500);
    const fingerprint = expect.stringMatching(/^[0-9a-f]{16}$/) as string;
    expect(asked).toEqual([{ verb: 'resolve', fingerprints: [fingerprint], by: 'Person 3 (telegram:3)' }]);
    expect(chat.notices().at(-1)).toBe(`${id}: 1 reported alert is over; whoever still reports one opens it again.`);

    story.bus.answer = async () => ({ resolved: 0, left: 1 });
    await chat.command(`resolve ${id}`);
    await story.clock.advance(1_500);
    expect(chat.notices().at(-1)).toBe(`${id}: What Lares sees itself (1) ends when it is well.`);

    story.bus.answer = async () => {
      throw new Failure('Cannot write: the disk is full', { recoverable: true });
    };
    await chat.command(`resolve ${id}`);
    await story.clock.advance(1_500);
    expect(chat.notices().at(-1)).toBe('Cannot write: the disk is full');
    expect(await chat.command('resolve nope')).toBe('There is no such incident.');
  });
});

test('sentinel is asked for no more at once than it takes, and only for what fires', () => {
  const member = (index: number) => ({
    fingerprint: index.toString(16).padStart(16, '0'),
    summary: 'disk full',
    status: index % 2 === 0 ? ('firing' as const) : ('resolved' as const),
    role: 'symptom' as const,
    rule: 'same-host',
    why: 'same host',
  });
  const fingerprints = firingIn({ members: Array.from({ length: 2_000 }, (_, index) => member(index)) });
  expect(fingerprints).toHaveLength(500);
  expect(fingerprints[1]).toBe('0000000000000002');
});
