import type { Command } from 'commander';
import { Failure } from '#bus/failure.ts';
import { type Preset, Presets } from '#config/preset.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';

/** `lares presets`: the products that one line of configuration watches, and what each must be told. */
export function addPresets(program: Command): void {
  addCommand(program, {
    name: 'presets',
    about: 'List the presets, or show the parameters and checks of one',
    arguments: [['[preset]', 'name of a preset']],
    run: (context) => Promise.resolve(show(context)),
  });
}

function show(context: CommandContext): number {
  const presets = new Presets(context.loaded.config.presets);
  const [name] = context.arguments;
  if (name === undefined) return list(presets, context);
  const preset = presets.get(name);
  if (typeof preset === 'string') throw new Failure(`Cannot show it: ${preset}`, { recoverable: false });
  if (context.json) context.printJson(preset);
  else for (const line of pageOf(preset)) context.print(line);
  return exitStatus.well;
}

function list(presets: Presets, context: CommandContext): number {
  const read = presets.names().map((name) => [name, presets.get(name)] as const);
  const broken = read.flatMap(([, preset]) => (typeof preset === 'string' ? [preset] : []));
  const whole = read.flatMap(([, preset]) => (typeof preset === 'string' ? [] : [preset]));
  if (context.json) {
    context.printJson({ presets: whole.map(({ preset, title, about }) => ({ preset, title, about })), broken });
  } else {
    const width = Math.max(...whole.map(({ preset }) => preset.length));
    for (const { preset, title } of whole) context.print(`${preset.padEnd(width)}  ${title}`);
    for (const fault of broken) context.print(`broken: ${fault}`);
  }
  return broken.length === 0 ? exitStatus.well : exitStatus.wrong;
}

function pageOf(preset: Preset): string[] {
  const parameters = Object.entries(preset.parameters).map(([name, { type, about, optional, default: usual }]) => {
    const more = usual === undefined ? (optional ? ', optional' : '') : `, default ${JSON.stringify(usual)}`;
    return `  ${name} (${type}${more}): ${about}`;
  });
  const checks = preset.checks.map(({ suffix, kind, needs, guardian }) => {
    const when = needs.length === 0 ? '' : `, with ${needs.join(' and ')}`;
    return `  <name>-${suffix}: ${kind}${when}${typeof guardian === 'string' ? `, guardian ${guardian}` : ''}`;
  });
  const given = Object.entries(preset.parameters).filter(
    ([, { optional, default: usual }]) => !optional && usual === undefined,
  );
  const use = [
    `preset: ${preset.preset}`,
    ...given.map(([name, { type }]) => `${name}: ${type === 'secret' ? '{ file: ... }' : '...'}`),
  ];
  return [
    `${preset.title}: ${preset.about}`,
    '',
    `Below a host or a service:  watch: [{ ${use.join(', ')} }]`,
    ...(parameters.length === 0 ? [] : ['', 'Parameters', ...parameters]),
    '',
    'Checks',
    ...checks,
  ];
}
