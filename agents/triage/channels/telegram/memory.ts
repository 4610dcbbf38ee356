import { join } from 'node:path';
import { openStore } from '#agents/runtime/store.ts';

/** Which updates were handled and where chats moved, kept over restarts. */
export interface Memory {
  /** What to ask Telegram for; undefined means everything it still has. */
  offset(now: number): number | undefined;
  has(update: number): boolean;
  /** Also for one that was handled before: it moves to the end, so that Telegram is told to forget it. */
  add(update: number, now: number): void;
  /** The id a chat has now: a group that became a supergroup changed it. */
  chat(id: number): number;
  moved(from: number, to: number): void;
  close(): void;
}

const migrations = [
  `CREATE TABLE handled (position INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL UNIQUE, at INTEGER NOT NULL);
   CREATE TABLE moved (source INTEGER PRIMARY KEY, target INTEGER NOT NULL);`,
];

/** More than Telegram sends in ten full answers. */
const remembered = 1_000;

/** After a week without updates Telegram goes on with a random number, https://core.telegram.org/bots/api#update. */
const numberingLastsMs = 6 * 24 * 3_600_000;

export function openMemory(stateFolder: string): Memory {
  const store = openStore({ path: join(stateFolder, 'telegram.db'), migrations });
  /** Handled, but the disk did not take the note. */
  const unwritten = new Set<number>();
  return {
    offset(now) {
      const last = store.get('SELECT id, at FROM handled ORDER BY position DESC LIMIT 1');
      if (last === undefined || now - Number(last['at']) > numberingLastsMs) return undefined;
      return Number(last['id']) + 1;
    },
    has: (update) => unwritten.has(update) || store.get('SELECT 1 FROM handled WHERE id = ?', update) !== undefined,
    add(update, now) {
      unwritten.add(update);
      store.transaction(() => {
        store.run('INSERT OR REPLACE INTO handled (id, at) VALUES (?, ?)', update, now);
        store.run('DELETE FROM handled WHERE position <= (SELECT MAX(position) FROM handled) - ?', remembered);
      });
      unwritten.delete(update);
    },
    chat(id) {
      const row = store.get('SELECT target FROM moved WHERE source = ?', id);
      return row === undefined ? id : Number(row['target']);
    },
    moved: (from, to) => void store.run('INSERT OR REPLACE INTO moved (source, target) VALUES (?, ?)', from, to),
    close: () => store.close(),
  };
}
