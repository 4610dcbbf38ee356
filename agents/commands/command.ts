import { type Command, Option } from 'commander';
import { Failure, messageOf } from '#bus/failure.ts';
import { ConfigFailure, formatFaults } from '#config/fault.ts';
import { findConfig, type LoadedConfig } from '#config/load.ts';
import { createLog, type Log } from '../runtime/log.ts';
import { loadWithKinds } from './checks-of.ts';

/** What a shell can tell from the exit status of any command. */
export const exitStatus = {
  /** Done, and what was looked at is well. */
  well: 0,
  /** Done, and something is wrong: a check, a run, the journal. */
  wrong: 1,
  /** The command line or the configuration cannot be used. */
  usage: 2,
  /** It could not be done: Lares does not run, a host or a broker does not answer. */
  unable: 3,
  /** A bug in Lares (EX_SOFTWARE of sysexits.h). */
  bug: 70,
  /** Ended by Ctrl-C, as a shell says it. */
  interrupted: 130,
} as const;

export interface CommandContext {
  loaded: LoadedConfig;
  log: Log;
  /** Print one JSON document, or JSON lines for a command that goes on. */
  json: boolean;
  arguments: readonly string[];
  option(name: string): string | undefined;
  options(name: string): readonly string[];
  flag(name: string): boolean;
  /** Aborts on Ctrl-C, on SIGTERM and on SIGHUP. */
  signal: AbortSignal;
  print(text: string): void;
  printJson(value: unknown): void;
}

interface CommandSpec {
  name: string;
  about: string;
  /** In commander's syntax, with what each is: `[['[id]', 'identity of an incident']]`. */
  arguments?: readonly (readonly [string, string])[];
  options?: readonly (readonly [string, string, (string | string[] | boolean)?])[];
  /** It needs no configuration, and works beside a faulty one: `loaded` is what fits this machine. */
  standsAlone?: boolean;
  run(context: CommandContext): Promise<number>;
}

/** Adds a command with the options that all have. The process ends with the status that `run` returns. */
export function addCommand(program: Command, spec: CommandSpec): void {
  const command = program.command(spec.name).description(spec.about);
  for (const [syntax, about] of spec.arguments ?? []) command.argument(syntax, about);
  for (const [flags, about, preset] of spec.options ?? []) {
    // "(default: [])" and "(default: false)" tell nobody anything: what was not given reads as none and as no.
    if (Array.isArray(preset)) command.option(flags, about, collect);
    else command.option(flags, about, preset === false ? undefined : preset);
  }
  command.option(
    '-c, --config <file>',
    'configuration file; default: $LARES_CONFIG, ./lares.yaml, /etc/lares/lares.yaml',
  );
  command.option('--json', 'print JSON');
  const levels = ['debug', 'info', 'warn', 'error'];
  command.addOption(new Option('--log-level <level>', 'default from the configuration').choices(levels));
  command.action(async () => {
    const status = await runCommand(spec, command);
    // Set already where the answer could not be printed.
    process.exitCode ??= status;
  });
}

function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}

async function runCommand(spec: CommandSpec, command: Command): Promise<number> {
  const values: Record<string, unknown> = command.opts();
  const json = values['json'] === true;
  const signal = endingSignal();
  process.stdout.on('error', unprintable);
  try {
    const named = typeof values['config'] === 'string' ? values['config'] : findConfig();
    const loaded = await loadWithKinds(spec.standsAlone === true ? undefined : named);
    const level = typeof values['logLevel'] === 'string' ? values['logLevel'] : loaded.config.logLevel;
    return await spec.run({
      loaded,
      log: createLog({ level, name: 'lares' }),
      json,
      arguments: command.args,
      option: (name) => (typeof values[name] === 'string' ? values[name] : undefined),
      options: (name) => (Array.isArray(values[name]) ? values[name].map(String) : []),
      flag: (name) => values[name] === true,
      signal,
      print: (text) => void process.stdout.write(`${text}\n`),
      printJson: (value) => void process.stdout.write(`${JSON.stringify(value)}\n`),
    });
  } catch (error) {
    return isInterruption(error, signal) ? exitStatus.interrupted : explain(error, json);
  }
}

/** `lares doctor | head` closes the pipe early, which is no fault; a full disk below a file is one. */
function unprintable(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') return;
  process.stderr.write(`Cannot print: ${error.message}\n`);
  process.exitCode = exitStatus.unable;
}

/** What a wait throws that Ctrl-C ended: the reason of the signal, or Node's word for it. */
function isInterruption(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (error === signal.reason || (error instanceof Error && error.name === 'AbortError'));
}

/** The one place where a command's failure becomes words and a status. */
function explain(error: unknown, json: boolean): number {
  if (error instanceof ConfigFailure) {
    if (json) process.stdout.write(`${JSON.stringify({ error: error.message, faults: error.faults })}\n`);
    else process.stderr.write(`${formatFaults(error)}\n`);
    return exitStatus.usage;
  }
  if (error instanceof Failure) {
    if (json) process.stdout.write(`${JSON.stringify({ error: error.message })}\n`);
    else process.stderr.write(`${error.message}\n`);
    return error.recoverable ? exitStatus.unable : exitStatus.usage;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
  process.stderr.write(`This is a bug in Lares:\n${text}\n`);
  return exitStatus.bug;
}

/** Aborts on the first Ctrl-C, on SIGTERM and when the terminal is closed; the second Ctrl-C ends the process at once, as a shell would (130). */
function endingSignal(): AbortSignal {
  const ending = new AbortController();
  const end = (): void => {
    if (ending.signal.aborted) process.exit(exitStatus.interrupted);
    ending.abort();
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  process.on('SIGHUP', end);
  return ending.signal;
}
