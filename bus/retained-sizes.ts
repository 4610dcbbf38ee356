import type { DurableDatabase } from './durable-database.ts';

interface Size {
  messages: number;
  bytes: number;
}

/** What may be retained of one kind of message; a fleet of a hundred machines needs a hundredth. */
export const retainedBounds: Size = { messages: 10_000, bytes: 128 * 1_024 * 1_024 };

/** How much is retained of each kind: who floods one has not filled the disk, and the other kinds go on. */
export class RetainedSizes {
  readonly #database: DurableDatabase;
  readonly #sizes = new Map<string, Size>();

  constructor(database: DurableDatabase) {
    this.#database = database;
    this.#count();
    database.onRollback(() => this.#count());
  }

  hasRoomFor(topic: string, bytes: number): boolean {
    const { messages, bytes: held } = this.#sizes.get(kindOf(topic)) ?? nothing;
    if (messages < retainedBounds.messages && held + bytes <= retainedBounds.bytes) return true;
    const before = this.#bytesAt(topic);
    return before !== undefined && (bytes <= before || held - before + bytes <= retainedBounds.bytes);
  }

  /** To be called before the change; no bytes: it is cleared. */
  change(topic: string, bytes: number): void {
    const kind = kindOf(topic);
    const { messages, bytes: held } = this.#sizes.get(kind) ?? nothing;
    const before = this.#bytesAt(topic);
    this.#sizes.set(kind, {
      messages: messages + Number(bytes > 0) - Number(before !== undefined),
      bytes: held + bytes - (before ?? 0),
    });
  }

  #bytesAt(topic: string): number | undefined {
    const row = this.#database.get(
      'SELECT length(CAST(payload AS BLOB)) AS bytes FROM retained WHERE topic = ?',
      topic,
    );
    return row === undefined ? undefined : Number(row['bytes']);
  }

  #count(): void {
    this.#sizes.clear();
    for (const row of this.#database.all('SELECT topic, length(CAST(payload AS BLOB)) AS bytes FROM retained')) {
      const kind = kindOf(String(row['topic']));
      const { messages, bytes } = this.#sizes.get(kind) ?? nothing;
      this.#sizes.set(kind, { messages: messages + 1, bytes: bytes + Number(row['bytes']) });
    }
  }
}

const nothing: Size = { messages: 0, bytes: 0 };

/** `lares/<site>/<kind>`, with all that is below. */
function kindOf(topic: string): string {
  return topic.split('/', 3).join('/');
}
