import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { run } from '#bus/messages/run.ts';
import { ConfigSchema } from '#config/schema.ts';
import { createLog } from '#agents/runtime/log.ts';
import { createVirtualClock } from '../../test/parts/virtual-clock.ts';
import { level, SentinelStage, startMs, state } from '../../test/parts/sentinel-stage.ts';
import { until } from '../../test/parts/until.ts';
import { type CheckDefinition, defineCheck, noEvidence, type Observation, type Ping } from './check.ts';
import { History } from './history.ts';
import { Keeping } from './keeping.ts';
import { Ledger } from './ledger.ts';
import { bindChecks } from './registry.ts';
import { SentinelStore } from './store.ts';
import type { Watch } from './tracks.ts';

const kind: CheckDefinition = defineCheck({
  kind: 'a',
  about: 'Sees what it is given.',
  options: z.object({}),
  reach: 'network',
  evidence: noEvidence,
  resourceOf: () => 'all',
  observe: () => Promise.resolve([]),
});

test('a broker that dies takes nothing along: what fires is said again', async () => {
  await using stage = await SentinelStage.open();
  const lever = stage.lever('a');
  lever.observe = () => [state(false)];
  const sentinel = await stage.start({ checks: [{ id: 'a', kind: 'lever', lever: 'a', for: '0s' }] });
  await sentinel.firstRound();
  await until(() => stage.findings.length > 0, 'the finding');
  await stage.broker.kill();
  lever.observe = () => [state(false), state(false, { resource: 'back' })];
  await stage.clock.advance(2 * 60_000);
  stage.findings.length = 0;
  await stage.broker.restart();
  await until(() => new Set(stage.findings.map(({ resource }) => resource)).size === 2, 'both findings', 40_000);
  await until(() => stage.manifests.at(-1)?.firing.length === 2, 'the manifest');
  expect(stage.findings.every(({ status }) => status === 'firing')).toBe(true);
}, 60_000);

test('evidence that hangs costs the finding nothing and ends after five seconds', async () => {
  await using stage = await SentinelStage.open();
  const lever = stage.lever('a');
  lever.observe = () => [level(95)];
  let aborted = false;
  lever.evidence = (signal) =>
    new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        aborted = true;
        resolve([]);
      });
    });
  const sentinel = await stage.start({ checks: [{ id: 'a', kind: 'lever', lever: 'a', for: '2m', every: '30s' }] });
  await stage.clock.advance(3 * 60_000);
  await until(() => stage.findings.length > 0, 'the finding');
  expect(aborted).toBe(true);
  expect(sentinel.queues()).toMatchObject({ evidence: 0 });
});

test('a private key in a log leaves the sentinel in no line of the evidence', async () => {
  await using stage = await SentinelStage.open();
  const lever = stage.lever('a');
  lever.observe = () => [level(95)];
  const body = 'b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz';
  const key = ['-----BEGIN OPENSSH PRIVATE KEY-----', body, body, '-----END OPENSSH PRIVATE KEY-----'];
  lever.evidence = () => Promise.resolve(['gate: starting', ...key.map((line) => `gate[7]: ${line}`), 'gate[7]: open']);
  await stage.start({ checks: [{ id: 'a', kind: 'lever', lever: 'a', for: '0s', every: '30s' }] });
  await stage.clock.advance(60_000);
  await until(() => stage.findings.some(({ evidence }) => evidence.length > 0), 'the evidence');
  expect(JSON.stringify(stage.findings)).toContain('gate: starting');
  expect(JSON.stringify(stage.findings)).toContain('gate[7]: open');
  expect(JSON.stringify(stage.findings)).not.toContain('b3Blbn');
});

