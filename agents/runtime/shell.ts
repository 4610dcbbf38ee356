/**
 * The one place where a value becomes part of a shell command line: wrapped in single quotes, each single quote written
 * as '\''. POSIX sh takes every byte between single quotes as itself (IEEE 1003.1 XCU 2.2.2); NUL cannot be passed to a
 * process at all and is refused.
 */
export function quote(argument: string): string {
  if (argument.includes('\0')) throw new TypeError('Cannot quote an argument with a NUL character');
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(argument)) return argument;
  return `'${argument.replaceAll("'", String.raw`'\''`)}'`;
}

/** An argv as one command line, for `ssh` and for showing to a person: both see the same bytes. */
export function commandLineOf(argv: readonly string[]): string {
  return argv.map(quote).join(' ');
}
