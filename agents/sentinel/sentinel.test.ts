import { expect, test } from 'vitest';
import { run as runKind, type Run } from '#bus/messages/run.ts';
import { finding, type Finding } from '#bus/messages/finding.ts';
import { blind, level, SentinelStage, startMs, state } from '../../test/parts/sentinel-stage.ts';
import { until } from '../../test/parts/until.ts';

const minute = 60_000;
/** Advances in steps until something holds. */
async function advanceUntil(stage: SentinelStage, isTrue: () => boolean, what: string): Promise<void> {
  await until(
    async () => {
      if (isTrue()) return true;
      await stage.clock.advance(5_000);
      return isTrue();
    },
    what,
    30_000,
  );
}

function last(stage: SentinelStage): Finding | undefined {
  return stage.findings.at(-1);
}

test('a condition that holds becomes one finding, with labels, evidence and history, and ends', async () => {
  await using stage = await SentinelStage.open();
  const lever = stage.lever('gate');
  lever.observe = () => [state(false, { labels: { unit: 'gate.service' } })];
  lever.evidence = () => Promise.resolve(['gate: password=hunter2secret', 'gate: left open']);
  const sentinel = await stage.start({
    hosts: { box: { via: 'local' } },
    checks: [{ id: 'gate', kind: 'lever', lever: 'gate', host: 'box', labels: { team: 'home' } }],
  });
  expect(await sentinel.firstRound()).toMatchObject({
    checks: 1,
    hosts: 1,
    bad: 1,
    text: expect.stringContaining('1 host'),
  });
  expect(stage.findings).toEqual([]);
  await advanceUntil(stage, () => stage.findings.length >= 2, 'the finding and its evidence');
  expect(stage.findings[0]).toMatchObject({
    status: 'firing',
    condition: 'problem',
    severity: 'critical',
    startsAt: new Date(startMs).toISOString(),
    labels: { alertname: 'door-open', check: 'gate', host: 'box', unit: 'gate.service', team: 'home' },
    evidence: [],
  });
  expect(stage.clock.now() - startMs).toBeGreaterThanOrEqual(2 * minute);
  // Who holds the first takes nothing that is not newer.
  expect(Date.parse(stage.findings[1]?.updatedAt ?? '')).toBeGreaterThan(
    Date.parse(stage.findings[0]?.updatedAt ?? ''),
  );
  const lines = stage.findings[1]?.evidence.flatMap((piece) => piece.lines) ?? [];
  expect(lines).toContain('gate: left open');
  expect(lines.join()).not.toContain('hunter2secret');
  await until(() => stage.manifests.at(-1)?.firing.length === 1, 'the manifest');
  await until(() => stage.hosts.get('box')?.problem === true, 'the state of the host');
  expect(stage.hosts.get('box')).toMatchObject({ findings: 1, worst: 'critical' });

  lever.observe = () => [state(true)];
  await advanceUntil(stage, () => last(stage)?.status === 'resolved', 'the end');
  expect(last(stage)).toMatchObject({ occurrence: stage.findings[0]?.occurrence, endsAt: expect.any(String) });
  await until(() => stage.manifests.at(-1)?.firing.length === 0, 'the empty manifest');

  const triage = stage.broker.connect('triage');
  await triage.ready(AbortSignal.timeout(20_000));
  await stage.clock.advance(30_000);
  expect(stage.cleared).toEqual([]);
  await advanceUntil(stage, () => stage.cleared.length === 1, 'the cleared topic');
  await triage.close();
});

test('a restart pages nobody twice and loses no pending time', async () => {
  await using stage = await SentinelStage.open();
  stage.lever('a').observe = () => [state(false, { resource: 'a' })];
  stage.lever('b').observe = () => [state(true, { resource: 'b' })];
  const config = {
    checks: [
      { id: 'ra', kind: 'lever', lever: 'a' },
      { id: 'rb', kind: 'lever', lever: 'b' },
    ],
  };
  await stage.start(config);
  await advanceUntil(stage, () => stage.findings.length === 1, 'the first finding');
  stage.lever('b').observe = () => [state(false, { resource: 'b' })];
  await advanceUntil(stage, () => stage.manifests.at(-1)?.counts.pending === 1, 'the second pending');
  const pendingAt = stage.clock.now();
  const sequence = stage.manifests.at(-1)?.sequence ?? 0;
  await stage.start(config);
  await advanceUntil(stage, () => stage.findings.some(({ check }) => check === 'rb'), 'the second finding');
  const occurrences = new Set(stage.findings.filter(({ check }) => check === 'ra').map(({ occurrence }) => occurrence));
  expect(occurrences.size).toBe(1);
  const second = stage.findings.find(({ check }) => check === 'rb');
  expect(Date.parse(second?.startsAt ?? '')).toBeLessThanOrEqual(pendingAt);
  await until(() => (stage.manifests.at(-1)?.sequence ?? 0) > sequence, 'a manifest of after');
});

