import { expect, it } from 'vitest';
import { Collected, describeOverBrokers, flush, frozen, lost, proposalWith, ready } from '../test/parts/bus.ts';
import { startTcpProxy } from '../test/parts/tcp-proxy.ts';
import { freeze } from './messages/freeze.ts';
import { proposal } from './messages/proposal.ts';

describeOverBrokers(({ broker }) => {
  it('a message that was being handled when the connection broke comes again', async () => {
    await using proxy = await startTcpProxy(broker().port);
    const remediation = broker().connect('remediation', { url: `mqtt://127.0.0.1:${proxy.port}` });
    const triage = broker().connect('triage');
    const calls = new Collected<string>();
    const release = Promise.withResolvers<void>();
    remediation.subscribe(proposal, async (payload) => {
      calls.add(payload.id);
      if (calls.items.length === 1) await release.promise;
    });
    await ready(remediation, triage);
    triage.publish(proposal, proposalWith('p1'));
    await calls.count(1);
    proxy.cut();
    await lost(remediation);
    await ready(remediation);
    release.resolve();
    expect(await calls.count(2)).toEqual(['p1', 'p1']);
    await flush(triage);
  });

  it('what was handled does not come again', async () => {
    const triage = broker().connect('triage');
    const calls = new Collected<string>();
    const first = broker().connect('remediation');
    first.subscribe(proposal, (payload) => calls.add(payload.id));
    await ready(first, triage);
    triage.publish(proposal, proposalWith('p1'));
    await calls.count(1);
    await first.close();
    const second = broker().connect('remediation');
    second.subscribe(proposal, (payload) => calls.add(payload.id));
    await ready(second);
    triage.publish(proposal, proposalWith('p2'));
    expect(await calls.count(2)).toEqual(['p1', 'p2']);
  });

  it('what was sent while an agent was away waits for its listeners', async () => {
    const triage = broker().connect('triage');
    const first = broker().connect('remediation');
    first.subscribe(proposal, () => undefined);
    await ready(first, triage);
    await first.close();
    triage.publish(proposal, proposalWith('p1'));
    triage.publish(proposal, proposalWith('p2'));
    await flush(triage);
    const second = broker().connect('remediation');
    await ready(second);
    const calls = new Collected<string>();
    second.subscribe(proposal, (payload) => calls.add(payload.id));
    expect(await calls.count(2)).toEqual(['p1', 'p2']);
  });

  it('a state that was cleared while the connection was away is cleared when it is back', async () => {
    await using proxy = await startTcpProxy(broker().port);
    const triage = broker().connect('triage', { url: `mqtt://127.0.0.1:${proxy.port}` });
    const remediation = broker().connect('remediation');
    const cleared = new Collected<string>();
    remediation.onClear(freeze, () => cleared.add('cleared'));
    await ready(triage, remediation);
    triage.publish(freeze, frozen('kept'));
    await flush(triage);
    proxy.block();
    await lost(triage);
    triage.clear(freeze, '');
    proxy.open();
    expect(await cleared.count(1)).toEqual(['cleared']);
  });

  it('comes back after the broker was killed, and owners say again what they own', async () => {
    const triage = broker().connect('triage');
    const remediation = broker().connect('remediation');
    const got = new Collected<string>();
    let owned = 'first';
    remediation.subscribe(freeze, ({ reason }) => got.add(reason));
    triage.onConnect(() => triage.publish(freeze, frozen(owned)));
    await ready(triage, remediation);
    await got.until((items) => items.includes('first'));
    await broker().kill();
    await Promise.all([lost(triage), lost(remediation)]);
    triage.publish(freeze, frozen('said to nobody'));
    owned = 'second';
    await broker().restart();
    const all = await got.until((items) => items.includes('second'));
    expect(all).not.toContain('said to nobody');
  });
});
