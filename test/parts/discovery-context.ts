import { systemClock } from '#agents/runtime/clock.ts';
import { localRunner } from '#agents/runtime/local-command.ts';
import type { Discovered, DiscoveryContext, SourceDefinition, Thing } from '#agents/sentinel/inventory/source.ts';
import { ConfigSchema } from '#config/schema.ts';

/** A context on this machine with real time; a test replaces what it is about. */
export function discoveryContext(replaced: Partial<DiscoveryContext> = {}): DiscoveryContext {
  return {
    clock: systemClock,
    signal: new AbortController().signal,
    timeoutMs: 5_000,
    baseFolder: '.',
    hosts: ConfigSchema.parse({ hosts: { here: { via: 'local' } } }).hosts,
    probes: { runnerFor: () => localRunner },
    ...replaced,
  };
}

/** Asks a source with options as a person writes them. */
export function discover(
  source: SourceDefinition,
  options: object,
  replaced: Partial<DiscoveryContext> = {},
): Promise<Discovered> {
  return source.discover(source.options.strict().parse(options), discoveryContext(replaced));
}

/** The things of an answer; a silent source fails the test with its reason. */
export function thingsOf(answer: Discovered): readonly Thing[] {
  if (answer.is === 'silent') throw new Error(`The source said nothing: ${answer.reason}`);
  return answer.things;
}
