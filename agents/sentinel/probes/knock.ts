import { connect } from 'node:net';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { startDeadline } from './deadline.ts';
import { classifyNetworkError } from './network-error.ts';

/** What a port does with a connection. `refused`: the machine is there, and nobody listens. */
type Knock = 'open' | 'refused' | 'silent' | { unknown: string };

/** Connects and hangs up at once; nothing is sent. A name that does not resolve is unknown. */
export function knock(at: { address: string; port: number; ms: number }, context: CheckContext): Promise<Knock> {
  context.signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Knock>();
  const socket = connect({ host: at.address, port: at.port, noDelay: true });
  const finish = (result: Knock): void => {
    cancel();
    socket.destroy();
    resolve(result);
  };
  const cancel = startDeadline({ ms: at.ms, context }, (why) => {
    if (why === 'time') return finish('silent');
    socket.destroy();
    reject(context.signal.reason as Error);
  });
  socket.on('connect', () => finish('open'));
  socket.on('error', (error) => {
    const { cause, text } = classifyNetworkError(error);
    if (cause === 'refused' || cause === 'reset') finish('refused');
    else finish(cause === 'ours' || cause === 'dns' ? { unknown: text } : 'silent');
  });
  return promise;
}
