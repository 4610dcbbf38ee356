import { expect, test } from 'vitest';
import { asleep } from './probes/reading.ts';
import { blind, SentinelStage, state } from '../../test/parts/sentinel-stage.ts';
import { until } from '../../test/parts/until.ts';

const minute = 60_000;
const reading = { condition: 'on-demand-not-awake', resource: 'pve3', summary: 'pve3 is asleep' };
const hosts = {
  pve3: { address: '192.0.2.3', read: { user: 'lares' }, onDemand: {} },
  pbs: { address: '192.0.2.4', read: { user: 'lares' }, on: 'pve3' },
  far: { address: '192.0.2.5', read: { user: 'lares' } },
};

async function advance(stage: SentinelStage, minutes: number): Promise<void> {
  for (let step = 0; step < minutes * 2; step++) await stage.clock.advance(minute / 2);
}

test('while a host sleeps, all that it bears rests: not looked at, not unknown, not stale, no finding', async () => {
  await using stage = await SentinelStage.open();
  stage.lever('reach').observe = () => [asleep(reading, 'it is off, which it may')];
  for (const lever of ['disk', 'guest', 'web']) {
    stage.lever(lever).observe = () => [blind('nobody answers'), state(false, { condition: 'http-down' })];
  }
  await stage.start({
    hosts,
    services: { web: { on: 'pbs' } },
    checks: [
      { id: 'pve3-reachable', kind: 'lever', lever: 'reach', host: 'pve3', every: '30s' },
      { id: 'pve3-disk', kind: 'host-lever', lever: 'disk', host: 'pve3' },
      { id: 'pbs-reachable', kind: 'lever', lever: 'guest', host: 'pbs' },
      { id: 'web', kind: 'lever', lever: 'web', service: 'web' },
      { id: 'far', kind: 'lever', lever: 'far', host: 'far' },
    ],
  });
  await advance(stage, 2);
  const looks = ['disk', 'guest', 'web'].map((name) => stage.lever(name).looks);
  await advance(stage, 30);
  expect(['disk', 'guest', 'web'].map((name) => stage.lever(name).looks)).toEqual(looks);
  expect(stage.findings).toEqual([]);
  await until(() => stage.manifests.at(-1)?.counts.asleep === 4, 'the manifest');
  expect(stage.manifests.at(-1)?.counts).toMatchObject({ ok: 1, asleep: 4, unknown: 0, stale: 0, firing: 0 });
  for (const name of ['pve3', 'pbs']) {
    await until(() => stage.hosts.get(name)?.reachability === 'asleep', `the sleep of ${name}`);
  }
  expect(stage.hosts.get('far')?.reachability).not.toBe('asleep');
});

test('what was seen before a host fell asleep is not counted as well while it sleeps', async () => {
  await using stage = await SentinelStage.open();
  let isAwake = true;
  const said = { ...reading, summary: 'pve3 is awake' };
  stage.lever('reach').observe = () => [isAwake ? state(true, said) : asleep(reading, 'it is off, which it may')];
  let looks = 0;
  // Something that was not well once is remembered for a while, in case it flaps.
  stage.lever('disk').observe = () => [state((looks += 1) !== 2)];
  await stage.start({
    hosts,
    checks: [
      { id: 'pve3-reachable', kind: 'lever', lever: 'reach', host: 'pve3', every: '30s' },
      { id: 'pve3-disk', kind: 'host-lever', lever: 'disk', host: 'pve3' },
    ],
  });
  await advance(stage, 3);
  await until(() => stage.manifests.at(-1)?.counts.asleep === 0, 'the first picture');
  isAwake = false;
  await advance(stage, 4);
  await until(() => stage.manifests.at(-1)?.counts.asleep === 2, 'the sleep of both');
  expect(stage.manifests.at(-1)?.counts).toMatchObject({ ok: 0, unknown: 0, stale: 0, pending: 0 });
});

test('a host that wakes is looked at again, and what was firing before it slept is over meanwhile', async () => {
  await using stage = await SentinelStage.open();
  let isAwake = true;
  const said = { ...reading, summary: 'pve3 is awake' };
  stage.lever('reach').observe = () => [isAwake ? state(true, said) : asleep(reading, 'it is off, which it may')];
  stage.lever('disk').observe = () => [state(false)];
  await stage.start({
    hosts,
    checks: [
      { id: 'pve3-reachable', kind: 'lever', lever: 'reach', host: 'pve3', every: '30s' },
      { id: 'pve3-disk', kind: 'host-lever', lever: 'disk', host: 'pve3' },
    ],
  });
  await advance(stage, 4);
  await until(() => stage.findings.at(-1)?.status === 'firing', 'the finding');
  isAwake = false;
  await advance(stage, 5);
  await until(() => stage.findings.at(-1)?.status === 'resolved', 'the end while it sleeps');
  const looks = stage.lever('disk').looks;
  isAwake = true;
  await advance(stage, 6);
  expect(stage.lever('disk').looks).toBeGreaterThan(looks);
  await until(() => stage.findings.at(-1)?.status === 'firing', 'the finding again');
  await until(() => stage.hosts.get('pve3')?.reachability === 'reachable', 'the host');
});

test('an on-demand service that is not there is asleep; one that answers and is sick is not', async () => {
  await using stage = await SentinelStage.open();
  stage.lever('silent').observe = () => [state(false, { condition: 'http-down' })];
  stage.lever('lost').observe = () => [state(false, { condition: 'ping-lost' })];
  stage.lever('sick').observe = () => [state(false, { condition: 'disk-full' })];
  await stage.start({
    hosts,
    services: { render: { on: 'far', onDemand: true } },
    checks: [
      { id: 'render-http', kind: 'lever', lever: 'silent', service: 'render' },
      { id: 'render-ping', kind: 'lever', lever: 'lost', service: 'render' },
      { id: 'render-disk', kind: 'lever', lever: 'sick', service: 'render' },
    ],
  });
  await advance(stage, 5);
  await until(() => stage.findings.some(({ check }) => check === 'render-disk'), 'the finding');
  const told = new Set(stage.findings.map(({ check }) => check));
  expect([...told]).toEqual(['render-disk']);
  await until(() => stage.manifests.at(-1)?.counts.asleep === 2, 'the manifest');
});
