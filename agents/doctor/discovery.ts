import type { CommandContext } from '../commands/command.ts';
import { toldInventory } from '../commands/inventory.ts';
import { counted } from '../sentinel/probes/text.ts';
import type { Finding } from './finding.ts';

/** Whether those who know the fleet answer the running sentinel; where nothing runs, that is said already. */
export async function* examineDiscovery(context: CommandContext): AsyncGenerator<Finding> {
  if (context.loaded.config.discovery.length === 0) return;
  const picture = await toldInventory(context);
  for (const { source, answeredAt, trouble, nodes } of picture?.sources ?? []) {
    const subject = `source ${source}`;
    const answered = answeredAt && `${counted(nodes, 'node')}, last answer ${answeredAt}`;
    const text = [trouble, answered ?? 'it did not answer yet'].filter((part) => part !== undefined).join('; ');
    if (trouble === undefined && answered !== undefined) yield { subject, ok: true, text };
    else yield { subject, ok: false, text, mend: 'lares inventory --now' };
  }
}