test('the fourth time tells of the three before', async () => {
  await using stage = await SentinelStage.open();
  const lever = stage.lever('a');
  await stage.start({ checks: [{ id: 'a', kind: 'lever', lever: 'a', for: '0s', every: '10s', clearAfter: 1 }] });
  for (let time = 0; time < 4; time++) {
    lever.observe = () => [state(false)];
    await stage.clock.advance(20_000);
    lever.observe = () => [state(true)];
    // Beyond the span in which it would count as flapping.
    await stage.clock.advance(40 * 60_000);
  }
  await until(
    () => stage.findings.some(({ evidence }) => evidence.some(({ title }) => title === 'It happened 3 times before')),
    'the history',
  );
  const past = stage.findings.flatMap(({ evidence }) => evidence).find(({ title }) => title.includes('3 times'));
  expect(past?.lines[0]).toMatch(/ for \d+s?.*, ended by itself: front door is open$/);
});

test('what fixed it is told the next time, also when the looks after the run ended it before the verdict', async () => {
  await using stage = await SentinelStage.open();
  const lever = stage.lever('a');
  lever.observe = () => [state(false)];
  const check = { id: 'a', kind: 'lever', lever: 'a', host: 'box', for: '0s', every: '1h', clearAfter: 1 };
  await stage.start({ hosts: { box: { via: 'local' as const } }, checks: [check] });
  await until(() => stage.findings.length > 0, 'the finding');
  lever.observe = () => [state(true)];
  const at = new Date(stage.clock.now()).toISOString();
  stage.listener.publish(run, {
    id: 'run-1',
    plan: 'plan-1',
    playbook: 'restart-unit',
    hosts: ['box'],
    status: 'verifying',
    steps: [],
    findings: [stage.findings[0]?.fingerprint ?? ''],
    startedAt: at,
    updatedAt: at,
  });
  await until(
    async () => {
      await stage.clock.advance(1_000);
      return stage.verdicts.length > 0;
    },
    'the verdict',
    30_000,
  );
  lever.observe = () => [state(false)];
  await stage.clock.advance(2 * 3_600_000);
  const past = (): string | undefined =>
    stage.findings.flatMap(({ evidence }) => evidence).find(({ kind }) => kind === 'history')?.lines[0];
  await until(() => past() !== undefined, 'the history');
  expect(past()).toMatch(/, fixed by playbook restart-unit \(run run-1\): front door is open$/);
});

test('churn becomes one flapping finding', async () => {
  await using stage = await SentinelStage.open();
  const lever = stage.lever('a');
  await stage.start({ checks: [{ id: 'a', kind: 'lever', lever: 'a', for: '0s', every: '10s', clearAfter: 1 }] });
  for (let turn = 0; turn < 20; turn++) {
    lever.observe = () => [state(turn % 2 === 1)];
    await stage.clock.advance(20_000);
  }
  await until(() => stage.findings.at(-1)?.condition === 'flapping', 'the flapping finding');
  expect(new Set(stage.findings.map(({ occurrence }) => occurrence)).size).toBe(2);
  expect(new Set(stage.findings.map(({ fingerprint }) => fingerprint)).size).toBe(1);
});

test('an idle sentinel with five hundred checks writes nothing', async () => {
  await using stage = await SentinelStage.open();
  const checks = Array.from({ length: 500 }, (_, index) => ({ id: `c${index}`, kind: 'lever', lever: `l${index}` }));
  const sentinel = await stage.start({ checks });
  expect(await sentinel.firstRound()).toMatchObject({
    checks: 500,
    ok: 500,
    text: expect.stringContaining('500 things'),
  });
  await stage.clock.advance(90_000);
  const written = async (): Promise<number[]> =>
    Promise.all(
      ['sentinel.db-wal', 'history.db-wal'].map(async (file) => (await stat(join(stage.stateFolder, file))).mtimeMs),
    );
  const before = await written();
  await stage.clock.advance(5 * 60_000);
  expect(await written()).toEqual(before);
  expect(stage.lever('l7').looks).toBeGreaterThan(5);
  expect(stage.findings).toEqual([]);
}, 60_000);

