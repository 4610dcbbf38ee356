import type { StepKind } from './step.ts';
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
