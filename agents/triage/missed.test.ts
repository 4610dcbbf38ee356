import { afterEach, describe, expect, test } from 'vitest';
import { agentHealth } from '#bus/messages/agent-health.ts';
import { agentState } from '#bus/messages/agent-state.ts';
import { incident } from '#bus/messages/incident.ts';
import { manifest } from '#bus/messages/manifest.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import { DeliveryFailure } from '#agents/triage/channel.ts';
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

describe('what was missed', () => {
  test('a finding that the manifest names no more is over', async () => {
    const { bus, chat, clock, ...story } = await parts();
    await story.fire({ name: 'http-down', host: 'web' });
    await clock.advance(minute);
    await bus.hear(manifest, manifestOf(clock.now(), []));
    await clock.advance(5_000);
    expect(chat.card().state).toBe('resolved');
  });

  test('a finding that the manifest names and nobody sent is asked for', async () => {
    const { bus, chat, clock, ...story } = await parts();
    const message = story.finding({ name: 'http-down', host: 'web' });
    bus.answer = async (verb, data) => ({
      findings: verb === 'findings' && Array.isArray(data['fingerprints']) ? [message] : [],
    });
    await bus.hear(manifest, manifestOf(clock.now(), [message]));
    await clock.advance(2 * minute);
    expect(chat.card().title).toBe('http-down of web');
  });

  test('a sentinel that is gone is told once, its findings stay, and its return is told', async () => {
    const { bus, chat, clock, ...story } = await parts();
    await story.fire({ name: 'http-down', host: 'web' });
    await bus.hear(agentState, state('online', clock.now()));
    await clock.advance(minute);
    await bus.hear(agentState, state('offline', clock.now()));
    await clock.advance(10 * minute);
    expect(chat.notices().filter((text) => text.includes('"sentinel" is offline'))).toHaveLength(1);
    expect(chat.card().state).toBe('firing');
    await bus.hear(agentState, state('online', clock.now()));
    await clock.advance(5_000);
    expect(chat.notices().at(-1)).toContain('is back');
  });

  test('a sentinel without a heartbeat for three minutes is gone, whatever the broker says', async () => {
    const { bus, chat, clock } = await parts();
    await bus.hear(agentState, state('online', clock.now()));
    await bus.hear(agentHealth, health(clock.now()));
    await clock.advance(2 * minute);
    expect(chat.notices()).toEqual([]);
    await clock.advance(2 * minute);
    expect(chat.notices()).toHaveLength(1);
  });

  test('an alert whose channel was down for an hour arrives once, with its own time', async () => {
    const { chat, clock, ...story } = await parts();
    chat.refuse = () => new DeliveryFailure('no route', { recoverable: true });
    const began = clock.now();
    await story.fire({ name: 'http-down', host: 'web' });
    await clock.advance(60 * minute);
    chat.refuse = undefined;
    await clock.advance(3 * minute);
    expect(chat.deliveries.filter(({ message }) => message.type === 'card')).toHaveLength(1);
    expect(chat.card().since).toBe(began);
    expect(chat.sounds()).toBe(1);
  });

  test('of the reminders that a channel missed only the last arrives', async () => {
    const { chat, clock, ...story } = await parts({ config: { triage: { repeatInterval: '5m' } } });
    await story.fire({ name: 'http-down', host: 'web' });
    await clock.advance(minute);
    chat.refuse = () => new DeliveryFailure('no route', { recoverable: true });
    await clock.advance(17 * minute);
    chat.refuse = undefined;
    await clock.advance(2 * minute);
    expect(chat.notices().filter((text) => text.includes('Still open'))).toHaveLength(1);
  });

  test('a refusal for good is told on another channel', async () => {
    const { chat, clock, ...rest } = await parts({ channels: ['chat', 'mail'] });
    chat.refuse = () => new DeliveryFailure('chat not found', { recoverable: false });
    await rest.fire({ name: 'http-down', host: 'web' });
    await clock.advance(minute);
    const mail = story?.channels[1];
    expect(mail?.notices()).toEqual(['A message could not be delivered on chat: chat not found']);
    expect(mail?.card().title).toBe('http-down of web');
  });

  test('a channel that asks for patience is asked again when it said', async () => {
    const { chat, clock, ...story } = await parts();
    let refusals = 0;
    chat.refuse = () => {
      refusals += 1;
      return refusals === 1
        ? new DeliveryFailure('slow down', { recoverable: true, retryAfterMs: 10 * minute })
        : undefined;
    };
    await story.fire({ name: 'http-down', host: 'web' });
    await clock.advance(9 * minute);
    expect(refusals).toBe(1);
    await clock.advance(3 * minute);
    expect(chat.card().state).toBe('firing');
  });

  test('an incident that ended while the bus was away is cleared from it afterwards', async () => {
    const { bus, clock, ...rest } = await parts();
    const message = await rest.fire({ name: 'http-down', host: 'web' });
    await clock.advance(minute);
    expect(bus.retained.size).toBe(1);
    await rest.resolve(message);
    bus.connected = false;
    await clock.advance(20 * minute);
    expect(bus.retained.size).toBe(1);
    bus.reconnect();
    expect(bus.retained.size).toBe(0);
    expect(bus.of(incident).length).toBeGreaterThan(0);
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

function manifestOf(now: number, firing: readonly { fingerprint: string; occurrence: string }[]) {
  return {
    sentinel: 'home',
    sequence: 1,
    at: toInstant(now),
    firing: firing.map(({ fingerprint, occurrence }) => ({ fingerprint, occurrence })),
    counts: { checks: 1, hosts: 1, ok: 1, pending: 0, firing: firing.length, unknown: 0, stale: 0 },
    unseen: [],
  };
}

function state(is: 'online' | 'offline', now: number) {
  return { agent: 'sentinel' as const, state: is, version: '1', instance: 'one', since: toInstant(now) };
}

function health(now: number) {
  return {
    agent: 'sentinel' as const,
    at: toInstant(now),
    queues: {},
    eventLoopLagMs: 1,
    residentBytes: 1,
    cpuSeconds: 1,
  };
}
