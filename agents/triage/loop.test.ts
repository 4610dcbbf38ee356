import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { approval, type Approval } from '#bus/messages/approval.ts';
import { plan } from '#bus/messages/plan.ts';
import { proposal } from '#bus/messages/proposal.ts';
import type { Run } from '#bus/messages/run.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import type { Card } from './channel.ts';
import { Story, type StoryOptions } from '../../test/parts/triage-story.ts';

let story: Story;
afterEach(() => story[Symbol.asyncDispose]());

const minute = 60_000;
const restart = { playbook: 'restart-systemd-unit', parameters: { unit: 'nginx.service' }, hosts: ['web'] };
const failedUnit = { name: 'unit-failed', host: 'web', resource: 'nginx.service', labels: { unit: 'nginx.service' } };

/** An incident with a plan on its card. */
async function planned({ planLifeMs, ...options }: StoryOptions & { planLifeMs?: number } = {}) {
  story = await Story.begin({
    config: { hosts: { web: {}, db: {} } },
    assess: async () => ({ proposal: restart }),
    ...options,
  });
  const message = await story.fire(failedUnit);
  await story.clock.advance(40_000);
  const expiresAt = toInstant(story.clock.now() + (planLifeMs ?? 12 * 60 * minute));
  const rendered = await story.planFor(story.proposal(), { expiresAt });
  return { message, rendered, chat: story.chat, clock: story.clock };
}

const actions = (card: Card): string[] => card.buttons.flat().map((button) => button.action);

const approvals = (): Approval[] => story.bus.of(approval) as Approval[];

describe('from finding to closed', () => {
  test('the first message does not wait for the opinion', async () => {
    story = await Story.begin({ assess: () => new Promise(() => undefined) });
    await story.fire({ name: 'http-down' });
    await story.clock.advance(32_000);
    expect(story.chat.card()).toMatchObject({ state: 'firing', assessment: 'Assessing…' });
    await story.clock.advance(5 * minute);
    expect(story.chat.card().assessment).toContain('No assessment: Cannot assess: no answer in time');
  });

  test('approve, run, verdict: the card tells it all, and the incident closes', async () => {
    const { message, rendered, chat, clock } = await planned();
    expect(chat.card().plan?.commands).toEqual(['web# sudo -n systemctl restart nginx.service']);
    expect(await chat.press('approve')).toContain('Approved');
    expect(approvals()).toHaveLength(1);
    expect(approvals()[0]).toMatchObject({ plan: rendered.id, digest: rendered.digest, approver: 'telegram:3' });
    await story.run(rendered, { status: 'started' });
    expect(chat.card().state).toBe('fixing');
    await clock.advance(minute);
    await story.run(rendered, { status: 'verifying', end: 'succeeded' });
    await story.verdict(rendered, 'fixed');
    expect(chat.card()).toMatchObject({ state: 'fixed', buttons: [] });
    expect(story.bus.retained.size).toBe(0);
    await story.resolve(message);
    await clock.advance(minute);
    expect(chat.cards()).toHaveLength(1);
    expect(await chat.command('incidents')).toBe('Nothing is open.');
  });

  test('a verdict "not fixed" says so in the same message, rings, and that playbook is not proposed there again', async () => {
    const { rendered, chat, clock } = await planned();
    await chat.press('approve');
    await story.run(rendered, { status: 'verifying', end: 'succeeded' });
    await story.verdict(rendered, 'not-fixed');
    await story.verdict(rendered, 'not-fixed');
    await clock.advance(minute);
    expect(chat.card().state).toBe('not-fixed');
    expect(chat.card().news).toContainEqual(expect.stringContaining('Not fixed: not-fixed it is'));
    expect(chat.notices()).toEqual(['Not fixed: unit-failed of web']);
    expect(chat.card().news).toContainEqual(
      expect.stringContaining('Not proposed: "restart-systemd-unit" did not fix web'),
    );
    expect(new Set(story.bus.of(proposal).map((message) => JSON.stringify(message))).size).toBe(1);
  });

  test('a playbook that did not fix one unit is still proposed for another on the same host', async () => {
    const unitOf = (labels: Readonly<Record<string, string>>) => ({ unit: labels['unit'] ?? '' });
    const { rendered, chat, clock } = await planned({
      assess: async ({ root }) => ({ proposal: { ...restart, parameters: unitOf(root.labels) } }),
    });
    await chat.press('approve');
    await story.run(rendered, { status: 'verifying', end: 'succeeded' });
    await story.verdict(rendered, 'not-fixed');
    await story.fire({ ...failedUnit, resource: 'php.service', labels: { unit: 'php.service' } });
    await clock.advance(minute);
    expect(story.proposal().parameters).toEqual({ unit: 'php.service' });
  });

  test('the card follows a run step by step, also in one millisecond, and older news of it changes nothing', async () => {
    const { rendered, chat, clock } = await planned();
    await chat.press('approve');
    const begun = clock.now();
    const tell = (run: Run['status'], status: Run['steps'][number]['status'], at = begun): Promise<void> =>
      story.run(rendered, {
        status: run,
        updatedAt: toInstant(at),
        steps: [{ id: 'restart', host: 'web', command: 'systemctl restart nginx.service', status }],
      });
    await tell('started', 'waiting');
    await tell('started', 'running');
    expect(chat.card().news.at(-1)).toBe('web restart: running');
    await tell('failed', 'failed');
    await tell('started', 'running');
    expect(chat.card().news.at(-1)).toBe('web restart: failed');
    // The worker's clock was set back before it asked for the verdict.
    await tell('verifying', 'failed', begun - 60 * minute);
    expect(chat.card().news.at(-2)).toContain('Sentinel looks again');
    await tell('started', 'waiting', begun - 60 * minute);
    expect(chat.card().news.at(-1)).toBe('web restart: failed');
  });

  test('a run that the worker refused is said on the card, and may be asked for again', async () => {
    const { rendered, chat } = await planned();
    await chat.press('approve');
    await story.run(rendered, { status: 'refused', end: 'refused', reason: 'the condition is gone' });
    expect(chat.card().news).toContainEqual(expect.stringContaining('Not run: the condition is gone'));
    expect(await chat.press('ask-again')).toBe('A new plan is asked for.');
    expect(story.proposal().id).not.toBe(rendered.proposal);
  });

  test('a proposal is sent again until its plan is seen, also after a restart', async () => {
    story = await Story.begin({ config: { hosts: { web: {} } }, assess: async () => ({ proposal: restart }) });
    await story.fire(failedUnit);
    await story.clock.advance(50_000);
    const before = story.bus.of(proposal);
    expect(before.length).toBeGreaterThan(1);
    await story.restart();
    await story.clock.advance(2_000);
    expect(story.bus.of(proposal)[0]).toEqual(before[0]);
    await story.planFor(story.proposal());
    const sent = story.bus.of(proposal).length;
    await story.clock.advance(5 * minute);
    expect(story.bus.of(proposal)).toHaveLength(sent);
  });

  test('an approval is sent again until its run is seen, also after a restart', async () => {
    const { rendered, chat, clock } = await planned();
    await chat.press('approve');
    const [first] = approvals();
    await story.restart(10_000);
    await clock.advance(10_000);
    expect(approvals().length).toBeGreaterThan(0);
    expect(approvals().every((message) => message.signature.value === first?.signature.value)).toBe(true);
    await story.run(rendered, { status: 'started' });
    const sent = approvals().length;
    await clock.advance(5 * minute);
    expect(approvals()).toHaveLength(sent);
  });
});

