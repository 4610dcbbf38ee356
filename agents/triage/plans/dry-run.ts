import { z } from 'zod';
import type { Asking } from '../asking.ts';
import type { Desk } from '../desk.ts';
import { sendText } from '../present.ts';

const Command = z.object({ host: z.string(), command: z.string() });
/** What the worker answers. */
const DryRun = z.object({
  wouldRun: z.boolean(),
  reason: z.string().optional(),
  probes: z.array(z.object({ host: z.string(), states: z.string(), holds: z.enum(['yes', 'no', 'unknown']) })),
  commands: z.array(Command),
});

const dryRunMs = 120_000;

/** The worker looks with the plan's own probes and says what would happen; the answer goes where it was asked for. */
export function dryRun({ asking, desk }: { asking: Asking; desk: Desk }, plan: string, channel: string): void {
  const late = 'Cannot dry run: the worker did not answer in time';
  asking.ask({ verb: 'dry-run', data: { plan }, ms: dryRunMs, late }, (reply) => {
    sendText(desk, reply.ok ? dryRunText(reply.data) : reply.failure.message, channel);
  });
}

function dryRunText(answer: Record<string, unknown>): string {
  const parsed = DryRun.safeParse(answer);
  if (!parsed.success) return 'Cannot read what the worker answered to the dry run';
  const { wouldRun, reason, probes, commands } = parsed.data;
  return [
    wouldRun ? 'Dry run: this would run now' : `Dry run: nothing would run: ${reason ?? 'a guard refuses'}`,
    ...probes.map(({ host, states, holds }) => `${holds}: ${host}: ${states}`),
    ...commands.map(({ host, command }) => `${host}$ ${command}`),
  ].join('\n');
}
