import { join } from 'node:path';
import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import { distrustIn, distrustText } from '../runtime/trust.ts';
import { stateFolders } from '../state-folder.ts';
import type { CommandContext } from './command.ts';
import { ask } from './console.ts';
import { consoleSigner } from './person.ts';

/** Throws a Failure with the command that mends it when the worker would drop what the console signs. */
export async function mustBeBelieved(bus: Bus, context: CommandContext): Promise<void> {
  const { keyId } = consoleSigner(context);
  const file = join(stateFolders(context.loaded).keys, 'console.pub');
  const answer = await ask(bus, context, { verb: 'signers', data: {} }).catch((error: unknown) => {
    if (!(error instanceof Failure) || !error.recoverable) throw error;
    throw new Failure('Cannot run: remediation does not answer', { recoverable: true, cause: error });
  });
  const distrust = distrustIn(answer, { name: 'console', keyId, file });
  if (distrust !== undefined) throw new Failure(`Cannot run: ${distrustText(distrust)}`, { recoverable: false });
}
