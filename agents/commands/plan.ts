import type { Command } from 'commander';
import type { Plan } from '#bus/messages/plan.ts';
import type { Proposal } from '#bus/messages/proposal.ts';
import { formatDuration } from '#config/duration.ts';
import { openCatalogue } from '../crew.ts';
import type { BoundCheck } from '../sentinel/registry.ts';
import { visibleLine } from '../triage/render/visible.ts';
import { bindLoaded } from './checks-of.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';
import { withConsole } from './console.ts';
import { hintsFor } from './plan-hint.ts';
import { printPlan, proposalOf, requestPlan } from './planning.ts';

/** `lares plan`: what this configuration would do; `lares plan <playbook>`: the exact commands, without running them. */
export function addPlan(program: Command): void {
  addCommand(program, {
    name: 'plan',
    about: 'Say what would be watched, asked and sent; with a playbook, print the exact commands it would run',
    arguments: [['[playbook]', 'identity of a playbook']],
    options: planningOptions,
    run: (context) => (context.arguments[0] === undefined ? describeConfig(context) : renderPlan(context)),
  });
}

export const planningOptions = [
  ['--host <name>', 'host of the inventory; may be repeated', [] as string[]],
  ['-p, --parameter <name=value>', 'parameter of the playbook; may be repeated', [] as string[]],
] as const satisfies readonly (readonly [string, string, (string | string[] | boolean)?])[];

async function renderPlan(context: CommandContext): Promise<number> {
  const asked = proposalOf(context);
  const plan = await withConsole(context, (bus) => requestPlan(bus, context, asked));
  if (context.json) context.printJson(plan);
  else await showPlan(context, plan, asked);
  return plan.status === 'pending' ? exitStatus.well : exitStatus.wrong;
}

/** With what to type instead, when what was typed cannot be planned. */
export async function showPlan(context: CommandContext, plan: Plan, asked: Proposal): Promise<void> {
  printPlan(context, plan);
  const hints = hintsFor(plan, asked, await openCatalogue(context.loaded));
  for (const hint of hints) context.print(`  ${visibleLine(hint)}`);
}

async function describeConfig(context: CommandContext): Promise<number> {
  const { config } = context.loaded;
  const checks = await bindLoaded(context.loaded);
  const playbooks = (await openCatalogue(context.loaded)).all();
  if (context.json) {
    context.printJson({
      watch: checks.map((check) => ({
        id: check.id,
        kind: check.kind,
        host: check.host?.name ?? null,
        everyMs: check.intervalMs,
        cron: check.config.cron ?? null,
        guardian: check.config.guardian ?? null,
      })),
      ask: config.llm.providers.map((provider) => ({
        name: provider.name,
        kind: provider.kind,
        model: provider.model,
      })),
      send: channelsOf(context),
      run: playbooks.map((playbook) => ({ id: playbook.id, risk: playbook.risk })),
    });
    return exitStatus.well;
  }
  context.print('Watched:');
  for (const check of checks.filter(({ kind }) => kind !== 'guardian')) context.print(`  ${watchedLine(check)}`);
  const guardians = checks.flatMap(({ kind, id }) => (kind === 'guardian' ? [id] : []));
  if (guardians.length > 0) context.print(`Guardians that tell when they cannot look: ${guardians.join(', ')}`);
  const providers = config.llm.providers.map((provider) => `${provider.name} (${provider.model})`);
  context.print(
    `Asked: ${providers.length === 0 ? 'rules only, no model' : `${providers.join(', then ')}; at most ${config.llm.monthlyCapEuro} euro a month`}`,
  );
  context.print(
    `Sent to: ${channelsOf(context).join(', ') || 'nobody'}; digest at ${config.digest.at} ${config.digest.timezone}`,
  );
  context.print(
    `May be run, after approval: ${playbooks.map((playbook) => `${playbook.id} (${playbook.risk})`).join(', ')}`,
  );
  return exitStatus.well;
}

function channelsOf(context: CommandContext): string[] {
  const { config } = context.loaded;
  return [...(config.telegram ? ['telegram'] : []), ...(config.terminal ? ['terminal'] : [])];
}

/** `web-updates (apt-updates on web) at 45 5 * * * UTC, guardian patch-compliance`. */
function watchedLine({ id, kind, host, intervalMs, config }: BoundCheck): string {
  const { cron, timezone, guardian } = config;
  const when = cron === undefined ? `every ${formatDuration(intervalMs)}` : `at ${cron} ${timezone ?? 'UTC'}`;
  return `${id} (${kind}${host === undefined ? '' : ` on ${host.name}`}) ${when}${guardian === undefined ? '' : `, guardian ${guardian}`}`;
}
