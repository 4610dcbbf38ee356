import type { Role } from '#config/people.ts';

interface CommandEntry {
  /** Who may use it. */
  role: Role;
  /** What is written behind its name. */
  usage?: string;
  about: string;
}

/** What a person may ask: /help prints it, Telegram shows it as its menu, the terminal knows its words from it. */
export const commandList = {
  status: { role: 'reader', about: 'how everything is' },
  incidents: { role: 'reader', usage: '[id]', about: 'what is open, or one incident whole' },
  ack: { role: 'operator', usage: '<id>', about: 'somebody is on it, no reminders' },
  snooze: { role: 'operator', usage: '<id> [2h]', about: 'quiet for a while' },
  resolve: { role: 'operator', usage: '<id>', about: 'what other programs reported is over' },
  freeze: { role: 'operator', usage: '[reason]', about: 'stop all remediation now' },
  unfreeze: { role: 'approver', about: 'allow remediation again' },
  run: { role: 'approver', usage: '<playbook> <host> [name=value ...]', about: 'ask for a plan' },
  plan: { role: 'reader', usage: '[id]', about: 'plans that wait, or one with its commands' },
  digest: { role: 'reader', about: 'the digest now' },
  cost: { role: 'reader', about: 'what the models cost this month' },
  who: { role: 'reader', about: 'who may do what' },
  help: { role: 'reader', about: 'this' },
} as const satisfies Record<string, CommandEntry>;

export type CommandName = keyof typeof commandList;

export const commandEntries: readonly (readonly [string, CommandEntry])[] = Object.entries(commandList);

export function isCommandName(word: string): word is CommandName {
  return Object.hasOwn(commandList, word);
}

/** `<id> [2h]: quiet for a while`. */
export function describeCommand({ usage, about }: CommandEntry): string {
  return usage === undefined ? about : `${usage}: ${about}`;
}
