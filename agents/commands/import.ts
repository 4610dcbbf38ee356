import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { Failure } from '#bus/failure.ts';
import { acceptable, convert, type Format, formats } from '../import/convert.ts';
import type { Imported } from '../import/imported.ts';
import { secretLines, writeSecrets } from '../import/secret-files.ts';
import { yamlOfChecks } from '../import/write.ts';
import { readBounded } from '../sentinel/probes/bounded-file.ts';
import { counted } from '../sentinel/probes/text.ts';
import { loadKinds } from '../sentinel/registry.ts';
import { cut, visibleLine } from '../triage/render/visible.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';
import { refuseToReplace, writeNewFile } from './new-file.ts';

/** `lares import <format> <file>`: what another monitor watches, as checks; and what of it cannot be carried over. */
export function addImport(program: Command): void {
  addCommand(program, {
    name: 'import',
    about:
      'Print what another monitor watches as checks: a backup of Uptime Kuma, a Gatus configuration, alerting rules',
    arguments: [
      ['<format>', formats.join(', ')],
      ['<file>', 'file of the other monitor'],
    ],
    options: [
      [
        '--output <file>',
        'write the checks there, and the secrets that stood in the other file into secrets/ beside it',
      ],
      ['--force', 'replace the file of --output', false],
      ['--host <name>', 'host on which monitors of containers look'],
      ['--prometheus <url>', 'server that evaluates alerting rules; default: http://127.0.0.1:9090'],
    ],
    standsAlone: true,
    run,
  });
}

async function run(context: CommandContext): Promise<number> {
  const [format = '', file = ''] = context.arguments;
  const output = context.option('output');
  if (output !== undefined) refuseToReplace(resolve(output), context.flag('force'));
  const imported = await importFile(context, formatOf(format), file);
  if (output === undefined) print(context, imported);
  else write(context, imported, resolve(output));
  return imported.carried.length > 0 ? exitStatus.well : exitStatus.wrong;
}

function formatOf(text: string): Format {
  const format = formats.find((one) => one === text);
  if (format !== undefined) return format;
  throw new Failure(`Cannot import "${text}": known are ${formats.join(', ')}`, { recoverable: false });
}

/** What a foreign file holds that Lares can watch. Throws a Failure for a file that is something else. */
export async function importFile(context: CommandContext, format: Format, file: string): Promise<Imported> {
  const read = await readBounded(file, process.cwd());
  if (!read.ok) throw new Failure(`Cannot import: ${read.reason}`, { recoverable: false });
  const from = {
    format,
    text: read.text,
    file: resolve(file),
    host: context.option('host'),
    url: context.option('prometheus'),
  };
  const imported = convert(from);
  if (imported === undefined) throw new Failure(`Cannot import "${file}": ${expected[format]}`, { recoverable: false });
  return acceptable(imported, await loadKinds());
}

const expected: Record<Format, string> = {
  'uptime-kuma': 'it is no backup of Uptime Kuma: Settings, Backup, Export (version 1), or a list of monitors as JSON',
  gatus: 'it is no configuration of Gatus: no YAML with endpoints',
  'prometheus-rules': 'it is no rule file of Prometheus: no YAML with groups',
};

function print(context: CommandContext, imported: Imported): void {
  if (context.json) return context.printJson(facts(imported));
  process.stdout.write(yamlOfChecks(imported.carried));
  for (const line of remarks(imported)) process.stderr.write(`${line}\n`);
  for (const { file, about } of imported.secrets) {
    process.stderr.write(`put the ${visibleLine(about)} into ${file}, chmod 600\n`);
  }
}

function write(context: CommandContext, imported: Imported, output: string): void {
  writeNewFile(output, yamlOfChecks(imported.carried), context.flag('force'));
  const secrets = writeSecrets(imported.secrets, dirname(output));
  if (context.json)
    return context.printJson({ ...facts(imported), output, written: secrets.written, kept: secrets.kept });
  context.print(`Wrote ${output}: ${counted(imported.carried.length, 'check')}`);
  for (const line of [...secretLines(secrets), ...remarks(imported)]) context.print(line);
}

/** What of a foreign file is otherwise here, or not here at all. */
export function remarks({ left }: Imported): string[] {
  return left.map(({ entry, why }) => `not carried over: ${cut(visibleLine(entry), 100)}: ${visibleLine(why)}`);
}

function facts({ carried, left, secrets }: Imported): object {
  return { checks: carried, left, secrets: secrets.map(({ file, about }) => ({ file, about })) };
}
