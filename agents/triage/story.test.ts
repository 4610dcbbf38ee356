import { afterEach, describe, expect, test } from 'vitest';
import { finding } from '#bus/messages/finding.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import { Story, type StoryOptions } from '../../test/parts/triage-story.ts';

const config = {
  hosts: { pve: {}, web: { on: 'pve' }, db: { on: 'pve' } },
  services: { site: { on: 'web', labels: { unit: 'nginx.service' } } },
};

let story: Story | undefined;
afterEach(async () => {
  await story?.[Symbol.asyncDispose]();
  story = undefined;
});

async function begin(options: StoryOptions = {}): Promise<Story> {
  story = await Story.begin({ ...options, config: { ...config, ...options.config } });
  return story;
}

const minute = 60_000;

describe('one message per real problem', () => {
  test('thirty findings of a host that went down are one message, with the host as root', async () => {
    const { bus, chat, clock, ...story } = await parts();
    for (let index = 0; index < 29; index += 1) {
      await story.fire({ name: 'check-unknown', host: 'web', resource: `r${index}`, condition: 'unknown' });
      await clock.advance(500);
    }
    await story.fire({ name: 'host-down', host: 'web' });
    await clock.advance(40_000);
    expect(chat.sounds()).toBe(1);
    expect(chat.card()).toMatchObject({ title: 'host-down of web', state: 'firing', severity: 'critical' });
    expect(chat.card().why[0]).toContain('unreachable-host');
    expect(bus.retained.size).toBe(1);
  });

  test('a cause that fires after its symptom was told takes over: one card says so, the sound is not repeated', async () => {
    const { chat, clock, ...story } = await parts();
    await story.fire({ name: 'host-down', host: 'web' });
    await story.fire({ name: 'host-down', host: 'db' });
    await clock.advance(40_000);
    expect(chat.cards()).toHaveLength(2);
    await story.fire({ name: 'host-down', host: 'pve' });
    await clock.advance(5_000);
    const states = chat.cards().map((card) => card.state);
    expect(states.toSorted()).toEqual(['firing', 'merged']);
    expect(chat.cards().find((card) => card.state === 'firing')?.title).toBe('host-down of pve');
    expect(
      chat
        .cards()
        .find((card) => card.state === 'merged')
        ?.news.at(-1),
    ).toContain('Part of "');
    expect(chat.sounds()).toBe(2);
  });

  test('what is over within the group wait is never told', async () => {
    const { bus, chat, clock, ...story } = await parts();
    const message = await story.fire({ name: 'http-down', host: 'web' });
    await clock.advance(10_000);
    await story.resolve(message);
    await clock.advance(2 * minute);
    expect(chat.deliveries).toEqual([]);
    expect(bus.retained.size).toBe(0);
  });

  test('when the root is over and a symptom still fires, the incident goes on under the symptom', async () => {
    const { chat, clock, ...story } = await parts();
    const node = await story.fire({ name: 'host-down', host: 'pve' });
    await story.fire({ name: 'host-down', host: 'web' });
    await clock.advance(40_000);
    await story.resolve(node);
    await clock.advance(5_000);
    expect(chat.card()).toMatchObject({ title: 'host-down of web', state: 'firing' });
    expect(chat.sounds()).toBe(1);
  });

  test('the same condition firing again within ten minutes reopens the incident', async () => {
    const { chat, clock, ...story } = await parts();
    const message = await story.fire({ name: 'http-down', host: 'web' });
    await clock.advance(minute);
    await story.resolve(message);
    await clock.advance(minute);
    expect(chat.card().state).toBe('resolved');
    expect(chat.notices()).toEqual(['Resolved: http-down of web']);
    await clock.advance(5 * minute);
    await story.fire({ name: 'http-down', host: 'web' });
    await clock.advance(5_000);
    expect(chat.card().state).toBe('firing');
    expect(chat.notices()).toContain('Again: http-down of web');
    expect(chat.sounds()).toBe(2);
  });

  test('information alone is no message', async () => {
    const { chat, clock, ...story } = await parts();
    await story.fire({ name: 'reboot-required', host: 'web', severity: 'info' });
    await clock.advance(10 * minute);
    expect(chat.deliveries).toEqual([]);
    expect(await chat.command('incidents')).toContain('reboot-required of web');
  });

  test('repeated, late and overtaken deliveries change nothing', async () => {
    const { bus, chat, clock, ...story } = await parts();
    const message = await story.fire({ name: 'http-down', host: 'web' });
    await clock.advance(minute);
    await story.resolve(message);
    await clock.advance(minute);
    const told = chat.deliveries.length;
    await bus.hear(finding, message);
    await bus.hear(finding, { ...message, updatedAt: toInstant(clock.now()) });
    await clock.advance(minute);
    expect(chat.deliveries).toHaveLength(told);
    expect(chat.card().state).toBe('resolved');
  });
});

describe('reminders and quiet', () => {
  test('a critical incident that nobody acknowledged is told again at each repeat interval, an acknowledged one is not', async () => {
    const { chat, clock, ...story } = await parts({ config: { triage: { repeatInterval: '20m' } } });
    await story.fire({ name: 'http-down', host: 'web' });
    await clock.advance(22 * minute);
    expect(chat.notices()).toEqual(['Still open: http-down of web']);
    expect(await chat.press('acknowledge', 'telegram:2')).toBe('Acknowledged.');
    await clock.advance(45 * minute);
    expect(chat.notices().filter((text) => text.startsWith('Still open'))).toHaveLength(1);
    expect(chat.card()).toMatchObject({ state: 'acknowledged' });
  });

  test('what is due soon comes along in the same message', async () => {
    const { chat, clock, ...story } = await parts({ config: { triage: { repeatInterval: '20m' } } });
    await story.fire({ name: 'http-down', host: 'web' });
    await clock.advance(3 * minute);
    await story.fire({ name: 'disk-full', host: 'nas', severity: 'warning' });
    await clock.advance(18 * minute);
    expect(chat.notices()).toEqual(['Still open: 2\n• critical: http-down of web\n• warning: disk-full of nas']);
    expect(chat.sounds()).toBe(3);
  });

  test('in quiet hours a warning comes without a sound and a critical one with it', async () => {
    const quietHours = { from: '11:00', to: '14:00', timezone: 'UTC' };
    const { chat, clock, ...story } = await parts({ config: { triage: { quietHours } } });
    await story.fire({ name: 'http-down', host: 'web', severity: 'warning' });
    await clock.advance(minute);
    expect(chat.sounds()).toBe(0);
    await story.fire({ name: 'host-down', host: 'db' });
    await clock.advance(minute);
    expect(chat.sounds()).toBe(1);
  });

  test('a restart repeats nothing', async () => {
    const { chat, clock, ...rest } = await parts();
    await rest.fire({ name: 'http-down', host: 'web' });
    await clock.advance(minute);
    const told = chat.deliveries.length;
    await rest.restart();
    await clock.advance(5 * minute);
    expect(chat.deliveries).toHaveLength(told);
    expect([...(story?.bus.retained.keys() ?? [])]).toEqual([`incident/${chat.card().incident}`]);
  });
});

/** The parts of a new story by name. */
async function parts(options: StoryOptions = {}) {
  const begun = await begin(options);
  return {
    bus: begun.bus,
    chat: begun.chat,
    clock: begun.clock,
    fire: begun.fire.bind(begun),
    finding: begun.finding.bind(begun),
    resolve: begun.resolve.bind(begun),
    restart: begun.restart.bind(begun),
  };
}
