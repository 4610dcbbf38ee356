import type { CommandRunner } from './command.ts';

/** Where sudo looks for a program: `secure_path` of Debian, then NixOS. */
const folders =
  '/usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin /run/wrappers/bin /run/current-system/sw/bin';
const find = `for d in ${folders}; do if [ -f "$d/$1" ] && [ -x "$d/$1" ]; then echo "$d/$1"; exit; fi; done; exit 1`;
const lookMs = 10_000;

/**
 * The line of sudoers(5) that lets a login run exactly this as root without a password, and nothing else; undefined where
 * no such line can be written. sudo compares the arguments joined by blanks, so it cannot tell `a b` from `a` and `b`.
 */
export function sudoersRule(login: string, argv: readonly string[]): string | undefined {
  const [program = '', ...rest] = argv;
  // A name in capitals would be an alias.
  if (!/^(?=.*[a-z])[A-Za-z_][A-Za-z0-9_.-]*$/.test(login)) return undefined;
  if (!/^\/[A-Za-z0-9_.+/-]*[A-Za-z0-9_.+-]$/.test(program)) return undefined;
  // `""` stands for no argument: a program alone could be given any.
  const given = rest.length === 0 ? '""' : sudoersArguments(rest.join(' '));
  return given === undefined ? undefined : `${login} ALL=(root) NOPASSWD: ${program} ${given}`;
}

/**
 * Arguments as they stand in sudoers. A backslash goes before what ends a command or a list there, before wildcards, before
 * blanks that would become one, and before the `^` that begins a regular expression (sudo 1.9.10). A backslash is read
 * twice, as the file and as a pattern. A line feed and a blank at the end cannot be written.
 */
export function sudoersArguments(joined: string): string | undefined {
  if (joined === '' || /[^\P{Cc}\t]|[ \t]$/u.test(joined)) return undefined;
  return joined
    .replaceAll('\\', String.raw`\\\\`)
    .replaceAll(/[,:=#*?[\]]/g, String.raw`\$&`)
    .replace(/^\^/, String.raw`\^`)
    .replaceAll(/\t|^ +| {2,}/g, (blanks) => blanks.replaceAll(/[ \t]/g, String.raw`\$&`));
}

/** The line for a command as a plan has it, without a path: the host is asked where the program is. */
export async function sudoersRuleOn(
  runner: CommandRunner,
  of: { login: string; argv: readonly string[]; signal: AbortSignal },
): Promise<string | undefined> {
  const [program = '', ...rest] = of.argv;
  if (program.startsWith('/')) return sudoersRule(of.login, of.argv);
  if (program === '' || program.includes('/')) return undefined;
  const end = await runner.run(['sh', '-c', find, 'lares', program], { timeoutMs: lookMs, signal: of.signal });
  if (end.end !== 'exited' || end.code !== 0) return undefined;
  return sudoersRule(of.login, [end.output.stdout.trim(), ...rest]);
}