test('a refusal that names no approval, or another, does not end the sending of a real one', async () => {
  const { rendered, chat, clock } = await planned();
  await chat.press('approve');
  const [sent] = approvals();
  const refused = { status: 'refused' as const, end: 'refused' as const, reason: 'the signature is not valid' };
  await story.run(rendered, { ...refused, id: `run-${rendered.id}-refused` });
  await story.run(rendered, { ...refused, id: `run-${rendered.id}-refused`, approval: 'another' });
  const before = approvals().length;
  await clock.advance(2 * minute);
  expect(approvals().length).toBeGreaterThan(before);
  await story.run(rendered, { ...refused, id: `run-${rendered.id}-refused`, approval: sent?.id });
  const after = approvals().length;
  await clock.advance(5 * minute);
  expect(approvals()).toHaveLength(after);
});

describe('who may do what', () => {
  test('a reader and an operator may not approve, a stranger may nothing, and it is written down', async () => {
    const { chat } = await planned();
    expect(await chat.press('approve', 'telegram:1')).toBe('You may not approve.');
    expect(await chat.press('approve', 'telegram:2')).toBe('You may not approve.');
    expect(await chat.press('details', 'telegram:99')).toBe('You may not details.');
    expect(await chat.command('freeze', 'telegram:1')).toBe('You may not use /freeze.');
    expect(await chat.command('unfreeze', 'telegram:2')).toBe('You may not use /unfreeze.');
    expect(approvals()).toEqual([]);
    expect(await chat.press('acknowledge', 'telegram:2')).toBe('Acknowledged.');
  });

  test('the first decision counts, and the second person hears who made it', async () => {
    const { chat } = await planned();
    const approve = chat.token('approve');
    const reject = chat.token('reject');
    await chat.pressToken(approve);
    expect(await chat.pressToken(reject)).toBe('Already approved by Person 3.');
    expect(await chat.pressToken(approve)).toBe('Already approved by Person 3.');
    expect(new Set(approvals().map((message) => message.id)).size).toBe(1);
  });

  test('nothing may be approved where its commands were not shown whole', async () => {
    story = await Story.begin({ config: { hosts: { web: {} } }, assess: async () => ({ proposal: restart }) });
    story.chat.showsPlans = false;
    await story.fire(failedUnit);
    await story.clock.advance(40_000);
    await story.planFor(story.proposal());
    expect(await story.chat.press('approve')).toContain('not been shown here whole');
    expect(approvals()).toEqual([]);
  });

  test('what is over is not approved, though the worker has not withdrawn its plan yet', async () => {
    story = await Story.begin({ config: { hosts: { web: {} } }, assess: async () => ({ proposal: restart }) });
    const message = await story.fire(failedUnit);
    await story.clock.advance(40_000);
    await story.planFor(story.proposal());
    const approve = story.chat.token('approve');
    await story.resolve(message);
    await story.clock.advance(minute);
    expect(await story.chat.pressToken(approve)).toBe('This is over; its plan is being withdrawn.');
    expect(approvals()).toEqual([]);
  });

  test('buttons survive a restart, and unknown ones are answered', async () => {
    const { chat } = await planned();
    const token = chat.token('approve');
    await story.restart();
    expect(await chat.pressToken(token)).toContain('Approved');
    expect(await chat.pressToken('AAAAAAAAAAAA')).toBe('This button is not known any more.');
  });
});

