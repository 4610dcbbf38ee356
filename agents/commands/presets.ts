import type { Command } from 'commander';
import { Failure } from '#bus/failure.ts';
import { type Preset, Presets } from '#config/preset.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';

/** `lares presets`: the products that one line of configuration watches, and what each must be told. */
export function addPresets(program: Command): void {
  addCommand(program, {
    name: 'presets',
    about: 'List the presets, or those about a word, or show the parameters and checks of one',
    arguments: [['[preset]', 'name of a preset, or a word such as dns, backup or photos']],
    run: (context) => Promise.resolve(show(context)),
  });
}

function show(context: CommandContext): number {
  const presets = new Presets(context.loaded.config.presets);
  const [name] = context.arguments;
  const all = readAll(presets);
  if (name === undefined) return list(context, all);
  const preset = presets.get(name);
  if (typeof preset !== 'string') return page(context, preset);
  // A broken preset has a name too: why it is broken comes before what else has the word.
  const about = presets.names().includes(name) ? [] : all.whole.filter((one) => isAbout(one, name));
  if (about.length === 0) throw new Failure(`Cannot show it: ${preset}`, { recoverable: false });
  return list(context, { whole: about, broken: [] });
}

interface Read {
  whole: Preset[];
  /** Why each of the others cannot be read. */
  broken: string[];
}

function readAll(presets: Presets): Read {
  const read = presets.names().map((name) => presets.get(name));
  return {
    whole: read.filter((preset) => typeof preset !== 'string'),
    broken: read.filter((preset) => typeof preset === 'string'),
  };
}

function isAbout({ preset, title, about }: Preset, word: string): boolean {
  return `${preset} ${title} ${about}`.toLowerCase().includes(word.toLowerCase());
}

function list(context: CommandContext, { whole, broken }: Read): number {
  if (context.json) {
    context.printJson({ presets: whole.map(({ preset, title, about }) => ({ preset, title, about })), broken });
  } else {
    const width = Math.max(...whole.map(({ preset }) => preset.length));
    for (const { preset, title } of whole) context.print(`${preset.padEnd(width)}  ${title}`);
    for (const fault of broken) context.print(`broken: ${fault}`);
    context.print('"lares presets <name>" shows what one must be told; "lares presets <word>" finds those about it.');
  }
  return broken.length === 0 ? exitStatus.well : exitStatus.wrong;
}

function page(context: CommandContext, preset: Preset): number {
  if (context.json) context.printJson(preset);
  else for (const line of pageOf(preset)) context.print(line);
  return exitStatus.well;
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
