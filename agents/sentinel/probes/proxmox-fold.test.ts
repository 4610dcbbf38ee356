import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '#agents/runtime/clock.ts';
import type { CheckDefinition } from '#agents/sentinel/check.ts';
import { check } from '#agents/sentinel/checks/proxmox.ts';
import { fold } from '#agents/sentinel/fold.ts';
import { countAll } from '#agents/sentinel/picture.ts';
import { bindChecks } from '#agents/sentinel/registry.ts';
import type { Watch } from '#agents/sentinel/tracks.ts';
import { ConfigSchema } from '#config/schema.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { ClusterModel } from '../../../test/parts/cluster-model.ts';
import { token } from '../../../test/parts/cluster-watch.ts';
import { type FakeProxmox, startFakeProxmox } from '../../../test/parts/fake-proxmox.ts';

const minuteMs = 60_000;
let now: number;
let model: ClusterModel;
let proxmox: FakeProxmox;
beforeEach(async () => {
  now = Date.UTC(2026, 10, 20, 12);
  model = new ClusterModel({ now: () => now });
  proxmox = await startFakeProxmox(model);
});
afterEach(() => proxmox[Symbol.asyncDispose]());

/** The cluster as the sentinel keeps it, look by look, a minute apart. */
function sentinelOf(more: object = {}) {
  const config = ConfigSchema.parse({ checks: [{ id: 'pve', kind: 'proxmox', url: proxmox.url, token, ...more }] });
  const kinds = new Map([['proxmox', check as unknown as CheckDefinition]]);
  const [bound] = bindChecks(config, kinds).checks;
  if (bound === undefined) throw new TypeError('The test has no check');
  const watch: Watch = { check: bound, tracks: new Map() };
  const context = checkContext({ timeoutMs: 10_000, clock: { ...systemClock, now: () => now } });
  const look = async (minutes: number): Promise<string[]> => {
    for (let minute = 0; minute < minutes; minute++) {
      const observations = await bound.definition.observe(bound.options, context);
      fold(watch, { at: now, tookMs: 1, observations });
      // What moved is stored, as the ledger does it.
      for (const track of watch.tracks.values()) track.isStored = true;
      now += minuteMs;
    }
    const firing = [...watch.tracks.values()].filter(({ state }) => state.phase === 'firing');
    return firing.map(({ condition, resource }) => `${condition} ${resource}`).toSorted();
  };
  return { look, counts: () => countAll(new Map([['pve', watch]]), 0).counts };
}

test('a node that goes is one finding, its guests are unknown, and all is well when it comes back', async () => {
  const { look, counts } = sentinelOf();
  expect(await look(3)).toEqual([]);
  const before = counts();
  expect(before).toMatchObject({ firing: 0, unknown: 0, stale: 0 });
  model.nodeDown('pve2');
  expect(await look(12)).toEqual(['node-down pve2']);
  const guests = model.guests.filter(({ node }) => node === 'pve2').length;
  expect(counts().unknown).toBeGreaterThanOrEqual(guests);
  expect(counts().ok).toBeLessThan(before.ok);
  model.nodeUp('pve2');
  expect(await look(3)).toEqual([]);
  expect(counts()).toEqual(before);
});

test('a guest that is stopped fires, survives the loss of its node, and ends when it runs', async () => {
  const { look } = sentinelOf({ look: ['nodes', 'guests'] });
  await look(1);
  model.stopGuest(101);
  expect(await look(4)).toEqual(['guest-down CT 101']);
  model.nodeDown('pve2');
  expect(await look(8)).toEqual(['guest-down CT 101', 'node-down pve2']);
  model.nodeUp('pve2');
  model.startGuest(101);
  expect(await look(3)).toEqual([]);
});

test('a privilege that is missing is one unknown per place, and hides nothing else', async () => {
  model.revoke('Sys.Modify');
  const { look, counts } = sentinelOf({ look: ['guests', 'updates'] });
  expect(await look(8)).toEqual([1, 2, 3, 4].map((node) => `check-unknown pve${node} updates`));
  const before = counts();
  model.guests = model.guests.filter(({ vmid }) => vmid !== 101);
  await look(3);
  // The one that was removed is gone, with its disk and its memory, and not unknown.
  expect(counts()).toMatchObject({ unknown: 4, ok: before.ok - 3 });
});

test('a backup that failed fires at once and ends with the next one that succeeds', async () => {
  const { look } = sentinelOf({ look: ['tasks'] });
  expect(await look(2)).toEqual([]);
  model.addBackupTask('pve1', { failed: { 104: 'no space left on device' }, ageMs: 700_000 });
  expect(await look(1)).toEqual(['backup-failed CT 104']);
  now += 60 * minuteMs;
  model.addTask({ type: 'vzdump', id: '104', node: 'pve1', status: 'OK' });
  expect(await look(3)).toEqual([]);
});
