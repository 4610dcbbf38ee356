import type { LoadedConfig } from '#config/load.ts';
import { checkParameters, parametersFrom } from '#playbooks/parameters.ts';
import type { Playbook } from '#playbooks/playbook.ts';
import { bindLoaded } from '../commands/checks-of.ts';
import { openCatalogue } from '../crew.ts';
import { type Target, plainCommand, renderBody } from '../remediation/commands.ts';
import type { CommandRunner } from '../runtime/command.ts';
import { sudoersRuleOn } from '../runtime/sudoers.ts';
import type { BoundCheck } from '../sentinel/registry.ts';
import type { Finding } from './finding.ts';

const lookMs = 10_000;
/** A shell's exit status. */
const commandNotFound = 127;
/** More are no answer but a file: the guide has it. */
const maximumRules = 12;
const guide = 'playbooks/README.md, "Sudo"';

interface SudoLogin {
  subject: string;
  host: string;
  user: string;
  runner: CommandRunner;
  loaded: LoadedConfig;
  signal: AbortSignal;
}

/**
 * Whether a login that acts may use sudo. sudo lists what it allows without a password as soon as that is anything; it
 * never says so of one command safely. Where it allows nothing, the lines for what is watched there by name are told.
 */
export async function examineSudo(login: SudoLogin): Promise<Finding> {
  const { subject, user, runner, signal } = login;
  const end = await runner.run(['sudo', '-n', '-l'], { timeoutMs: lookMs, signal });
  if (end.end === 'exited' && end.code === 0) return { subject, ok: true, text: `${user} can log in and use sudo` };
  const isMissing = end.end === 'exited' && end.code === commandNotFound;
  if (isMissing) {
    const mend = `install sudo there, then allow the commands of the playbooks you want: ${guide}`;
    return { subject, ok: false, text: `${user} can log in, but sudo is not installed there`, mend };
  }
  const text = `${user} can log in, but sudo allows it nothing without a password`;
  const rules = await rulesFor(login);
  const lines = rules.length === 0 ? '' : `, such as, with "visudo -f /etc/sudoers.d/lares":\n${rules.join('\n')}`;
  return { subject, ok: false, text, mend: `allow the commands of the playbooks you want (${guide})${lines}` };
}

/** The lines of sudoers for the playbooks that fit the units and containers that the checks of a host name. */
async function rulesFor({ host, user, runner, loaded, signal }: SudoLogin): Promise<string[]> {
  const checks = (await bindLoaded(loaded)).filter((check) => check.host?.name === host);
  const playbooks = (await openCatalogue(loaded)).all();
  const target: Target = {
    planned: { host, transport: 'ssh', address: '', port: 0, user, hostKeys: [] },
    sudo: true,
  };
  const named = checks.flatMap(namedBy);
  const commands = playbooks.flatMap((playbook) => named.flatMap((labels) => commandsOf(playbook, labels, target)));
  const unique = new Map(commands.map((argv) => [JSON.stringify(argv), argv]));
  const rules = await Promise.all(
    [...unique.values()].slice(0, maximumRules).map((argv) => sudoersRuleOn(runner, { login: user, argv, signal })),
  );
  return rules.filter((rule) => rule !== undefined);
}

/** The labels that findings of a check will have, as far as its configuration says them. */
function namedBy({ config, options }: BoundCheck): Record<string, string>[] {
  const lists = (['unit', 'container'] as const).flatMap((label) => {
    const names: unknown = options[`${label}s`];
    return Array.isArray(names) ? names.map((name) => ({ [label]: String(name) })) : [];
  });
  return [config.labels, ...lists];
}

function commandsOf(
  playbook: Playbook,
  labels: Readonly<Record<string, string>>,
  target: Target,
): (readonly string[])[] {
  const said = parametersFrom(playbook, labels);
  const isAbout = Object.values(playbook.parameters).some(
    ({ from }) => from !== undefined && Object.hasOwn(labels, from),
  );
  const checked = checkParameters(playbook, said.parameters);
  if (!isAbout || !checked.ok) return [];
  const { preconditions, condition, steps, verification, rollback } = renderBody({
    plan: 'plan-doctor',
    // What it looks at before it runs differs by finding: all of it may come.
    playbook: { ...playbook, condition: playbook.condition.map(({ of: _of, ...look }) => look) },
    playbookDigest: '0'.repeat(64),
    parameters: checked.parameters,
    targets: [target],
    alertnames: [],
    protectedUnits: [],
  });
  return [...preconditions, ...condition, ...steps, ...verification, ...rollback]
    .filter(({ sudo }) => sudo)
    .map(plainCommand);
}
