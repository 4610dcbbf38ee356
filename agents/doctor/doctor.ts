import type { CommandContext } from '../commands/command.ts';
import type { Finding } from './finding.ts';
import { examineCrew } from './crew.ts';
import { examineHosts } from './hosts.ts';
import { examineDiscovery } from './discovery.ts';
import { examineIntakes } from './intakes.ts';
import { examineModels } from './models.ts';
import { examineState } from './state.ts';
import { examineTelegram } from './telegram.ts';

/** Looks at everything that Lares needs, one after the other; each look has its own time limit and changes nothing. */
export async function* examine(context: CommandContext): AsyncGenerator<Finding> {
  yield* examineState(context);
  yield* examineCrew(context);
  yield* examineHosts(context);
  yield* examineDiscovery(context);
  yield* examineIntakes(context);
  yield* examineTelegram(context);
  yield* examineModels(context);
}
