import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { finding } from '#bus/messages/finding.ts';
import { type Incident, incident } from '#bus/messages/incident.ts';
import { manifest } from '#bus/messages/manifest.ts';
import { systemClock, toInstant } from '#agents/runtime/clock.ts';
import { startTestBroker } from '../../test/parts/broker.ts';
import { MemoryChannel } from '../../test/parts/memory-channel.ts';
import { createStoryTriage, makeFinding, storyAssessor } from '../../test/parts/triage-story.ts';
import { until } from '../../test/parts/until.ts';

const hosts = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`h${index}`, {}]));

test('findings, a broker that is killed, and a triage that starts again end in one picture', async () => {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'lares-triage-bus-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const broker = stack.use(await startTestBroker());
  const chat = new MemoryChannel('chat', systemClock);
  const config = { hosts, triage: { groupWait: '1s' } };
  const begin = async () => {
    const bus = broker.connect('triage');
    const parts = { bus, clock: systemClock, folder, config };
    const triage = await createStoryTriage(parts, [chat], storyAssessor(systemClock));
    await triage.start();
    return { bus, triage };
  };
  const sentinel = broker.connect('sentinel');
  const watcher = broker.connect('console');
  const seen = new Map<string, Incident>();
  watcher.subscribe(incident, (message) => void seen.set(message.id, message));
  watcher.onClear(incident, (id) => void seen.delete(id));
  const now = Date.now();
  const firing = Object.keys(hosts).map((host) => makeFinding({ name: 'filesystem-full', host }, now));
  const tell = (): void => {
    for (const message of firing) sentinel.publish(finding, message);
    sentinel.publish(manifest, {
      sentinel: 'home',
      sequence: 1,
      at: toInstant(Date.now()),
      firing: firing.map(({ fingerprint, occurrence }) => ({ fingerprint, occurrence })),
      counts: { checks: 20, hosts: 20, ok: 0, pending: 0, firing: 20, unknown: 0, stale: 0 },
      unseen: [],
    });
  };
  sentinel.onConnect(tell);
  const first = await begin();
  await until(() => chat.cards().length === 20, 'twenty cards');
  await first.triage.stop();
  await first.bus.close();
  const over = firing.splice(0, 5);
  for (const message of over) sentinel.clear(finding, message.fingerprint);
  tell();
  await broker.kill();
  await broker.restart();
  const second = await begin();
  stack.defer(() => second.triage.stop());
  await until(() => chat.cards().filter((card) => card.state === 'resolved').length === 5, 'five resolved cards');
  await until(() => [...seen.values()].filter((one) => one.state === 'open').length === 15, 'fifteen open incidents');
  expect(chat.cards()).toHaveLength(20);
  expect(chat.sounds()).toBe(20);
}, 60_000);
