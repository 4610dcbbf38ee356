import { toInstant } from '#agents/runtime/clock.ts';
import type { Store } from '#agents/runtime/store.ts';
import type { DigestMessage } from '#bus/messages/digest.ts';

/** The digest of each night. The newest is the one that was made last: a clock that was ahead made one of a later day. */
export interface DigestRows {
  save(digest: DigestMessage): void;
  newest(): DigestMessage | undefined;
}

export function digestRows(rows: Store): DigestRows {
  return {
    save({ day, at, text }) {
      rows.run('INSERT OR REPLACE INTO digests (day, at, text) VALUES (?,?,?)', day, Date.parse(at), text);
    },
    newest() {
      const row = rows.get('SELECT day, at, text FROM digests ORDER BY rowid DESC LIMIT 1');
      if (row === undefined) return undefined;
      return { kind: 'nightly', day: String(row['day']), text: String(row['text']), at: toInstant(Number(row['at'])) };
    },
  };
}
