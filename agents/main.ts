import { Command } from 'commander';
import { addAudit } from './commands/audit.ts';
import { addCheck } from './commands/check.ts';
import { addDemo } from './commands/demo.ts';
import { addDigest } from './commands/digest.ts';
import { addDoctor } from './commands/doctor.ts';
import { addFreeze } from './commands/freeze.ts';
import { addIncidents } from './commands/incidents.ts';
import { addPair } from './commands/pair.ts';
import { addPlan } from './commands/plan.ts';
import { addRun } from './commands/run.ts';
import { addUp } from './commands/up.ts';
import { addValidate } from './commands/validate.ts';
import { version } from './version.ts';

const exitStatuses = `
Exit status: 0 well; 1 something is wrong in what was looked at; 2 the command line or the configuration cannot be used;
3 it could not be done, Lares or a host does not answer; 70 a bug.`;

const program = new Command('lares')
  .description('Watches a self-hosted fleet, explains what broke, asks before it fixes, and proves that it worked.')
  .version(version)
  .showHelpAfterError()
  .addHelpText('after', exitStatuses)
  // Commander's own refusals are usage errors: status 2 as for every other.
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

for (const add of [
  addUp,
  addDemo,
  addDoctor,
  addCheck,
  addPlan,
  addRun,
  addIncidents,
  addDigest,
  addAudit,
  addPair,
  addFreeze,
  addValidate,
]) {
  add(program);
}

const argv = process.argv.slice(2);
// Without a command the whole crew runs: `npm start` is all that a newcomer types.
const wantsDefault =
  argv.length === 0 || (argv[0]?.startsWith('-') === true && !['-h', '--help', '-V', '--version'].includes(argv[0]));
await program.parseAsync(wantsDefault ? ['up', ...argv] : argv, { from: 'user' });
