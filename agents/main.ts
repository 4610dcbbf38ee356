import { Command } from 'commander';
import { version } from './version.ts';

/** Each is loaded when it is asked for: `lares up` holds in memory only what runs. In the order of the help. */
const commands: Record<string, () => Promise<(program: Command) => void>> = {
  up: loadUp,
  sentinel: loadUp,
  triage: loadUp,
  remediation: loadUp,
  init: async () => (await import('./commands/init.ts')).addInit,
  demo: async () => (await import('./commands/demo.ts')).addDemo,
  doctor: async () => (await import('./commands/doctor.ts')).addDoctor,
  check: async () => (await import('./commands/check.ts')).addCheck,
  inventory: async () => (await import('./commands/inventory.ts')).addInventory,
  import: async () => (await import('./commands/import.ts')).addImport,
  plan: async () => (await import('./commands/plan.ts')).addPlan,
  run: async () => (await import('./commands/run.ts')).addRun,
  incidents: async () => (await import('./commands/incidents.ts')).addIncidents,
  digest: async () => (await import('./commands/digest.ts')).addDigest,
  audit: async () => (await import('./commands/audit.ts')).addAudit,
  pair: async () => (await import('./commands/pair.ts')).addPair,
  freeze: loadFreeze,
  unfreeze: loadFreeze,
  release: loadOrders,
  unblock: loadOrders,
  resolve: async () => (await import('./commands/resolve.ts')).addResolve,
  presets: async () => (await import('./commands/presets.ts')).addPresets,
  validate: async () => (await import('./commands/validate.ts')).addValidate,
};

async function loadUp(): Promise<(program: Command) => void> {
  return (await import('./commands/up.ts')).addUp;
}

async function loadFreeze(): Promise<(program: Command) => void> {
  return (await import('./commands/freeze.ts')).addFreeze;
}

async function loadOrders(): Promise<(program: Command) => void> {
  return (await import('./commands/orders.ts')).addOrders;
}

const exitStatuses = `
Exit status:
  0   well
  1   something is wrong in what was looked at
  2   the command line or the configuration cannot be used
  3   it could not be done: Lares or a host does not answer
  70  a bug

Each command has --help and --json. In a checkout "lares" is "npx lares".`;

const program = new Command('lares')
  .description('Watches a self-hosted fleet, explains what broke, asks before it fixes, and proves that it worked.')
  .version(version)
  .showHelpAfterError('"lares --help" and "lares <command> --help" say what there is.')
  .addHelpText('after', exitStatuses)
  // Commander's own refusals are usage errors: status 2 as for every other.
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

const argv = process.argv.slice(2);
// Without a command the whole crew runs: `npm start` is all that a newcomer types.
const wantsDefault =
  argv.length === 0 || (argv[0]?.startsWith('-') === true && !['-h', '--help', '-V', '--version'].includes(argv[0]));
const line = wantsDefault ? ['up', ...argv] : argv;
const [asked = ''] = line;
// The help, and what is no command, need all of them.
const wanted = Object.hasOwn(commands, asked) ? [commands[asked]] : Object.values(commands);
for (const load of new Set(wanted)) (await load?.())?.(program);
await program.parseAsync(line, { from: 'user' });
