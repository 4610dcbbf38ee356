import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Evidence } from '#bus/messages/finding.ts';
import { classifyNetworkError } from './network-error.ts';
import { evidenceOf } from './text.ts';

/** What a name resolves to on this machine now: half of all "it is down" begins there. */
export async function resolveAddresses(name: string, signal: AbortSignal): Promise<Evidence[]> {
  if (isIP(name) !== 0 || signal.aborted) return [];
  const found = await lookup(name, { all: true }).then(
    (addresses) => addresses.map(({ address }) => address),
    (error: unknown) => [classifyNetworkError(error).text],
  );
  return evidenceOf('state', `${name} resolves to`, found);
}
