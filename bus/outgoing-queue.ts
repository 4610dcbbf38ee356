import type { DurableDatabase, Row } from './durable-database.ts';
import type { BusLog } from './log.ts';
import { createPace } from './pace.ts';

/** A packet as aedes hands it over; only what is stored is named. */
export interface StoredPacket {
  cmd?: string;
  topic: string;
  payload: Buffer | string;
  qos?: number;
  retain?: boolean;
  dup?: boolean;
  messageId?: number | undefined;
  brokerId?: string;
  brokerCounter?: number;
  /** Of the packet as it came over the wire; means nothing afterwards. */
  length?: number;
}

export const outgoingSchema = `
  CREATE TABLE IF NOT EXISTS outgoing (
    sequence INTEGER PRIMARY KEY, client TEXT NOT NULL, broker TEXT NOT NULL, counter INTEGER NOT NULL,
    message_id INTEGER, cmd TEXT NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL, qos INTEGER NOT NULL,
    retain INTEGER NOT NULL, dup INTEGER NOT NULL, bytes INTEGER NOT NULL, UNIQUE (client, broker, counter)
  );
  CREATE INDEX IF NOT EXISTS outgoing_message ON outgoing (client, message_id);
`;

/** What one absent session may hold; beyond it the oldest messages go, because the newest describe the present. */
export const queueBounds = { messages: 10_000, bytes: 32 * 1_024 * 1_024 };
const page = 64;

/** The messages that wait for each session's acknowledgement, in their order. */
export class OutgoingQueue {
  readonly #database: DurableDatabase;
  readonly #log: BusLog;
  readonly #sizes = new Map<string, { messages: number; bytes: number }>();
  readonly #complaints = createPace(1);

  constructor(database: DurableDatabase, log: BusLog) {
    this.#database = database;
    this.#log = log;
    this.#count();
    database.onRollback(() => this.#count());
  }

  add(client: string, packet: StoredPacket): void {
    const bytes = Buffer.byteLength(packet.payload) + packet.topic.length;
    const sql = `INSERT OR IGNORE INTO outgoing
      (client, broker, counter, cmd, topic, payload, qos, retain, dup, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
    const { brokerId = '', brokerCounter = 0, cmd = 'publish', topic, payload, qos = 0 } = packet;
    const flags = [Number(packet.retain ?? false), Number(packet.dup ?? false)] as const;
    const added = this.#database.write(sql, client, brokerId, brokerCounter, cmd, topic, payload, qos, ...flags, bytes);
    if (added === 0) return;
    this.#resize(client, { messages: 1, bytes });
    this.#bound(client);
  }

  /** The message may have left a full queue meanwhile: that is no error of this connection. */
  update(client: string, packet: StoredPacket): void {
    const { brokerId, brokerCounter, messageId = null } = packet;
    if (brokerId !== undefined && brokerCounter !== undefined) {
      const sql = 'UPDATE outgoing SET message_id = ? WHERE client = ? AND broker = ? AND counter = ?';
      this.#database.write(sql, messageId, client, brokerId, brokerCounter);
    } else {
      const sql = 'UPDATE outgoing SET cmd = ? WHERE client = ? AND message_id = ?';
      this.#database.write(sql, packet.cmd ?? 'pubrel', client, messageId);
    }
  }

  /** Removes the message that was sent under this identifier and returns it. */
  remove(client: string, messageId: number | undefined): StoredPacket | undefined {
    if (messageId === undefined) return undefined;
    const sql = 'SELECT * FROM outgoing WHERE client = ? AND message_id = ? ORDER BY sequence LIMIT 1';
    const row = this.#database.get(sql, client, messageId);
    if (row === undefined) return undefined;
    this.#drop(client, row);
    return packetOf(row);
  }

  *of(client: string): Generator<StoredPacket> {
    const sql = 'SELECT * FROM outgoing WHERE client = ? AND sequence > ? ORDER BY sequence LIMIT ?';
    let last = 0;
    for (;;) {
      const rows = this.#database.all(sql, client, last, page);
      if (rows.length === 0) return;
      for (const row of rows) {
        last = Number(row['sequence']);
        yield packetOf(row);
      }
    }
  }

  /**
   * Packet identifiers belong to one connection. Kept from the last one, they would collide with those that the new
   * connection gives out, and an acknowledgement would remove another message than the one it is for.
   */
  forgetMessageIds(client: string): void {
    const sql = "UPDATE outgoing SET message_id = NULL WHERE client = ? AND message_id IS NOT NULL AND cmd = 'publish'";
    this.#database.write(sql, client);
  }

  #count(): void {
    this.#sizes.clear();
    const sql = 'SELECT client, count(*) AS messages, sum(bytes) AS bytes FROM outgoing GROUP BY client';
    for (const row of this.#database.all(sql)) {
      this.#sizes.set(String(row['client']), { messages: Number(row['messages']), bytes: Number(row['bytes']) });
    }
  }

  #bound(client: string): void {
    while (this.#isFull(client)) {
      const oldest = this.#database.get('SELECT * FROM outgoing WHERE client = ? ORDER BY sequence LIMIT 1', client);
      if (oldest === undefined) return;
      this.#drop(client, oldest);
      if (this.#complaints.admits()) this.#log.error({ client }, 'A queue is full; its oldest messages are dropped');
    }
  }

  #isFull(client: string): boolean {
    const { messages, bytes } = this.#sizes.get(client) ?? { messages: 0, bytes: 0 };
    return messages > queueBounds.messages || bytes > queueBounds.bytes;
  }

  #drop(client: string, row: Row): void {
    this.#database.write('DELETE FROM outgoing WHERE sequence = ?', Number(row['sequence']));
    this.#resize(client, { messages: -1, bytes: -Number(row['bytes']) });
  }

  #resize(client: string, by: { messages: number; bytes: number }): void {
    const size = this.#sizes.get(client) ?? { messages: 0, bytes: 0 };
    size.messages += by.messages;
    size.bytes += by.bytes;
    this.#sizes.set(client, size);
  }
}

function packetOf(row: Row): StoredPacket {
  const messageId = row['message_id'] === null ? undefined : Number(row['message_id']);
  // A release has lost everything but its identifier, as MQTT 3.1.1, 4.3.3 has it.
  if (row['cmd'] !== 'publish') return { cmd: String(row['cmd']), messageId } as StoredPacket;
  return {
    cmd: 'publish',
    brokerId: String(row['broker']),
    brokerCounter: Number(row['counter']),
    topic: String(row['topic']),
    payload: payloadOf(row),
    qos: Number(row['qos']),
    retain: row['retain'] === 1,
    dup: row['dup'] === 1,
    messageId,
  };
}

/** Text stays text and bytes stay bytes. */
export function payloadOf(row: Row): Buffer | string {
  const payload = row['payload'];
  return payload instanceof Uint8Array ? Buffer.from(payload) : String(payload);
}