test('a finding of a check that was removed ends, and a topic that nobody owns is cleared', async () => {
  await using stage = await SentinelStage.open();
  stage.lever('gone').observe = () => [state(false)];
  await stage.start({ checks: [{ id: 'gone', kind: 'lever', lever: 'gone', for: '0s' }] });
  await until(() => stage.findings.length > 0, 'the finding');
  const orphan = { ...(stage.findings[0] as Finding), fingerprint: 'feedfeedfeedfeed' };
  await stage.stop();
  const impostor = stage.broker.connect('sentinel');
  await impostor.ready(AbortSignal.timeout(20_000));
  impostor.publish(finding, orphan);
  await impostor.flush(AbortSignal.timeout(20_000));
  await impostor.close();
  await stage.start({ checks: [{ id: 'other', kind: 'lever' }] });
  await until(() => stage.cleared.includes(orphan.fingerprint), 'the orphan to be cleared');
  await until(() => last(stage)?.status === 'resolved', 'the end of the removed check');
  expect(last(stage)).toMatchObject({ check: 'gone', endsAt: expect.any(String) });
});

test('a check that hangs or throws is unknown, and holds up nobody', async () => {
  await using stage = await SentinelStage.open();
  stage.lever('hang').observe = () => new Promise(() => undefined);
  stage.lever('bug').observe = () => {
    throw new TypeError('no such thing');
  };
  const sentinel = await stage.start({
    checks: [
      { id: 'hang', kind: 'lever', lever: 'hang' },
      { id: 'bug', kind: 'lever', lever: 'bug' },
      { id: 'well', kind: 'lever', lever: 'well' },
    ],
  });
  await stage.clock.advance(10_000);
  const round = await sentinel.firstRound();
  expect(round).toMatchObject({ ok: 1, bad: 0, unknown: 2 });
  expect(round.text).toContain('the look took longer than 10s (1)');
  await advanceUntil(stage, () => stage.findings.length === 2, 'the findings about not looking');
  expect(stage.findings.map(({ labels, condition }) => [labels['alertname'], condition])).toEqual([
    ['check-unknown', 'unknown'],
    ['check-unknown', 'unknown'],
  ]);
  expect(stage.lever('hang').looks).toBe(1);
  expect(stage.lever('well').looks).toBeGreaterThan(4);
});

test('an unknown look ends no problem', async () => {
  await using stage = await SentinelStage.open();
  const lever = stage.lever('u');
  lever.observe = () => [state(false)];
  await stage.start({ checks: [{ id: 'u', kind: 'lever', lever: 'u', for: '0s' }] });
  await until(() => stage.findings.length > 0, 'the finding');
  lever.observe = () => [blind('connection refused')];
  await stage.clock.advance(4 * minute);
  await until(() => stage.manifests.at(-1)?.counts.firing === 1, 'the manifest');
  expect(stage.findings.every(({ status }) => status === 'firing')).toBe(true);
});

test('a level keeps its severity until its clear threshold, in one finding', async () => {
  await using stage = await SentinelStage.open();
  const lever = stage.lever('tank');
  lever.observe = () => [level(82)];
  await stage.start({ checks: [{ id: 'tank', kind: 'lever', lever: 'tank', for: '0s', every: '10s' }] });
  await until(() => last(stage)?.severity === 'warning', 'the warning');
  lever.observe = () => [level(95)];
  await advanceUntil(stage, () => last(stage)?.severity === 'critical', 'the critical');
  lever.observe = () => [level(87)];
  await stage.clock.advance(minute);
  expect(last(stage)?.severity).toBe('critical');
  lever.observe = () => [level(77)];
  await advanceUntil(stage, () => last(stage)?.severity === 'warning', 'the warning again');
  lever.observe = () => [level(70)];
  await advanceUntil(stage, () => last(stage)?.status === 'resolved', 'the end');
  expect(new Set(stage.findings.map(({ occurrence }) => occurrence)).size).toBe(1);
});

test('what cannot be looked at because its host is down is unknown with the host in its labels', async () => {
  await using stage = await SentinelStage.open();
  const reach = stage.lever('reach');
  reach.observe = () => [state(false, { condition: 'host-down', resource: 'far:22' })];
  await stage.start({
    hosts: { far: { address: '192.0.2.1', read: { user: 'lares' } } },
    checks: [
      { id: 'far-reachable', kind: 'lever', lever: 'reach', host: 'far' },
      { id: 'disk', kind: 'host-lever', lever: 'disk', host: 'far' },
    ],
  });
  const before = stage.lever('disk').looks;
  await advanceUntil(stage, () => stage.findings.some(({ check }) => check === 'disk'), 'the unknown');
  expect(stage.lever('disk').looks).toBeLessThanOrEqual(before + 1);
  expect(stage.findings.find(({ check }) => check === 'disk')).toMatchObject({
    condition: 'unknown',
    host: 'far',
    labels: { alertname: 'check-unknown', host: 'far' },
    summary: expect.stringContaining('host "far" does not answer'),
  });
  await until(() => stage.hosts.get('far')?.reachability === 'unreachable', 'the state of the host');
});

