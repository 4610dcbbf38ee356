import { z } from 'zod';

/** As sudoers wants a command: these four characters mean something in its arguments. */
function sudoersText(command: string): string {
  return command.replaceAll(/[,:=\\]/g, (character) => `\\${character}`);
}

/**
 * Whether a kind asks as root. Only read-only commands whose every argument is fixed go this way. In sudoers a wildcard also
 * matches blanks, and so any further argument; a backslash does not stand for itself.
 */
export function sudoOption(commands: readonly string[]) {
  const open = commands.find((command) => /[*?[\]\\]/.test(command));
  if (open !== undefined) throw new TypeError(`Cannot offer "${open}" for sudoers: it has a wildcard or a backslash`);
  const allowed = commands.map((command) => `\`${sudoersText(command)}\``).join(', ');
  return z
    .boolean()
    .default(false)
    .describe(`Whether to ask through \`sudo -n\`; sudoers then allows the read login exactly: ${allowed}.`);
}

/** Part of a script whose first argument is `sudoValue`: `as_root COMMAND`, which gets 8 seconds. */
export const asRootHead = String.raw`
sudo=$1; shift
as_root() { if [ "$sudo" = yes ]; then limit 8 sudo -n "$@"; else limit 8 "$@"; fi; }
`;

export function sudoValue(sudo: boolean): string {
  return sudo ? 'yes' : 'no';
}

/** What a person does about something that only root may read. */
export function rootHint(what: string): string {
  return `only root may read ${what}: set "sudo: true" and allow the read login the commands that the kind names for it in agents/sentinel/checks/README.md`;
}

/** Whether a command was refused for want of rights, by itself or by sudo. */
export function isRefused(text: string): boolean {
  return /permission denied|operation not permitted|(?:must|need to) be root|non-root user|a password is required|not allowed to execute|not in the sudoers|root privileges|superuser/i.test(
    text,
  );
}
