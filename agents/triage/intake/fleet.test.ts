import { afterEach, expect, test } from 'vitest';
import { type FoundNode, type InventoryPicture, inventory } from '#bus/messages/inventory.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import { Story } from '../../../test/parts/triage-story.ts';

let story: Story | undefined;
afterEach(async () => {
  await story?.[Symbol.asyncDispose]();
  story = undefined;
});

function picture(at: number, ...nodes: Partial<FoundNode>[]): InventoryPicture {
  const whole = nodes.map((node) => ({
    name: 'x',
    type: 'guest' as const,
    aliases: [],
    sources: ['proxmox'],
    written: false,
    ...node,
  }));
  const rest = { conflicts: [], fresh: [], missing: [], sources: [], leftOut: 0 };
  return { sentinel: 'sentinel', at: toInstant(at), nodes: whole, ...rest };
}

const guestDown = { name: 'guest-down', host: 'pve1', labels: { guest: 'CT 110', node: 'pve2' }, resource: '110' };
const nodeDown = { name: 'node-down', host: 'pve1', labels: { node: 'pve2' }, resource: 'pve2' };

test('a guest that nobody wrote down is a symptom of its node', async () => {
  story = await Story.begin({ config: { hosts: { pve1: {}, pve2: {} } } });
  const { bus, clock, chat } = story;
  const guest = { name: 'ct110', on: 'pve2', aliases: ['CT 110'] };
  await bus.hear(inventory, picture(clock.now(), guest, { name: 'pve2', type: 'node', written: true }));
  await story.fire(guestDown);
  await story.fire(nodeDown);
  await clock.advance(40_000);
  expect(chat.cards().map(({ title }) => title)).toEqual(['node-down of pve1']);
  expect(chat.card().symptoms).toHaveLength(1);
});

test('what is learnt later puts what fires already under one cause', async () => {
  story = await Story.begin({ config: { hosts: { pve1: {} } } });
  const { bus, clock, chat } = story;
  await story.fire({ name: 'host-down', host: 'a' });
  await story.fire({ name: 'host-down', host: 'b' });
  await bus.hear(inventory, picture(clock.now(), { name: 'a' }, { name: 'b', on: 'a' }));
  await clock.advance(40_000);
  expect(chat.cards().map(({ title }) => title)).toEqual(['host-down of a']);
});

test('nothing can be run on what was only found', async () => {
  story = await Story.begin({ config: { hosts: { pve1: {} } } });
  await story.bus.hear(inventory, picture(story.clock.now(), { name: 'ct110', on: 'pve1' }));
  await story.fire({ name: 'unit-failed', host: 'ct110', labels: { unit: 'nginx.service' } });
  await story.clock.advance(40_000);
  expect(story.bus.sent.filter(({ kind }) => kind === 'proposal')).toEqual([]);
});

test('of two problems as bad as each other, the one that matters more comes first', async () => {
  story = await Story.begin({ config: { hosts: { nas: {}, lab: {}, web: {} } } });
  await story.fire({ name: 'host-down', host: 'lab', labels: { criticality: 'low' } });
  await story.fire({ name: 'host-down', host: 'nas' });
  await story.fire({ name: 'host-down', host: 'web', labels: { criticality: 'high' } });
  await story.clock.advance(40_000);
  const { incidents } = (await story.bus.ask('incidents')) as { incidents: { title: string }[] };
  expect(incidents.map(({ title }) => title)).toEqual(['host-down of web', 'host-down of nas', 'host-down of lab']);
});
