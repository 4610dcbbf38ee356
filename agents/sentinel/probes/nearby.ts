import { connect, isIP } from 'node:net';
import type { Evidence } from '#bus/messages/finding.ts';
import { localRunner } from '#agents/runtime/local-command.ts';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { startDeadline } from './deadline.ts';
import { classifyNetworkError } from './network-error.ts';
import { ping, resolveFirst } from './ping.ts';
import { evidenceOf, oneLine } from './text.ts';

/** Ports on which most machines either answer or refuse at once. */
const usualPorts = [22, 80, 443];
const waitMs = 1_500;

/**
 * What else answers at an address: an echo, the usual ports, and what the neighbour table says of it. Tells a dead machine
 * from a dead service and from a filter. Bounded to about 2 seconds.
 */
export async function lookNearby(
  name: string,
  context: CheckContext,
  ports: readonly number[] = [],
): Promise<Evidence[]> {
  const first = await resolveFirst(name, undefined);
  if (!('address' in first) || context.signal.aborted) return [];
  const { address } = first;
  const wanted = [...new Set([...ports, ...usualPorts])].slice(0, 5);
  const lines = await Promise.all([
    echoOf(address, context),
    ...wanted.map(async (port) => `port ${port}: ${await stateOfPort(address, port, context)}`),
    neighbourOf(address, context),
  ]);
  return evidenceOf('state', `What else answers at ${address}`, lines);
}

/** What a port says by itself in a second and a half, or how it refuses. */
function stateOfPort(address: string, port: number, context: CheckContext): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect({ host: address, port, noDelay: true });
  let isOpen = false;
  const finish = (text: string): void => {
    cancel();
    socket.destroy();
    resolve(text);
  };
  const cancel = startDeadline({ ms: waitMs, context }, () =>
    finish(isOpen ? 'open, says nothing by itself' : 'no answer'),
  );
  socket.on('connect', () => (isOpen = true));
  socket.on('data', (chunk: Buffer) => finish(`open, says "${oneLine(chunk.toString('latin1'), 80)}"`));
  socket.on('end', () => finish('open, hangs up at once'));
  socket.on('error', (error) => finish(isOpen ? 'open, resets the connection' : classifyNetworkError(error).text));
  return promise;
}

async function echoOf(address: string, { signal }: CheckContext): Promise<string> {
  const plan = { address, count: 1, sizeBytes: 56, replyWithinMs: 1_000 };
  const end = await ping(plan, { runner: localRunner, signal, timeoutMs: waitMs + 1_000 });
  if (end.is !== 'counted') return `ping: ${end.reason}`;
  if (end.received > 0) return `ping: answers${end.averageMs === undefined ? '' : ` in ${end.averageMs} ms`}`;
  return `ping: no answer${end.said === undefined ? '' : ` (${end.said})`}`;
}

/** `FAILED` in the neighbour table: on this network nobody has the address; cable, power or a wrong address. */
async function neighbourOf(address: string, { signal }: CheckContext): Promise<string> {
  if (isIP(address) === 0) return '';
  const end = await localRunner.run(['ip', '-o', 'neigh', 'show', 'to', address], { signal, timeoutMs: waitMs });
  const text = end.end === 'exited' && end.code === 0 ? oneLine(end.output.stdout, 120) : '';
  return text === '' ? '' : `neighbour table: ${text}`;
}