test('while the gateway is silent, what is out there is unknown and one finding says so', async () => {
  await using stage = await SentinelStage.open();
  stage.lever('web').observe = () => [state(false)];
  await stage.start({ gateway: 'gateway.invalid', checks: [{ id: 'web', kind: 'lever', lever: 'web', for: '0s' }] });
  await advanceUntil(stage, () => stage.findings.length > 0, 'the finding');
  expect(stage.findings.map(({ labels }) => labels['alertname'])).toEqual(['gateway-unreachable']);
  const reason = 'the gateway gateway.invalid does not answer';
  await until(() => stage.manifests.at(-1)?.unseen.some((one) => one.reason === reason) === true, 'the reason');
});

test('pings arrive as Healthchecks takes them, and news is looked at once', async () => {
  await using stage = await SentinelStage.open();
  await stage.start({ checks: [{ id: 'nightly', kind: 'heartbeat', ping: 'backup', every: '1h', for: '0s' }] });
  const ping = (path: string, init?: RequestInit): Promise<Response> =>
    fetch(`http://127.0.0.1:${stage.port}/ping/${path}`, init);
  const answers = await Promise.all(
    ['backup', 'backup/start', 'backup/0', 'backup/log'].map(async (path) => (await ping(path)).status),
  );
  expect(answers).toEqual([200, 200, 200, 200]);
  expect((await ping('other')).status).toBe(404);
  expect((await ping('backup/256')).status).toBe(400);
  expect(await (await ping('backup/3', { method: 'POST', body: 'disk full' })).text()).toBe('OK');
  await until(() => last(stage)?.status === 'firing', 'the failure, an hour before the next look');
});

const run: Run = {
  id: 'run-1',
  plan: 'plan-1',
  playbook: 'restart-unit',
  hosts: ['box'],
  findings: [],
  status: 'verifying',
  steps: [],
  startedAt: new Date(startMs).toISOString(),
  updatedAt: new Date(startMs).toISOString(),
};

test('a run that mended is fixed: two looks later, the finding ended, the verdict kept over a restart', async () => {
  await using stage = await SentinelStage.open();
  const lever = stage.lever('mend');
  lever.observe = () => [state(false)];
  const config = {
    hosts: { box: { via: 'local' as const } },
    checks: [{ id: 'mend', kind: 'lever', lever: 'mend', host: 'box', for: '0s', every: '1h', clearAfter: 20 }],
  };
  await stage.start(config);
  await until(() => stage.findings.length > 0, 'the finding');
  lever.observe = () => [state(true)];
  const asked = { ...run, id: 'run-fixed', findings: [stage.findings[0]?.fingerprint ?? ''] };
  stage.listener.publish(runKind, asked);
  await advanceUntil(stage, () => stage.verdicts.length > 0, 'the verdict');
  expect(stage.verdicts[0]).toMatchObject({ run: 'run-fixed', outcome: 'fixed', checks: [{ ok: true }] });
  await until(() => last(stage)?.status === 'resolved', 'the end');
  await stage.start(config);
  await until(() => stage.verdicts.length > 1, 'the same verdict for whoever still asks');
  expect(stage.verdicts.at(-1)).toEqual(stage.verdicts[0]);
  stage.listener.clear(runKind, asked.id);
});

test('a run that mended nothing is not fixed, one that broke something critical is worse, one nobody knows is unknown', async () => {
  await using stage = await SentinelStage.open();
  const [sick, fine] = [stage.lever('sick'), stage.lever('fine')];
  sick.observe = () => [state(false)];
  await stage.start({
    hosts: { box: { via: 'local' } },
    checks: [
      { id: 'sick', kind: 'lever', lever: 'sick', host: 'box', for: '0s' },
      { id: 'fine', kind: 'lever', lever: 'fine', host: 'box', for: '0s' },
    ],
  });
  await until(() => stage.findings.length > 0, 'the finding');
  const verdictOn = async (id: string, findings: string[]): Promise<string | undefined> => {
    stage.listener.publish(runKind, { ...run, id, findings, startedAt: new Date(stage.clock.now()).toISOString() });
    await advanceUntil(stage, () => stage.verdicts.some((verdict) => verdict.run === id), `the verdict on ${id}`);
    stage.listener.clear(runKind, id);
    return stage.verdicts.find((verdict) => verdict.run === id)?.outcome;
  };
  const fingerprint = stage.findings[0]?.fingerprint ?? '';
  expect(await verdictOn('run-bad', [fingerprint])).toBe('not-fixed');
  expect(await verdictOn('run-odd', ['0123456789abcdef'])).toBe('unknown');
  fine.observe = () => [state(false, { resource: 'back' })];
  expect(await verdictOn('run-worse', [fingerprint])).toBe('worse');
});
