import { expect, it } from 'vitest';
import {
  Collected,
  collectingLog,
  describeOverBrokers,
  flush,
  frozen,
  patience,
  proposalWith,
  ready,
} from '../test/parts/bus.ts';
import { startTcpProxy } from '../test/parts/tcp-proxy.ts';
import { Failure } from './failure.ts';
import type { AgentName } from './message.ts';
import { agentState, type AgentState } from './messages/agent-state.ts';
import { freeze, type Freeze } from './messages/freeze.ts';
import { proposal } from './messages/proposal.ts';
import { request } from './messages/request.ts';
import { response } from './messages/response.ts';

describeOverBrokers(({ broker, protocol }) => {
  it('brings a message from one agent to another', async () => {
    const triage = broker().connect('triage');
    const remediation = broker().connect('remediation');
    const got = new Collected<Freeze>();
    remediation.subscribe(freeze, (payload) => got.add(payload));
    await ready(triage, remediation);
    triage.publish(freeze, frozen('why not'));
    await flush(triage);
    expect(await got.count(1)).toEqual([frozen('why not')]);
  });

  it('finds out which protocol the broker speaks', async () => {
    const { log, lines } = collectingLog();
    const bus = broker().connect('triage', { log });
    await ready(bus);
    expect(lines.items.join('\n')).toContain(`"protocol":${protocol}`);
  });

  it('refuses to send what could not be read', async () => {
    const triage = broker().connect('triage');
    await ready(triage);
    expect(() => triage.publish(freeze, { ...frozen('x'), at: 'yesterday' })).toThrow(Failure);
    expect(() => triage.publish(proposal, proposalWith('a/b'))).toThrow(Failure);
    const reasons = { ...frozen('x'.repeat(601)) };
    expect(() => triage.publish(freeze, reasons)).toThrow(/Cannot send a "freeze"/);
  });

  it('tells of a death by the last will, and of a leave by the agent itself', async () => {
    await using proxy = await startTcpProxy(broker().port);
    const console_ = broker().connect('console');
    const states = new Collected<AgentState>();
    const of = (agent: AgentName, state: string) => (items: AgentState[]) =>
      items.some((item) => item.agent === agent && item.state === state);
    console_.subscribe(agentState, (payload) => states.add(payload));
    const sentinel = broker().connect('sentinel', { url: `mqtt://127.0.0.1:${proxy.port}` });
    const triage = broker().connect('triage');
    await ready(console_, sentinel, triage);
    await states.until(of('sentinel', 'online'));
    proxy.block();
    await states.until(of('sentinel', 'offline'));
    await triage.close();
    expect(await states.until(of('triage', 'offline'))).not.toEqual([]);
  });

  it('keeps state for who comes later, until it is cleared', async () => {
    const triage = broker().connect('triage');
    await ready(triage);
    triage.publish(freeze, frozen('kept'));
    await flush(triage);
    const remediation = broker().connect('remediation');
    const got = new Collected<string>();
    remediation.subscribe(freeze, ({ reason }, { retained }) => got.add(`${reason} ${retained}`));
    remediation.onClear(freeze, (id) => got.add(`cleared "${id}"`));
    expect(await got.count(1)).toEqual(['kept true']);
    triage.clear(freeze, '');
    expect(await got.count(2)).toEqual(['kept true', 'cleared ""']);
    const console_ = broker().connect('console');
    const later = new Collected<Freeze>();
    console_.subscribe(freeze, (payload) => later.add(payload));
    await ready(console_);
    triage.publish(freeze, frozen('new'));
    expect((await later.count(1)).map(({ reason }) => reason)).toEqual(['new']);
  });

  it('a connect listener that is added late still runs', async () => {
    const triage = broker().connect('triage');
    await ready(triage);
    const runs = new Collected<string>();
    triage.onConnect(() => runs.add('run'));
    expect(await runs.count(1)).toEqual(['run']);
  });

  it('a listener that fails harms no other and is tried again when that may help', async () => {
    const triage = broker().connect('triage');
    const remediation = broker().connect('remediation');
    const good = new Collected<string>();
    const retried = new Collected<string>();
    remediation.subscribe(proposal, () => {
      throw new TypeError('a bug');
    });
    remediation.subscribe(proposal, async ({ id }) => {
      retried.add(id);
      if (retried.items.length < 3) throw new Failure('Cannot write: the disk is full', { recoverable: true });
    });
    remediation.subscribe(proposal, ({ id }) => good.add(id));
    await ready(triage, remediation);
    triage.publish(proposal, proposalWith('p1'));
    triage.publish(proposal, proposalWith('p2'));
    expect(await retried.count(4)).toEqual(['p1', 'p1', 'p1', 'p2']);
    expect(await good.count(2)).toEqual(['p1', 'p2']);
  });

  it('what is taken together comes without waiting for the one before, and only what failed comes again', async () => {
    const triage = broker().connect('triage');
    const remediation = broker().connect('remediation');
    const got = new Collected<string>();
    const commits: PromiseWithResolvers<void>[] = [];
    remediation.subscribe(
      proposal,
      ({ id }) => {
        const commit = Promise.withResolvers<void>();
        commits.push(commit);
        got.add(id);
        return commit.promise;
      },
      { together: true },
    );
    await ready(triage, remediation);
    for (const id of ['p1', 'p2', 'p3']) triage.publish(proposal, proposalWith(id));
    expect(await got.count(3)).toEqual(['p1', 'p2', 'p3']);
    commits[1]?.reject(new Failure('Cannot write: the disk is full', { recoverable: true }));
    commits[0]?.resolve();
    commits[2]?.resolve();
    expect(await got.count(4)).toEqual(['p1', 'p2', 'p3', 'p2']);
    commits[3]?.resolve();
  });

  it('a listener may publish and flush', async () => {
    const triage = broker().connect('triage');
    const remediation = broker().connect('remediation');
    const got = new Collected<string>();
    remediation.subscribe(proposal, async ({ id }) => {
      remediation.publish(freeze, frozen(id));
      await flush(remediation);
    });
    triage.subscribe(freeze, ({ reason }) => got.add(reason));
    await ready(triage, remediation);
    triage.publish(proposal, proposalWith('p1'));
    expect(await got.count(1)).toEqual(['p1']);
  });

  it('answers questions, tells why it cannot, and stops waiting in time', async () => {
    const triage = broker().connect('triage');
    const sentinel = broker().connect('sentinel');
    sentinel.serve('check', async (data, from) => ({ ...data, from }));
    sentinel.serve('findings', async () => {
      throw new Failure('Cannot recheck "web": it is gone', { recoverable: false });
    });
    sentinel.serve('status', async () => {
      throw new TypeError('secret detail');
    });
    await ready(triage, sentinel);
    const ask = (verb: string, ms = patience): Promise<Record<string, unknown>> =>
      triage.request(verb, { host: 'web' }, AbortSignal.timeout(ms));
    expect(await ask('check')).toEqual({ host: 'web', from: 'triage' });
    await expect(ask('findings')).rejects.toThrow('Cannot recheck "web": it is gone');
    await expect(ask('status')).rejects.toThrow('Cannot status: internal error');
    await expect(ask('nobody', 200)).rejects.toThrow('Cannot nobody: no answer came in time');
    const many = await Promise.all(Array.from({ length: 50 }, () => ask('check')));
    expect(many).toHaveLength(50);
  });

  it('several people ask at once, each over a connection of their own', async () => {
    const sentinel = broker().connect('sentinel');
    sentinel.serve('check', async (data) => data);
    await ready(sentinel);
    const people = Array.from({ length: 4 }, () => broker().connect('console'));
    await ready(...people);
    const asked = people.map((person, number) => person.request('check', { number }, AbortSignal.timeout(patience)));
    expect(await Promise.all(asked)).toEqual(people.map((_, number) => ({ number })));
    expect(people.map(({ connected }) => connected)).toEqual(people.map(() => true));
  });

  it('an agent that overhears a question cannot answer it for another', async () => {
    const console = broker().connect('console');
    const triage = broker().connect('triage');
    const sentinel = broker().connect('sentinel');
    const forged = new Collected<string>();
    sentinel.subscribe(request, ({ verb, transaction }) => {
      sentinel.publish(response, { verb, transaction, status: 'ok', data: { person: 'mallory' } });
      void flush(sentinel).then(() => forged.add(verb));
    });
    triage.serve('paired', async () => {
      await forged.count(1);
      return { person: 'ada' };
    });
    await ready(console, triage, sentinel);
    expect(await console.request('paired', {}, AbortSignal.timeout(patience))).toEqual({ person: 'ada' });
    expect(() => sentinel.serve('paired', async () => ({}))).toThrow('gives it to another agent');
  });
});
