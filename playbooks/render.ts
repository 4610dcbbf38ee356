import { Failure } from '#bus/failure.ts';
import type { Parameters } from '#bus/fields.ts';

/** `{name}`, but not inside `{{...}}`. */
const placeholder = /(?<!\{)\{([a-z][a-z0-9-]*)\}(?!\})/g;
const shells = new Set(['sh', 'bash', 'dash', 'ash', 'ksh', 'zsh']);

/** Names of the parameters that a template uses. */
export function namesIn(template: string): string[] {
  return [...template.matchAll(placeholder)].map((match) => match[1] ?? '');
}

/**
 * What is wrong with an argv template, or nothing. A value must stay one argument, must not choose the program, and
 * must not become the script of a shell.
 */
export function faultsOfArgv(argv: readonly string[], known: (name: string) => boolean): string[] {
  return argv.flatMap((argument, index) => {
    const names = namesIn(argument);
    const faults = names.filter((name) => !known(name)).map((name) => `"{${name}}" is not a parameter`);
    if (names.length > 1) faults.push(`"${argument}" holds more than one parameter`);
    if (names.length > 0 && index === 0) faults.push('the program must not be a parameter');
    if (names.length > 0 && isScript(argv, index))
      faults.push(`"${argument}" is a script: pass the value as "$1" instead`);
    return faults;
  });
}

/** Whether the argument at `index` is what a shell takes as its program text. */
function isScript(argv: readonly string[], index: number): boolean {
  const before = argv.slice(0, index);
  const shell = before.findLastIndex((argument) => shells.has(argument.split('/').at(-1) ?? ''));
  if (shell === -1) return before.includes('eval');
  const options = before.slice(shell + 1);
  return (
    options.length > 0 &&
    options.every((option) => option.startsWith('-')) &&
    options.some((option) => /^-\w*c/.test(option))
  );
}

/**
 * Puts the values into an argv template. Pure. Throws a Failure for a value that is missing, would be read as an
 * option, or cannot be an argument: the last line of defence behind the checks of each type.
 */
export function renderArgv(argv: readonly string[], parameters: Parameters): string[] {
  return argv.map((template) => template.replaceAll(placeholder, (_, name: string) => valueOf(parameters, name)));
}

function valueOf(parameters: Parameters, name: string): string {
  const value = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
  if (value === undefined) throw new Failure(`Cannot render: parameter "${name}" has no value`, { recoverable: false });
  const text = String(value);
  if (text === '' || text.startsWith('-') || /\p{Cc}/u.test(text)) {
    throw new Failure(
      `Cannot render: the value of "${name}" is empty, looks like an option or has control characters`,
      {
        recoverable: false,
      },
    );
  }
  return text;
}

/** Puts the values into words for a person: titles and states. An unknown name stays as it is. */
export function renderText(template: string, parameters: Parameters): string {
  return template.replaceAll(placeholder, (whole, name: string) =>
    Object.hasOwn(parameters, name) ? String(parameters[name]) : whole,
  );
}
