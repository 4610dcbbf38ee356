import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fingerprintOf } from '#bus/fingerprint.ts';
import { type InventoryPicture, inventory } from '#bus/messages/inventory.ts';
import { Folder } from '../../../test/parts/command.ts';
import { SentinelStage, state } from '../../../test/parts/sentinel-stage.ts';
import { SentinelStore } from '#agents/sentinel/store.ts';
import { until } from '../../../test/parts/until.ts';

let stage: SentinelStage;
let folder: Folder;
let pictures: InventoryPicture[];
let cleared: string[];

beforeEach(async () => {
  folder = new Folder();
  stage = await SentinelStage.open();
  pictures = [];
  cleared = [];
  stage.listener.subscribe(inventory, (picture) => void pictures.push(picture));
  stage.listener.onClear(inventory, (id) => void cleared.push(id));
});

afterEach(async () => {
  await stage[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const hour = 3_600_000;
const file = (): string => join(folder.path, 'hosts');
const config = () => ({
  hosts: { pve: { via: 'local' as const } },
  discovery: [{ source: 'ansible', inventory: file(), run: false }],
});

/** Lets time pass until the fleet is told so. */
async function told(isSo: (picture: InventoryPicture) => boolean, afterMs: number): Promise<InventoryPicture> {
  await stage.clock.advance(afterMs);
  await until(() => pictures.some(isSo), 'the fleet to be told');
  return pictures.findLast(isSo) as InventoryPicture;
}

const names = (picture: InventoryPicture): string[] => picture.nodes.map(({ name }) => name);

test('a source is asked on its interval; additions are told, removals are reported, silence takes nothing away', async () => {
  writeFileSync(file(), '[web]\na\n');
  await stage.start(config());
  expect(await told((picture) => picture.fresh.length === 1, 10_000)).toMatchObject({
    sentinel: 'sentinel',
    nodes: [
      { name: 'pve', written: true },
      { name: 'a', written: false },
    ],
    sources: [{ source: 'ansible', nodes: 1 }],
  });
  writeFileSync(file(), '[web]\na\nb\n');
  expect(names(await told((picture) => picture.fresh.length === 2, 6 * hour))).toEqual(['pve', 'a', 'b']);
  writeFileSync(file(), '[web]\nb\n');
  const third = await told((picture) => picture.missing.length > 0, 6 * hour);
  expect(third).toMatchObject({ missing: ['a'], fresh: ['b'] });
  expect(names(third)).toContain('a');
  rmSync(file());
  const fourth = await told((picture) => picture.sources[0]?.trouble !== undefined, 6 * hour);
  expect(names(fourth).toSorted()).toEqual(['a', 'b', 'pve']);
});

test('what was found outlives a restart, and is told before anybody is asked again', async () => {
  writeFileSync(file(), '[web]\na\n');
  await stage.start(config());
  await told((picture) => picture.fresh.length === 1, 10_000);
  await stage.stop();
  rmSync(file());
  pictures.length = 0;
  await stage.start(config());
  await until(() => pictures.length > 0, 'the fleet to be told');
  expect(pictures[0]?.fresh).toEqual(['a']);
});

test('a clock that was set back does not put the next look off', async () => {
  writeFileSync(file(), '[web]\na\n');
  const later = new SentinelStore(stage.stateFolder);
  later.saveDiscovered('ansible', { answeredAt: stage.clock.now() + 3_650 * 24 * hour, notes: [], things: [] });
  later.close();
  await stage.start(config());
  expect((await told((picture) => picture.fresh.length === 1, 6 * hour)).fresh).toEqual(['a']);
});

test('when nothing is discovered any more, the fleet is taken from the bus', async () => {
  writeFileSync(file(), '[web]\na\n');
  await stage.start(config());
  await told((picture) => picture.fresh.length === 1, 10_000);
  await stage.start({ hosts: { pve: { via: 'local' } } });
  await until(() => cleared.length > 0, 'the topic to be cleared');
  expect(cleared).toEqual(['sentinel']);
});

test('a source that cannot be bound stops the start with its place', async () => {
  await expect(stage.start({ discovery: [{ source: 'ansible' }] })).rejects.toThrow('discovery.0.inventory');
});

test.each([
  ['normal', undefined],
  ['high', 'high'],
] as const)(
  'what matters %s is told with its findings, and is no part of what they are',
  async (criticality, label) => {
    stage.lever('door').observe = () => [state(false)];
    const checks = [{ id: 'door', kind: 'lever', lever: 'door', host: 'pve', for: '0s' }];
    await stage.start({ hosts: { pve: { via: 'local', criticality } }, checks });
    await until(() => stage.findings.length > 0, 'the finding');
    const [finding] = stage.findings;
    expect(finding?.labels['criticality']).toBe(label);
    const { criticality: _own, ...identity } = finding?.labels ?? {};
    expect(finding?.fingerprint).toBe(fingerprintOf(identity));
  },
);
