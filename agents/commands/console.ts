import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import { reachBroker } from '../bus-access.ts';
import { createLog } from '../runtime/log.ts';
import { stateFolders } from '../state-folder.ts';
import type { CommandContext } from './command.ts';

/** How long a question to a running Lares may take. */
export const answerMs = 15_000;

/** Connects to the running Lares as the console, does the work and disconnects. Throws a Failure when nothing runs. */
export async function withConsole<T>(context: CommandContext, work: (bus: Bus) => Promise<T>): Promise<T> {
  // Whether it answers is said in words at the end; each attempt to connect is news only for whoever asked for it.
  const log = context.option('logLevel') === undefined ? createLog({ level: 'error', name: 'lares' }) : context.log;
  const access = reachBroker(context.loaded, stateFolders(context.loaded), log);
  const bus = access.connect('console');
  try {
    await bus.ready(AbortSignal.any([context.signal, AbortSignal.timeout(5_000)])).catch((error: unknown) => {
      throw new Failure(`Cannot reach Lares at "${access.url}": it does not answer; is "lares up" running?`, {
        recoverable: true,
        cause: error,
      });
    });
    return await work(bus);
  } finally {
    await bus.close();
    await access.close();
  }
}

/** One question to the agent that serves the verb, with the usual patience. */
export function ask(
  bus: Bus,
  context: CommandContext,
  question: { verb: string; data: Record<string, unknown> },
): Promise<Record<string, unknown>> {
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(answerMs)]);
  return bus.request(question.verb, question.data, signal);
}
