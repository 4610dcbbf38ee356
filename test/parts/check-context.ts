import { systemClock } from '#agents/runtime/clock.ts';
import type { CommandEnd, CommandRunner } from '#agents/runtime/command.ts';
import { localRunner } from '#agents/runtime/local-command.ts';
import type { CheckContext, CheckMemory } from '#agents/sentinel/check.ts';
import { ConfigSchema } from '#config/schema.ts';

/** Memory as the sentinel keeps it: what is not JSON does not survive. */
function checkMemory(): CheckMemory {
  const values = new Map<string, string>();
  return {
    get: (key) => {
      const text = values.get(key);
      return text === undefined ? undefined : (JSON.parse(text) as unknown);
    },
    set: (key, value) => void values.set(key, JSON.stringify(value)),
  };
}

/** A context on this machine with real time; a test replaces what it is about. */
export function checkContext(replaced: Partial<CheckContext> = {}): CheckContext {
  const config = ConfigSchema.parse({ hosts: { here: { via: 'local' } } }).hosts['here'];
  if (config === undefined) throw new Error('the host of the context is missing');
  return {
    host: { name: 'here', config },
    probe: localRunner,
    clock: systemClock,
    baseFolder: '.',
    timeoutMs: 60_000,
    signal: new AbortController().signal,
    lasting: new AbortController().signal,
    memory: checkMemory(),
    others: () => undefined,
    pings: { last: () => undefined, knownSince: () => 0 },
    ...replaced,
  };
}

/** A host that answers each command with this text. */
export function answering(stdout: string, of: { code?: number; stderr?: string } = {}): CommandRunner {
  return ending({ end: 'exited', code: of.code ?? 0, output: { stdout, stderr: of.stderr ?? '', truncated: false } });
}

/** A host whose commands all end like this. */
export function ending(end: CommandEnd): CommandRunner {
  return { run: () => Promise.resolve(end) };
}

/** A host that accepts a command and never says anything more. */
export const silentHost: CommandRunner = {
  run: (_argv, { signal, timeoutMs }) => {
    const { promise, resolve, reject } = Promise.withResolvers<CommandEnd>();
    const output = { stdout: '', stderr: '', truncated: false };
    const cancel = systemClock.after(timeoutMs, () => resolve({ end: 'timed-out', afterMs: timeoutMs, output }));
    signal.addEventListener('abort', () => {
      cancel();
      reject(signal.reason as Error);
    });
    return promise;
  },
};
