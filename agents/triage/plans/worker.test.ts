import { afterEach, expect, test } from 'vitest';
import { Failure } from '#bus/failure.ts';
import { type Approval, approval } from '#bus/messages/approval.ts';
import { Story } from '../../../test/parts/triage-story.ts';

let story: Story;
afterEach(() => story[Symbol.asyncDispose]());

const minute = 60_000;
const restart = { playbook: 'restart-systemd-unit', parameters: { unit: 'nginx.service' }, hosts: ['web'] };
const files = { triage: '/etc/lares/triage.pub', console: '/etc/lares/console.pub' };

/** A plan that was approved on its card. */
async function approved(signers: () => Promise<Record<string, unknown>>) {
  story = await Story.begin({ config: { hosts: { web: {} } }, assess: async () => ({ proposal: restart }) });
  story.bus.answer = signers;
  await story.fire({ name: 'unit-failed', host: 'web', labels: { unit: 'nginx.service' } });
  await story.clock.advance(40_000);
  const plan = await story.planFor(story.proposal());
  await story.chat.press('approve');
  return { plan, chat: story.chat, clock: story.clock };
}

const ourKey = (): string => (story.bus.of(approval) as Approval[])[0]?.signature.key ?? '';
const lastNews = (): string | undefined => story.chat.card().news.at(-1);

test('a worker that does not know the key is told on the card with the command that mends it, until it does', async () => {
  const keys: string[] = ['ed25519-of-somebody-else'];
  const { chat, clock } = await approved(async () => ({ keys, files }));
  expect(lastNews()).toBe('Waiting for the worker');
  await clock.advance(10_000);
  expect(chat.card().news.at(-2)).toContain('Waiting for the worker: the worker does not know the key of triage');
  expect(lastNews()).toMatch(/^scp \S+\/keys\/triage\.pub WORKER:\/etc\/lares\/triage\.pub$/);
  expect(chat.cards()).toHaveLength(1);
  keys.push(ourKey());
  await clock.advance(20_000);
  expect(lastNews()).toBe('Waiting for the worker');
});

test('a worker that does not answer is told on the card', async () => {
  const { clock } = await approved(async () => {
    throw new Failure('nobody answers', { recoverable: true });
  });
  await clock.advance(10_000);
  expect(lastNews()).toBe('Waiting for the worker: the worker does not answer');
});

test('an approval that was never taken is told once with its reason, and the plan can be approved anew', async () => {
  const { plan, chat, clock } = await approved(async () => ({ keys: [], files }));
  await clock.advance(16 * minute);
  const told = chat.notices().filter((text) => text.startsWith('Not run'));
  expect(told).toHaveLength(1);
  expect(told[0]).toContain('the worker does not know the key of triage');
  const sent = story.bus.of(approval).length;
  await story.restart();
  await clock.advance(5 * minute);
  expect(chat.notices().filter((text) => text.startsWith('Not run'))).toHaveLength(1);
  expect(story.bus.of(approval)).toEqual([]);
  expect(sent).toBeGreaterThan(1);
  expect(await chat.press('approve')).toContain('Approved');
  const [again] = story.bus.of(approval) as Approval[];
  expect(again?.plan).toBe(plan.id);
  await story.run(plan, { status: 'started', ...(again !== undefined && { approval: again.id }) });
  expect(chat.card().state).toBe('fixing');
});

test('an approval that was taken is no news after its time', async () => {
  const { plan, chat, clock } = await approved(async () => ({ keys: [], files }));
  await story.run(plan, { status: 'started' });
  await clock.advance(20 * minute);
  expect(chat.notices().filter((text) => text.startsWith('Not run'))).toEqual([]);
});
