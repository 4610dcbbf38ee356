import { z } from 'zod';
import { sudoersArguments } from '#agents/runtime/sudoers.ts';

/** Whether a kind asks as root. Only read-only commands whose every argument is fixed go this way. */
export function sudoOption(commands: readonly string[]) {
  const allowed = commands.map((command) => `\`${sudoersArguments(command) ?? ''}\``).join(', ');
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
