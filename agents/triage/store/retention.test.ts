import { afterEach, beforeEach, expect, test } from 'vitest';
import { Story } from '../../../test/parts/triage-story.ts';

const minute = 60_000;
const day = 24 * 60 * minute;
const restart = { playbook: 'restart-systemd-unit', parameters: { unit: 'nginx.service' }, hosts: ['web'] };

let story: Story;
beforeEach(async () => {
  story = await Story.begin({
    config: { hosts: { web: {} }, digest: { enabled: false } },
    assess: async ({ root }) => (root.host === 'web' ? { proposal: restart } : {}),
  });
});
afterEach(() => story[Symbol.asyncDispose]());

/** Years pass while triage is off; it forgets some minutes after it is back. */
async function later(ms: number): Promise<void> {
  await story.triage.stop();
  await story.clock.advance(ms);
  await story.restart();
  await story.clock.advance(12 * minute);
}

test('an incident is known for a year and no longer; an open one for ever, with its buttons', async () => {
  const message = await story.fire({ name: 'unit-failed', host: 'web', labels: { unit: 'nginx.service' } });
  await story.fire({ name: 'disk-full', host: 'nas', severity: 'warning' });
  await story.clock.advance(40_000);
  const plan = await story.planFor(story.proposal());
  const { incident } = plan;
  const open = story.chat.cards().find((card) => card.incident !== incident);
  await story.chat.pressToken(
    story.chat.token(
      'approve',
      story.chat.cards().find((card) => card.incident === incident),
    ),
  );
  await story.run(plan, { status: 'verifying', end: 'succeeded' });
  await story.verdict(plan, 'fixed');
  await story.resolve(message);
  await story.clock.advance(minute);
  await later(300 * day);
  expect(await story.chat.command(`incidents ${incident}`)).toContain('Fixed');
  expect(await story.chat.command(`plan ${plan.id}`)).toContain('nginx');
  await later(110 * day);
  expect(await story.chat.command(`incidents ${incident}`)).toBe('There is no such incident.');
  expect(await story.chat.command(`plan ${plan.id}`)).toBe('There is no such plan.');
  expect(await story.chat.command(`incidents ${open?.incident}`)).toContain('disk-full of nas');
  expect(await story.chat.pressToken(story.chat.token('acknowledge', open), 'telegram:2')).toBe('Acknowledged.');
});
