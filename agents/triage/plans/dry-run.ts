import { z } from 'zod';
import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { Desk } from '../desk.ts';
import { oneMessage, sendText } from '../present.ts';
import { within } from '../within.ts';

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
export async function dryRun(
  { bus, desk, clock }: { bus: Bus; desk: Desk; clock: Clock },
  plan: string,
  channel: string,
): Promise<void> {
  const limit = { clock, ms: dryRunMs, late: 'Cannot dry run: the worker did not answer in time' };
  let text: string;
  try {
    text = dryRunText(await within(limit, (signal) => bus.request('dry-run', { plan }, signal)));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    text = error.message;
  }
  desk.transact(() => sendText(desk, oneMessage(text), channel));
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
