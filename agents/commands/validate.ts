import type { Command } from 'commander';
import { ConfigFailure, formatFaults } from '#config/fault.ts';
import { openCatalogue } from '../crew.ts';
import { counted } from '../sentinel/probes/text.ts';
import { bindLoaded } from './checks-of.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';

/** `lares validate`: every fault of the configuration, the checks and the playbooks, or none. */
export function addValidate(program: Command): void {
  addCommand(program, {
    name: 'validate',
    about: 'Check the configuration; list every fault with file, line and path',
    run: validate,
  });
}

async function validate(context: CommandContext): Promise<number> {
  const checks = await bindLoaded(context.loaded);
  const catalogue = await openCatalogue(context.loaded);
  if (catalogue.faults.length > 0) {
    throw new ConfigFailure(catalogue.faults.map((fault) => ({ ...fault, column: 1, path: [] })));
  }
  const { config, file } = context.loaded;
  const facts = {
    file: file ?? null,
    hosts: Object.keys(config.hosts).length,
    checks: checks.length,
    playbooks: catalogue.all().length,
    warnings: context.loaded.warnings,
  };
  if (context.json) context.printJson({ ok: true, ...facts });
  else {
    for (const warning of context.loaded.warnings) context.print(`warning: ${formatFaults({ faults: [warning] })}`);
    context.print(
      `${file ?? 'built-in defaults'}: ok, ${counted(facts.hosts, 'host')}, ${counted(facts.checks, 'check')}, ${counted(facts.playbooks, 'playbook')}`,
    );
  }
  return exitStatus.well;
}
