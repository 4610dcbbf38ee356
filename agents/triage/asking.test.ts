import { afterEach, expect, test } from 'vitest';
import { Failure } from '#bus/failure.ts';
import { createLog } from '#agents/runtime/log.ts';
import { MemoryBus } from '../../test/parts/memory-bus.ts';
import { Story } from '../../test/parts/triage-story.ts';
import { createVirtualClock } from '../../test/parts/virtual-clock.ts';
import { Asking, type Reply } from './asking.ts';

let story: Story | undefined;
afterEach(() => story?.[Symbol.asyncDispose]());

const question = { verb: 'signers', data: {}, ms: 10_000, late: 'the worker did not answer in time' };

function begin(transact: <T>(work: () => T) => T = (work) => work()) {
  const bus = new MemoryBus('triage');
  const clock = createVirtualClock(0);
  const replies: Reply[] = [];
  const asking = new Asking({ bus, clock, desk: { transact }, log: createLog({ level: 'silent', name: 'test' }) });
  return { bus, clock, asking, replies, take: (reply: Reply) => void replies.push(reply) };
}

test('a question that nobody answers ends in its time and in its own words', async () => {
  const { bus, clock, asking, replies, take } = begin();
  bus.answer = () => new Promise(() => undefined);
  asking.ask(question, take);
  await clock.advance(9_999);
  expect(replies).toEqual([]);
  await clock.advance(1);
  expect(replies).toMatchObject([{ ok: false, failure: { message: question.late, recoverable: true } }]);
});

test('an answer that the disk does not take ends nothing but itself', async () => {
  let isFull = true;
  const { bus, clock, asking, replies, take } = begin((work) => {
    if (isFull) throw new Failure('Cannot keep state: no space is left', { recoverable: true });
    return work();
  });
  bus.answer = async () => ({ keys: [] });
  asking.ask(question, take);
  await clock.advance(1_000);
  expect(replies).toEqual([]);
  isFull = false;
  asking.ask(question, take);
  await clock.advance(1_000);
  expect(replies).toEqual([{ ok: true, data: { keys: [] } }]);
});

test('what is asked when triage stops is given up and never taken', async () => {
  const { bus, asking, replies, take } = begin();
  const { promise, resolve } = Promise.withResolvers<Record<string, unknown>>();
  bus.answer = () => promise;
  asking.ask(question, take);
  await asking.stop();
  resolve({});
  asking.ask(question, take);
  await asking.stop();
  expect(replies).toEqual([]);
});

test('triage stops at once while the worker still looks for a dry run', async () => {
  const proposal = { playbook: 'restart-systemd-unit', parameters: { unit: 'nginx.service' }, hosts: ['web'] };
  story = await Story.begin({ config: { hosts: { web: {} } }, assess: async () => ({ proposal }) });
  await story.fire({ name: 'unit-failed', host: 'web', labels: { unit: 'nginx.service' } });
  await story.clock.advance(40_000);
  await story.planFor(story.proposal());
  const { promise, resolve } = Promise.withResolvers<Record<string, unknown>>();
  story.bus.answer = () => promise;
  expect(await story.chat.press('dry-run')).toContain('asked for a dry run');
  await story.restart();
  resolve({});
  await story.clock.advance(5_000);
  expect(story.chat.notices().filter((text) => text.startsWith('Dry run'))).toEqual([]);
});
