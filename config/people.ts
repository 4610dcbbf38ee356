import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '#bus/failure.ts';
import { makeFolder } from '#bus/make-folder.ts';
import type { Config } from './schema.ts';

/** What a person may do; an approver may also operate and read, an operator may also read. */
export const Role = z.enum(['reader', 'operator', 'approver']);
export type Role = z.output<typeof Role>;

/** Who may do what: the lists of the configuration and those who paired. An empty list means nobody. */
export interface People {
  /** `id` is `telegram:<numeric id>` or `terminal:<user name>`. Throws a Failure when the pairing file is damaged. */
  may(id: string, role: Role): boolean;
  /** Ids with at least this role. */
  withRole(role: Role): readonly string[];
  /** Adds somebody who paired; written to `<state>/people.json` at once. Called by the console only. */
  add(person: { id: string; name: string; role: Role }): void;
}

const rank: Record<Role, number> = { reader: 0, operator: 1, approver: 2 };

const Person = z.strictObject({
  id: z.string().regex(/^telegram:[1-9]\d{0,18}$/, 'must be telegram:<numeric id>'),
  name: z.string().max(200),
  role: Role,
});
type Person = z.output<typeof Person>;
const PeopleFile = z.strictObject({ people: z.array(Person).max(1_000) });

const othersMayWrite = 0o022;
const maximumBytes = 1_000_000;

/** People of the configuration and of `<stateFolder>/people.json`, which is read again whenever it changed. */
export function openPeople(config: Pick<Config, 'people'>, stateFolder: string): People {
  const file = join(stateFolder, 'people.json');
  const configured = configuredRoles(config);
  let known: { version: string; people: Person[] } = { version: '', people: [] };

  function paired(): Person[] {
    const version = versionOf(file);
    if (version !== known.version) known = { version, people: version === '' ? [] : readPeople(file) };
    return known.people;
  }

  /** The highest role that any of the places gives. */
  function roles(): Map<string, Role> {
    const found = new Map(configured);
    for (const { id, role } of paired()) {
      const before = found.get(id);
      if (before === undefined || rank[role] > rank[before]) found.set(id, role);
    }
    return found;
  }

  paired();
  return {
    may(id, role) {
      // Whoever holds the terminal of the process could edit its files; approving still can be switched off.
      if (/^terminal:./.test(id)) return role !== 'approver' || config.people.terminal;
      const has = roles().get(id);
      return has !== undefined && rank[has] >= rank[role];
    },
    withRole: (role) => [...roles()].filter(([, has]) => rank[has] >= rank[role]).map(([id]) => id),
    add(person) {
      const parsed = Person.safeParse(person);
      if (!parsed.success) {
        throw new Failure(`Cannot add a person: ${z.prettifyError(parsed.error)}`, { recoverable: false });
      }
      const others = paired().filter(({ id }) => id !== person.id);
      makeFolder(stateFolder);
      writeAtomically(file, `${JSON.stringify({ people: [...others, parsed.data] }, undefined, 2)}\n`);
    },
  };
}

function configuredRoles({ people }: Pick<Config, 'people'>): Map<string, Role> {
  const lists = [
    ['reader', people.readers],
    ['operator', people.operators],
    ['approver', people.approvers],
  ] as const;
  // Later lists hold the higher role and win.
  return new Map(lists.flatMap(([role, ids]) => ids.map((id): [string, Role] => [`telegram:${id}`, role])));
}

/** Changes whenever the file does; empty when there is none. */
function versionOf(file: string): string {
  const found = statSync(file, { throwIfNoEntry: false, bigint: true });
  return found === undefined ? '' : `${found.ino}:${found.size}:${found.mtimeNs}:${found.mode}`;
}

function readPeople(file: string): Person[] {
  const found = statSync(file);
  const refuse = (reason: string, cause?: unknown): Failure =>
    new Failure(`Cannot tell who may do what: "${file}" ${reason}`, { recoverable: false, cause });
  if ((found.mode & othersMayWrite) !== 0) throw refuse('may be written by others; run chmod 600 on it');
  if (found.size > maximumBytes) throw refuse(`has ${found.size} bytes, more than ${maximumBytes}`);
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw refuse('is not JSON; mend it, or remove it and pair again', error);
  }
  const parsed = PeopleFile.safeParse(value);
  if (!parsed.success) throw refuse(`is damaged: ${z.prettifyError(parsed.error).slice(0, 500)}`);
  return parsed.data.people;
}

/** All of the new text or all of the old one, whenever the power goes. */
function writeAtomically(file: string, text: string): void {
  const next = `${file}.${process.pid}.new`;
  try {
    writeFileSync(next, text, { mode: 0o600, flush: true });
    renameSync(next, file);
  } catch (error) {
    rmSync(next, { force: true });
    throw new Failure(`Cannot write "${file}"`, { recoverable: true, cause: error });
  }
}