describe('plans', () => {
  test('a plan whose digest does not match its commands is never shown', async () => {
    story = await Story.begin({ config: { hosts: { web: {} } }, assess: async () => ({ proposal: restart }) });
    await story.fire(failedUnit);
    await story.clock.advance(40_000);
    const good = story.plan(story.proposal());
    const [step] = good.body?.steps ?? [];
    if (good.body === undefined || step === undefined) throw new Error('The plan has no step');
    const body = { ...good.body, steps: [{ ...step, argv: ['rm', '-rf', '/'] }] };
    await story.bus.hear(plan, { ...good, body });
    await story.clock.advance(5_000);
    expect(story.chat.card().plan).toBeUndefined();
    expect(JSON.stringify(story.chat.deliveries)).not.toContain('rm -rf');
    expect(story.chat.card().news.at(-1)).toContain('its digest does not match its commands');
  });

  test('an expired plan is asked for again with one tap, also before the worker says that it expired', async () => {
    const { rendered, chat, clock } = await planned({ planLifeMs: 10 * minute });
    expect(actions(chat.card())).toContain('approve');
    await clock.advance(10 * minute);
    expect(chat.card().plan).toBeUndefined();
    expect(actions(chat.card())).toContain('ask-again');
    await story.bus.hear(plan, { ...rendered, status: 'expired' });
    await clock.advance(5_000);
    expect(chat.card().news.at(-1)).toContain('Plan expired without a decision');
    expect(await chat.press('ask-again')).toBe('A new plan is asked for.');
    expect(await chat.press('ask-again')).toBe('A new plan was asked for already.');
    await story.planFor(story.proposal(), { id: randomUUID() });
    expect(await chat.press('approve')).toContain('Approved');
  });

  test('a late "pending" does not bring a withdrawn plan back', async () => {
    const { rendered, chat, clock } = await planned();
    await story.bus.hear(plan, { ...rendered, status: 'withdrawn', reason: 'the finding is over' });
    await story.bus.hear(plan, rendered);
    await clock.advance(5_000);
    expect(chat.card().plan).toBeUndefined();
    expect(approvals()).toEqual([]);
  });

  test('a person may ask for a run without an incident and decide it on a card of its own', async () => {
    story = await Story.begin({ config: { hosts: { web: {} } } });
    expect(await story.chat.command('run no-such web')).toContain('There is no playbook "no-such"');
    expect(await story.chat.command('run restart-systemd-unit mars')).toContain('no host "mars"');
    expect(await story.chat.command('run restart-systemd-unit web unit=nginx.service')).toContain('asked for a plan');
    const rendered = await story.planFor(story.proposal());
    expect(story.chat.card()).toMatchObject({ state: 'pending', why: ['Asked for by telegram:3'] });
    expect(await story.chat.press('approve')).toContain('Approved');
    await story.run(rendered, { status: 'succeeded', end: 'succeeded' });
    expect(story.chat.card()).toMatchObject({ state: 'succeeded', buttons: [] });
  });

  test('the card of a run that a person asked for offers nothing after its time', async () => {
    story = await Story.begin({ config: { hosts: { web: {} } } });
    await story.chat.command('run restart-systemd-unit web unit=nginx.service');
    await story.planFor(story.proposal(), { expiresAt: toInstant(story.clock.now() + 5 * minute) });
    expect(actions(story.chat.card())).toContain('approve');
    await story.clock.advance(5 * minute);
    expect(story.chat.card()).toMatchObject({ state: 'expired', buttons: [] });
  });

  test('a dry run answers where it was asked for', async () => {
    const { chat, clock } = await planned();
    story.bus.answer = async () => ({
      wouldRun: false,
      reason: 'nginx is active',
      probes: [{ host: 'web', states: 'nginx is not active', holds: 'no' }],
      commands: [{ host: 'web', command: 'systemctl restart nginx' }],
    });
    await chat.press('dry-run');
    await clock.advance(2_000);
    expect(chat.notices().at(-1)).toContain('nothing would run: nginx is active');
  });
});
