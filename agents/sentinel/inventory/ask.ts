import { messageOf } from '#bus/failure.ts';
import type { BoundSource } from './registry.ts';
import type { Discovered, DiscoveryContext } from './source.ts';

/** Asks one source within its time. Contract: throws only the signal's reason; whatever else goes wrong is silence. */
export async function ask(source: BoundSource, around: Omit<DiscoveryContext, 'timeoutMs'>): Promise<Discovered> {
  const ending = new AbortController();
  const timeoutMs = source.config.timeout;
  const cancel = around.clock.after(timeoutMs, () => ending.abort());
  const signal = AbortSignal.any([around.signal, ending.signal]);
  try {
    return await source.definition.discover(source.options, { ...around, signal, timeoutMs });
  } catch (error) {
    around.signal.throwIfAborted();
    if (ending.signal.aborted) return { is: 'silent', reason: `no answer within ${timeoutMs / 1_000}s` };
    // What a foreign answer makes of a parser must not end the sentinel.
    return { is: 'silent', reason: `it could not be read: ${messageOf(error).slice(0, 200)}` };
  } finally {
    cancel();
  }
}
