import { Failure } from '#bus/failure.ts';
import type { StepUse } from './playbook.ts';
import type { CommandTemplate, StepKind } from './step.ts';
import { step as aptClean } from './steps/apt-clean.ts';
import { step as deleteOldFiles } from './steps/delete-old-files.ts';
import { step as dockerRestart } from './steps/docker-restart.ts';
import { step as journalVacuum } from './steps/journal-vacuum.ts';
import { step as nginxReload } from './steps/nginx-reload.ts';
import { step as systemdResetAndStart } from './steps/systemd-reset-and-start.ts';
import { step as systemdRestart } from './steps/systemd-restart.ts';
import { step as waitFor } from './steps/wait-for.ts';

/** Every file of `playbooks/steps/`, by kind. A test reads the folder and fails when one is missing here. */
export const stepKinds: ReadonlyMap<string, StepKind> = new Map(
  [
    aptClean,
    deleteOldFiles,
    dockerRestart,
    journalVacuum,
    nginxReload,
    systemdResetAndStart,
    systemdRestart,
    waitFor,
  ].map((step) => [step.kind, step]),
);

/** The commands of one step. Throws a Failure for a kind that does not exist or options that it does not take. */
export function commandsOf(step: StepUse): readonly CommandTemplate[] {
  if (!('use' in step)) {
    return [{ argv: step.argv, sudo: step.sudo, timeoutMs: step.timeout, success: step.success }];
  }
  const kind = stepKinds.get(step.use);
  if (kind === undefined) {
    throw new Failure(`Cannot use step kind "${step.use}": there are ${[...stepKinds.keys()].join(', ')}`, {
      recoverable: false,
    });
  }
  const rendered = kind.render(step.with);
  if (rendered.ok) return rendered.commands;
  const [issue] = rendered.error.issues;
  throw new Failure(`Cannot use step kind "${step.use}": ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`, {
    recoverable: false,
  });
}