test('a person can ask for a look and for how things stand', async () => {
  await using stage = await SentinelStage.open();
  const lever = stage.lever('a');
  await stage.start({
    hosts: { box: { via: 'local' } },
    checks: [{ id: 'a', kind: 'lever', lever: 'a', host: 'box', every: '1h' }],
  });
  const console = stage.broker.connect('console');
  const signal = AbortSignal.timeout(20_000);
  lever.observe = () => [state(false)];
  expect(await console.request('check', { id: 'a' }, signal)).toMatchObject({
    observations: [{ condition: 'door-open', reading: { is: 'state', ok: false } }],
  });
  expect(await console.request('status', {}, signal)).toMatchObject({
    counts: { pending: 1 },
    hosts: [{ host: 'box' }],
  });
  await expect(console.request('check', { id: 'nope' }, signal)).rejects.toThrow('there is no check "nope"');
});

test('a full disk silences no alarm, and what it kept out is stored when there is room again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lares-ledger-'));
  const clock = createVirtualClock(startMs);
  const store = new SentinelStore(folder);
  const keeping = new Keeping({ clock, log: createLog({ level: 'silent', name: 'test' }) });
  const history = new History(folder, { clock, keeping });
  const told: string[] = [];
  const ledger = new Ledger({
    checks: bindChecks(ConfigSchema.parse({ checks: [{ id: 'a', kind: 'a', for: '0s' }] }), new Map([['a', kind]]))
      .checks,
    store,
    history,
    clock,
    keeping,
    journal: () => undefined,
    tell: ({ event, finding }) => void told.push(`${event} ${finding.resource}`),
  });
  const watch = ledger.watches.get('a') as Watch;
  const long = 'x'.repeat(20_000);
  const look = (observations: Observation[]): void => {
    ledger.take(watch, { at: clock.now(), tookMs: 1, observations });
  };
  const limit = store.rows.get('PRAGMA max_page_count')?.['max_page_count'];
  store.rows.get(`PRAGMA max_page_count = ${Number(store.rows.get('PRAGMA page_count')?.['page_count'])}`);
  look(Array.from({ length: 40 }, (_, index) => state(false, { resource: `r${index}`, summary: long })));
  expect(told).toHaveLength(40);
  expect(store.findings()).toEqual([]);
  store.rows.get(`PRAGMA max_page_count = ${Number(limit)}`);
  look([...watch.tracks.values()].map(({ resource }) => state(false, { resource, summary: long })));
  expect(store.findings()).toHaveLength(40);
  expect(told).toHaveLength(40);
  history.close();
  store.close();
  await rm(folder, { recursive: true });
});

test('a ping is kept as it came, and the next one replaces it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lares-history-'));
  const clock = createVirtualClock(startMs);
  const keeping = new Keeping({ clock, log: createLog({ level: 'silent', name: 'test' }) });
  const before = new History(folder, { clock, keeping });
  const failed: Ping = { at: 1, kind: 'fail', body: 'disk full', exitStatus: 23 };
  before.ping('backup', failed);
  before.close();
  const history = new History(folder, { clock, keeping });
  expect(history.lastPing('backup')).toEqual(failed);
  history.ping('backup', { at: 2, kind: 'success', body: '' });
  expect(history.lastPing('backup')).toEqual({ at: 2, kind: 'success', body: '', succeededAt: 2 });
  history.ping('backup', { at: 3, kind: 'start', body: '' });
  history.ping('backup', { at: 4, kind: 'fail', body: '' });
  expect(history.lastPing('backup')).toEqual({ at: 4, kind: 'fail', body: '', succeededAt: 2 });
  history.close();
  await rm(folder, { recursive: true });
});

test('values that do not move are kept once an hour, those that move each minute, and none for ever', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lares-history-'));
  const clock = createVirtualClock(startMs);
  const keeping = new Keeping({ clock, log: createLog({ level: 'silent', name: 'test' }) });
  const history = new History(folder, { clock, keeping });
  for (let second = 0; second < 3_600; second += 10) {
    history.sample('still', 40);
    history.sample('busy', second);
    await clock.advance(10_000);
  }
  expect(history.samples('still', 100)).toHaveLength(1);
  expect(history.samples('busy', 100)).toHaveLength(60);
  await clock.advance(4 * 86_400_000);
  history.prune(clock.now());
  expect(history.samples('busy', 100)).toEqual([]);
  history.close();
  await rm(folder, { recursive: true });
}, 30_000);
