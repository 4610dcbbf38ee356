import { afterEach, describe, expect, test } from 'vitest';
import { Story } from '../../test/parts/triage-story.ts';

let story: Story;
afterEach(() => story[Symbol.asyncDispose]());

const minute = 60_000;

async function withIncident(): Promise<string> {
  story = await Story.begin({ config: { hosts: { web: {} } } });
  await story.fire({ name: 'http-down', host: 'web' });
  await story.clock.advance(minute);
  return story.chat.card().incident;
}

describe('pairing', () => {
  test('a link works once, for whoever opens it first, and only for ten minutes', async () => {
    story = await Story.begin();
    const stranger = { id: 'telegram:77', name: 'New <b>one</b>' };
    const { nonce, link } = await story.bus.ask('pair', { role: 'approver' });
    expect(link).toBe(`https://t.me/bot?start=${String(nonce)}`);
    expect(await story.bus.ask('paired', { nonce })).toEqual({});
    expect(await story.chat.host?.pair(stranger, String(nonce))).toContain('Hello');
    expect(await story.chat.host?.pair({ id: 'telegram:78', name: 'x' }, String(nonce))).toContain('no longer valid');
    expect(await story.bus.ask('paired', { nonce })).toEqual({ person: { ...stranger, role: 'approver' } });
    const late = await story.bus.ask('pair', { role: 'reader' });
    await story.clock.advance(10 * minute + 1);
    expect(await story.chat.host?.pair(stranger, String(late['nonce']))).toContain('no longer valid');
  });

  test('opening a link grants nothing: the console does', async () => {
    story = await Story.begin();
    const { nonce } = await story.bus.ask('pair', { role: 'approver' });
    await story.chat.host?.pair({ id: 'telegram:77', name: 'New' }, String(nonce));
    expect(await story.chat.command('status', 'telegram:77')).toBe('You may not use /status.');
  });

  test('a role that does not exist is refused', async () => {
    story = await Story.begin();
    await expect(story.bus.ask('pair', { role: 'root' })).rejects.toThrow('the role is none of');
  });
});

describe('what the command line asks', () => {
  test('incidents with their members, one incident with its timeline', async () => {
    const id = await withIncident();
    expect(await story.bus.ask('incidents')).toMatchObject({
      incidents: [{ id, state: 'open', title: 'http-down of web' }],
    });
    const one = await story.bus.ask('incident', { id });
    expect(one).toMatchObject({
      incident: { id, members: [{ rule: 'alone' }] },
      timeline: [{ at: '2026-11-20T12:00:00.000Z', kind: 'began', text: 'http-down of web' }, { kind: 'open' }],
      evidence: [],
    });
    await expect(story.bus.ask('incident', { id: 'nope' })).rejects.toThrow('Cannot find incident "nope"');
  });

  test('one incident with its plan, what became of it and what its steps said, in the answer and in the details', async () => {
    const proposal = { playbook: 'restart-systemd-unit', parameters: { unit: 'nginx.service' }, hosts: ['web'] };
    story = await Story.begin({ config: { hosts: { web: {} } }, assess: async () => ({ proposal }) });
    await story.fire({ name: 'unit-failed', host: 'web', labels: { unit: 'nginx.service' } });
    await story.clock.advance(minute);
    const id = story.chat.card().incident;
    const plan = await story.planFor(story.proposal());
    const at = '2026-11-20T12:01:00.000Z';
    const output = 'Job for nginx.service failed.\nnginx: [emerg] no "events" section';
    const step = { id: 'restart', host: 'web', command: 'systemctl restart nginx.service', startedAt: at };
    await story.run(plan, {
      status: 'failed',
      end: 'failed',
      steps: [{ ...step, status: 'failed', exitStatus: 1, output }],
    });
    expect(await story.bus.ask('incident', { id })).toMatchObject({
      assessment: { incident: id },
      plan: { id: plan.id, commands: ['web# sudo -n systemctl restart nginx.service'] },
      run: { end: 'failed', steps: [{ id: 'restart', exitStatus: 1, output }] },
    });
    const details = await story.chat.command(`incidents ${id}`, 'telegram:1');
    expect(details).toContain('web restart: failed, exit status 1\n  Job for nginx.service failed.\n  nginx: [emerg]');
  });

  test('a storm is listed as far as one answer can hold it, and the rest is counted', async () => {
    story = await Story.begin();
    const summary = 'ж'.repeat(600);
    for (let index = 0; index < 120; index += 1) {
      await story.fire({ name: `trouble-${index}`, resource: `thing-${index}`, summary });
    }
    await story.clock.advance(minute);
    const answer = await story.bus.ask('incidents');
    const { incidents, leftOut } = answer as { incidents: unknown[]; leftOut: number };
    expect(incidents.length + leftOut).toBe(120);
    expect(incidents.length).toBeGreaterThan(20);
    expect(Buffer.byteLength(JSON.stringify(answer))).toBeLessThan(200_000);
  });

  test('acknowledge and snooze', async () => {
    const id = await withIncident();
    expect(await story.bus.ask('acknowledge', { id, by: 'ada' })).toEqual({ text: 'Acknowledged.' });
    expect(await story.bus.ask('snooze', { id, by: 'ada', for: '2h' })).toEqual({ text: 'Snoozed.' });
    await story.clock.advance(minute);
    expect(story.chat.card().state).toBe('snoozed');
    await story.clock.advance(2 * 60 * minute);
    expect(story.chat.card().state).toBe('acknowledged');
  });
});

describe('what a person types', () => {
  test('status, who, cost, help and unknown words are answered', async () => {
    const id = await withIncident();
    expect(await story.chat.command('status')).toContain('1 open: http-down of web');
    expect(await story.chat.command('who', 'telegram:1')).toContain('approver: telegram:3');
    expect(await story.chat.command('cost')).toContain('This month: 0.12 € of 5.00 €');
    expect(await story.chat.command('help', 'telegram:1')).not.toContain('/freeze');
    expect(await story.chat.command('constructor')).toContain('I do not understand');
    expect(await story.chat.command(`ack ${id.slice(0, 4)}`, 'telegram:2')).toBe('Acknowledged.');
    expect(await story.chat.command('ack', 'telegram:2')).toBe('Already acknowledged by Person 2.');
    expect(await story.chat.command('snooze 2h', 'telegram:2')).toBe('Snoozed.');
    expect(await story.chat.command('plan')).toBe('No plan waits for a decision.');
  });

  test('a command about one of several incidents asks which, and about none says so', async () => {
    const id = await withIncident();
    await story.fire({ name: 'disk-full', host: 'nas' });
    await story.clock.advance(minute);
    const asked = await story.chat.command('ack', 'telegram:2');
    expect(asked.split('\n')).toHaveLength(3);
    expect(asked).toContain(`${id} http-down of web`);
    expect(await story.chat.command('snooze zzz 1h', 'telegram:2')).toBe('There is no such incident.');
    expect(story.chat.cards().map(({ state }) => state)).toEqual(['firing', 'firing']);
  });
});
