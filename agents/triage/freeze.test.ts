import { afterEach, describe, expect, test } from 'vitest';
import { Failure } from '#bus/failure.ts';
import { freeze } from '#bus/messages/freeze.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import { Story } from '../../test/parts/triage-story.ts';

let story: Story;
afterEach(() => story[Symbol.asyncDispose]());

/** An incident with a plan on its card. */
async function planned() {
  const proposal = { playbook: 'restart-systemd-unit', parameters: { unit: 'nginx.service' }, hosts: ['web'] };
  story = await Story.begin({ config: { hosts: { web: {} } }, assess: async () => ({ proposal }) });
  await story.fire({ name: 'unit-failed', host: 'web', resource: 'nginx.service', labels: { unit: 'nginx.service' } });
  await story.clock.advance(40_000);
  await story.planFor(story.proposal());
  return { chat: story.chat };
}

describe('the kill switch in chat', () => {
  test('nothing is approved while everything is frozen, and it is until the worker says that a thaw counts', async () => {
    const { chat } = await planned();
    expect(await chat.command('freeze strange noises', 'telegram:2')).toContain('Frozen');
    expect(story.bus.of(freeze)).toContainEqual(
      expect.objectContaining({ frozen: true, by: 'telegram:2', reason: 'strange noises' }),
    );
    expect(await chat.press('approve')).toBe('Remediation is frozen. Unfreeze it first.');
    story.bus.answer = async () => {
      throw new Failure('The worker stays frozen: "telegram:3" is no approver here', { recoverable: false });
    };
    expect(await chat.command('unfreeze')).toBe('The worker is asked to go on; it says here whether it does.');
    await story.clock.advance(1_500);
    expect(chat.notices().at(-1)).toContain('"telegram:3" is no approver here');
    expect(await chat.press('approve')).toBe('Remediation is frozen. Unfreeze it first.');
    const asked: unknown[] = [];
    story.bus.answer = async (verb, data) => {
      asked.push({ verb, ...data });
      return { frozen: false };
    };
    await chat.command('unfreeze mended');
    await story.clock.advance(1_500);
    const signature = { key: expect.any(String) as string, value: expect.any(String) as string };
    expect(asked).toMatchObject([{ verb: 'thaw', frozen: false, by: 'telegram:3', reason: 'mended', signature }]);
    expect(chat.notices().at(-1)).toBe('Remediation is allowed again by Person 3: mended');
    expect(await chat.press('approve')).toContain('Approved');
  });

  test('an unsigned thaw is not believed, and a freeze that is said again after a thaw is', async () => {
    const { chat } = await planned();
    const at = (seconds: number): string => toInstant(story.clock.now() + seconds * 1_000);
    const word = { by: 'terminal:ann', reason: 'x' };
    await story.bus.hear(freeze, { ...word, frozen: true, at: at(0) });
    await story.bus.hear(freeze, { ...word, frozen: false, at: at(1) });
    expect(await chat.press('approve')).toBe('Remediation is frozen. Unfreeze it first.');
    await story.bus.hear(freeze, { ...word, frozen: false, at: at(2), signature: { key: 'k', value: 'v' } });
    expect(await chat.command('status')).not.toContain('frozen');
    await story.bus.hear(freeze, { ...word, frozen: true, at: at(0) });
    expect(await chat.press('approve')).toBe('Remediation is frozen. Unfreeze it first.');
  });
});
