import { expect, it } from 'vitest';
import { startTestBroker } from '../test/parts/broker.ts';
import { freeze } from './messages/freeze.ts';
import { agentState } from './messages/agent-state.ts';

it('a message goes from one agent to another', async () => {
  await using broker = await startTestBroker();
  const triage = broker.connect('triage');
  const remediation = broker.connect('remediation');
  const got = Promise.withResolvers<string>();
  const online = Promise.withResolvers<void>();
  remediation.subscribe(freeze, (payload) => got.resolve(payload.reason));
  remediation.subscribe(agentState, (payload) => {
    if (payload.agent === 'triage' && payload.state === 'online') online.resolve();
  });
  await remediation.ready(AbortSignal.timeout(5_000));
  await triage.ready(AbortSignal.timeout(5_000));
  triage.publish(freeze, { frozen: true, by: 'test', reason: 'why not', at: new Date().toISOString() });
  await triage.flush(AbortSignal.timeout(5_000));
  expect(await got.promise).toBe('why not');
  await online.promise;
  await broker.kill();
  await broker.restart();
  const later = broker.connect('console');
  const kept = Promise.withResolvers<string>();
  later.subscribe(freeze, (payload, { retained }) => kept.resolve(`${payload.reason} ${retained}`));
  expect(await kept.promise).toBe('why not true');
});
