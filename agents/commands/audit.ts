import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import type { Command } from 'commander';
import { Failure, messageOf } from '#bus/failure.ts';
import { anchorsOf, type JournalRows, verifyJournal } from '#bus/journal.ts';
import { loadSecret } from '#bus/keys.ts';
import { everyone } from '../crew.ts';
import { stateFolders } from '../state-folder.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';

/** `lares audit verify`: reads the journals of all agents, also while they run, and names the first row that is wrong. */
export function addAudit(program: Command): void {
  addCommand(program, {
    name: 'audit',
    about: 'Verify the journals: find an edited, moved, deleted or truncated row and name it',
    arguments: [['<action>', '"verify"']],
    run: audit,
  });
}

async function audit(context: CommandContext): Promise<number> {
  if (context.arguments[0] !== 'verify') {
    throw new Failure('Cannot audit: the only action is "verify"', { recoverable: false });
  }
  const folders = stateFolders(context.loaded);
  const files = everyone
    .map((agent) => ({ agent, file: join(folders.of(agent), `${agent}.db`) }))
    .filter(({ file }) => existsSync(file));
  if (files.length === 0) {
    throw new Failure(`Cannot audit: there is no journal in "${folders.root}"`, { recoverable: false });
  }
  const key = loadSecret(folders.keys, 'journal');
  const journals = files.map(({ agent, file }) => ({ agent, rows: openRows(file) }));
  const anchors = journals.flatMap(({ rows }) => anchorsOf(rows));
  const results = journals.map(({ agent, rows }) => ({
    agent,
    ...verifyJournal(
      rows,
      key,
      anchors.filter((anchor) => anchor.agent === agent),
    ),
  }));
  if (context.json) context.printJson({ journals: results });
  else for (const result of results) context.print(describe(result));
  return results.every((result) => result.ok) ? exitStatus.well : exitStatus.wrong;
}

function describe(result: { agent: string } & ReturnType<typeof verifyJournal>): string {
  if (result.ok) return `${result.agent}: ${result.entries} entries, chain whole`;
  // With another key no row is right, and the first is the one that is named.
  const key =
    result.fault === 'edited' && result.sequence === 1
      ? ', or keys/journal.secret is not the one it was written with'
      : '';
  return `${result.agent}: row ${result.sequence} is ${result.fault}${key}`;
}

/** The journal's tables, read-only: verifying changes nothing, not even the write-ahead log. */
function openRows(file: string): JournalRows {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5_000 });
  try {
    database.prepare('SELECT 1 FROM journal').get();
  } catch (error) {
    // The log of a database is shared through a file beside it, also by who only reads.
    const hint = 'SQLite must be able to write beside it; verify a copy of the state folder where that can be';
    throw new Failure(`Cannot read the journal in "${file}": ${messageOf(error)}. ${hint}`, {
      recoverable: false,
      cause: error,
    });
  }
  return {
    run: () => {
      throw new Failure('Cannot write: the journal is open for reading', { recoverable: false });
    },
    get: (sql: string, ...values: SQLInputValue[]) => database.prepare(sql).get(...values),
    all: (sql: string, ...values: SQLInputValue[]) => database.prepare(sql).all(...values),
  };
}
