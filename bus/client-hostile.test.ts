import { expect, it } from 'vitest';
import {
  at,
  Collected,
  collectingLog,
  describeOverBrokers,
  flush,
  frozen,
  lost,
  proposalWith,
  raw,
  ready,
} from '../test/parts/bus.ts';
import { startTcpProxy } from '../test/parts/tcp-proxy.ts';
import { Failure } from './failure.ts';
import { finding } from './messages/finding.ts';
import { freeze } from './messages/freeze.ts';
import { proposal } from './messages/proposal.ts';
import { rejected, type Rejected } from './messages/rejected.ts';

describeOverBrokers(({ broker, name }) => {
  it('tells what could not be read, and goes on', async () => {
    const remediation = broker().connect('remediation');
    const console_ = broker().connect('console');
    const got = new Collected<string>();
    const refused = new Collected<Rejected>();
    remediation.subscribe(proposal, (payload) => got.add(payload.id));
    console_.subscribe(rejected, (payload) => refused.add(payload));
    await ready(remediation, console_);
    const triage = await raw(broker(), 'triage');
    const wrongSchema = JSON.stringify({ schema: 'lares.freeze/9' });
    const wrongIdentity = JSON.stringify({ schema: proposal.schemaId, ...proposalWith('other') });
    for (const payload of ['not json', wrongSchema, '\u0000', '[[', wrongIdentity]) {
      await triage.publishAsync('lares/home/proposal/p1', payload, { qos: 1 });
    }
    const right = JSON.stringify({ schema: proposal.schemaId, ...proposalWith('p1') });
    await triage.publishAsync('lares/home/proposal/p1', right, { qos: 1 });
    expect(await got.count(1)).toEqual(['p1']);
    const told = await refused.count(5);
    expect(told.map(({ by, topic }) => `${by} ${topic}`)).toEqual(
      Array.from({ length: 5 }, () => 'remediation lares/home/proposal/p1'),
    );
    expect(told.map(({ reason }) => reason)).toEqual([
      'not JSON',
      'schema is not "lares.proposal/1"',
      'not JSON',
      'not JSON',
      'the payload is not about the identity in the topic',
    ]);
    await triage.endAsync();
  });

  it('does not amplify garbage, and never refuses a refusal', async () => {
    const remediation = broker().connect('remediation');
    const refused = new Collected<Rejected>();
    const end = new Collected<string>();
    remediation.subscribe(rejected, (payload) => refused.add(payload));
    remediation.subscribe(proposal, (payload) => end.add(payload.id));
    await ready(remediation);
    const triage = await raw(broker(), 'triage');
    const garbage = Array.from({ length: 300 }, () =>
      triage.publishAsync('lares/home/bridge/rejected', 'garbage', { qos: 1 }),
    );
    await Promise.all(garbage);
    expect(refused.items).toEqual([]);
    const more = Array.from({ length: 300 }, () => triage.publishAsync('lares/home/proposal/p', 'garbage', { qos: 1 }));
    await Promise.all(more);
    const last = JSON.stringify({ schema: proposal.schemaId, ...proposalWith('last') });
    await triage.publishAsync('lares/home/proposal/last', last, { qos: 1 });
    await end.count(1);
    expect(refused.items.length).toBeLessThan(150);
    await triage.endAsync();
  });

  it('a denied message loops nowhere and harms nothing', async () => {
    await using proxy = await startTcpProxy(broker().port);
    const remediation = broker().connect('remediation', { url: `mqtt://127.0.0.1:${proxy.port}` });
    const triage = broker().connect('triage');
    const findings = new Collected<string>();
    const refused = new Collected<Rejected>();
    const plans = new Collected<string>();
    triage.subscribe(finding, (payload) => findings.add(payload.fingerprint));
    triage.subscribe(rejected, (payload) => refused.add(payload));
    triage.subscribe(freeze, (payload) => plans.add(payload.reason));
    await ready(remediation, triage);
    remediation.publish(finding, {
      fingerprint: '0011223344556677',
      occurrence: 'o1',
      status: 'firing',
      condition: 'problem',
      severity: 'critical',
      check: 'c',
      kind: 'tcp',
      resource: '',
      labels: {},
      summary: 'invented',
      startsAt: at,
      updatedAt: at,
      evidence: [],
    });
    await flush(remediation);
    remediation.publish(freeze, frozen('allowed'));
    await plans.count(1);
    expect(findings.items).toEqual([]);
    expect(proxy.connections).toBeLessThanOrEqual(2);
    if (name === 'Mosquitto') return;
    expect(await refused.count(1)).toMatchObject([
      { by: 'broker', from: 'remediation', topic: 'lares/home/finding/0011223344556677' },
    ]);
  });

  it('a wrong password is a Failure for who waits, and never in the log', async () => {
    const { log, lines } = collectingLog();
    const bus = broker().connect('triage', { password: 'wrong-and-secret', log });
    const patience = new AbortController();
    const ended = bus.ready(patience.signal).catch((error: unknown) => error);
    const told = await lines.until((items) => items.some((line) => line.startsWith('The bus is not connected')));
    patience.abort();
    expect(await ended).toBeInstanceOf(Failure);
    expect(bus.connected).toBe(false);
    expect(told.join('\n')).not.toContain('wrong-and-secret');
  });

  it('two processes with one name do not kick each other out without end', async () => {
    await using proxy = await startTcpProxy(broker().port);
    const url = `mqtt://127.0.0.1:${proxy.port}`;
    const first = broker().connect('triage', { url });
    await ready(first);
    const second = broker().connect('triage', { url });
    await ready(second);
    await lost(first);
    const timer = AbortSignal.timeout(2_000);
    await new Promise((resolve) => timer.addEventListener('abort', resolve));
    expect(proxy.connections).toBeLessThan(16);
  });

  it('outlives hostile payloads and topics', async () => {
    const triage = broker().connect('triage');
    const got = new Collected<string>();
    triage.subscribe(finding, () => got.add('finding'));
    triage.subscribe(proposal, ({ id }) => got.add(id));
    await ready(triage);
    const huge = Buffer.alloc(300_000, '[');
    const deep = Buffer.from(`{"schema":"lares.finding/1","labels":${'['.repeat(60_000)}${']'.repeat(60_000)}}`);
    const topics = ['finding/__proto__', 'finding/constructor', 'finding/\u{1f480}\u202e', 'finding/x y', 'finding/'];
    for (const topic of topics) {
      const sentinel = await raw(broker(), 'sentinel');
      sentinel.on('error', () => undefined);
      for (const payload of [huge, deep, Buffer.from([0xff, 0xfe, 0x00])]) {
        sentinel.publish(`lares/home/${topic}`, payload, { qos: 1 });
      }
      await new Promise<void>((resolve) => {
        sentinel.end(false, () => resolve());
        AbortSignal.timeout(1_000).addEventListener('abort', () => {
          sentinel.end(true);
          resolve();
        });
      });
    }
    triage.publish(proposal, proposalWith('still here'));
    expect(await got.count(1)).toEqual(['still here']);
  });
});
