import { Readable } from 'node:stream';
import { DurableDatabase, type Row } from './durable-database.ts';
import type { BusLog } from './log.ts';
import { OutgoingQueue, outgoingSchema, payloadOf, type StoredPacket } from './outgoing-queue.ts';
import { RetainedSizes } from './retained-sizes.ts';
import { type Match, type Subscription, SubscriptionTable, topicMatches } from './subscriptions.ts';

interface Session {
  id: string;
}

interface BrokerIdentity {
  id: string;
  counter: number;
}

const schema = `
  CREATE TABLE IF NOT EXISTS retained (topic TEXT PRIMARY KEY, payload BLOB NOT NULL, fields TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS subscription (
    client TEXT NOT NULL, topic TEXT NOT NULL, fields TEXT NOT NULL, PRIMARY KEY (client, topic)
  );
  CREATE TABLE IF NOT EXISTS incoming (
    client TEXT NOT NULL, message_id INTEGER NOT NULL, payload BLOB NOT NULL, fields TEXT NOT NULL,
    PRIMARY KEY (client, message_id)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS will (client TEXT PRIMARY KEY, payload BLOB NOT NULL, fields TEXT NOT NULL) WITHOUT ROWID;
`;

/** Packets accepted and not yet handed back by aedes; more can only be left over from broken connections. */
const maximumAccepted = 10_000;

/**
 * Everything aedes must remember, in one SQLite file. Every change is visible at once, so that no order of events
 * depends on the disk; `accept` alone waits for it. Checked by the conformance suite of `aedes-persistence`.
 */
export class SqlitePersistence {
  readonly #database: DurableDatabase;
  readonly #queue: OutgoingQueue;
  readonly #retained: RetainedSizes;
  readonly #subscriptions = new SubscriptionTable();
  /** By counter: the clients whose queues hold the packet already. */
  readonly #accepted = new Map<number, Set<string>>();
  #broker: BrokerIdentity = { id: '', counter: 0 };
  #destroyed = false;

  constructor(file: string, log: BusLog) {
    this.#database = new DurableDatabase(file, { schema: schema + outgoingSchema, log });
    this.#queue = new OutgoingQueue(this.#database, log);
    this.#retained = new RetainedSizes(this.#database);
    for (const row of this.#database.all('SELECT client, fields FROM subscription ORDER BY rowid')) {
      this.#subscriptions.add(String(row['client']), JSON.parse(String(row['fields'])) as Subscription);
    }
  }

  /** aedes demands an async function. */
  async setup(broker: BrokerIdentity): Promise<void> {
    this.#broker = broker;
  }

  /** The conformance suite reads it. */
  get broker(): BrokerIdentity {
    return this.#broker;
  }

  /** Whether a message may be retained there beside what is. */
  hasRoomFor(topic: string, bytes: number): boolean {
    return this.#retained.hasRoomFor(topic, bytes);
  }

  /** Whether a session is kept for this client, or there is room for one more beside those that are. */
  hasRoomForSession(clientId: string, most: number): boolean {
    return this.#subscriptions.has(clientId) || this.#subscriptions.clients < most;
  }

  /**
   * Stores a packet for everybody who must get it and calls back when it is on the disk. aedes stores it once more
   * afterwards, under the same counter, which then changes nothing.
   */
  accept(packet: StoredPacket, done: (error?: Error | null) => void): void {
    const clients = new Set<string>();
    try {
      this.#broker.counter += 1;
      packet.brokerId = this.#broker.id;
      packet.brokerCounter = this.#broker.counter;
      if (packet.retain === true) this.#retain(packet);
      for (const { clientId } of this.#subscriptions.matching(packet.topic)) {
        this.#queue.add(clientId, packet);
        clients.add(clientId);
      }
    } catch (error) {
      return done(error instanceof Error ? error : new Error(String(error)));
    }
    this.#accepted.set(this.#broker.counter, clients);
    const [oldest] = this.#accepted.keys();
    if (this.#accepted.size > maximumAccepted && oldest !== undefined) this.#accepted.delete(oldest);
    this.#database.whenDurable(done);
  }

  async storeRetained(packet: StoredPacket): Promise<void> {
    if (!this.#accepted.has(packet.brokerCounter ?? 0)) this.#retain(packet);
  }

  createRetainedStream(pattern: string): Readable {
    return this.createRetainedStreamCombi([pattern]);
  }

  createRetainedStreamCombi(patterns: string[]): Readable {
    return Readable.from(this.#retainedMatching(patterns));
  }

  async addSubscriptions(client: Session, subscriptions: Subscription[]): Promise<void> {
    for (const { topic, qos, rh, rap, nl, subscriptionIdentifier } of subscriptions) {
      const identifier = subscriptionIdentifier === undefined ? {} : { subscriptionIdentifier };
      const kept: Subscription = { topic, qos, rh, rap, nl, ...identifier };
      this.#subscriptions.add(client.id, kept);
      const sql = 'REPLACE INTO subscription (client, topic, fields) VALUES (?, ?, ?)';
      this.#database.write(sql, client.id, topic, JSON.stringify(kept));
    }
    await this.#durable();
  }

  async removeSubscriptions(client: Session, topics: string[]): Promise<void> {
    for (const topic of topics) {
      this.#subscriptions.remove(client.id, topic);
      this.#database.write('DELETE FROM subscription WHERE client = ? AND topic = ?', client.id, topic);
    }
  }

  async subscriptionsByClient(client: Session): Promise<Subscription[]> {
    return this.#subscriptions.of(client.id);
  }

  async countOffline(): Promise<{ subsCount: number; clientsCount: number }> {
    return this.#subscriptions.count();
  }

  async subscriptionsByTopic(topic: string): Promise<Match[]> {
    return this.#subscriptions.matching(topic);
  }

  async cleanSubscriptions(client: Session): Promise<void> {
    this.#subscriptions.removeAll(client.id);
    this.#database.write('DELETE FROM subscription WHERE client = ?', client.id);
  }

  getClientList(topic: string): Readable {
    return Readable.from(this.#subscriptions.clientsOf(topic));
  }

  async outgoingEnqueue(subscription: { clientId: string }, packet: StoredPacket): Promise<void> {
    this.#queue.add(subscription.clientId, packet);
  }

  async outgoingEnqueueCombi(subscriptions: { clientId: string }[], packet: StoredPacket): Promise<void> {
    const counter = packet.brokerCounter ?? 0;
    // Not asked of the queue: who is quick has the message acknowledged and removed by now.
    const already = this.#accepted.get(counter);
    this.#accepted.delete(counter);
    for (const { clientId } of subscriptions) if (already?.has(clientId) !== true) this.#queue.add(clientId, packet);
  }

  async outgoingUpdate(client: Session, packet: StoredPacket): Promise<void> {
    this.#queue.update(client.id, packet);
  }

  async outgoingClearMessageId(client: Session, packet: StoredPacket): Promise<StoredPacket | undefined> {
    return this.#queue.remove(client.id, packet.messageId);
  }

  outgoingStream(client: Session): Readable {
    return Readable.from(this.#queue.of(client.id));
  }

  /** To be called when a client connects. */
  forgetMessageIds(clientId: string): void {
    this.#queue.forgetMessageIds(clientId);
  }

  async incomingStorePacket(client: Session, packet: StoredPacket): Promise<void> {
    const sql = 'REPLACE INTO incoming (client, message_id, payload, fields) VALUES (?, ?, ?, ?)';
    this.#database.write(sql, client.id, packet.messageId ?? 0, packet.payload, fieldsOf(packet));
  }

  async incomingGetPacket(client: Session, packet: { messageId: number }): Promise<StoredPacket> {
    const sql = 'SELECT payload, fields FROM incoming WHERE client = ? AND message_id = ?';
    const row = this.#database.get(sql, client.id, packet.messageId);
    if (row === undefined) throw new Error('no such packet');
    return packetOf(row);
  }

  async incomingDelPacket(client: Session, packet: { messageId: number }): Promise<void> {
    const sql = 'DELETE FROM incoming WHERE client = ? AND message_id = ?';
    if (this.#database.write(sql, client.id, packet.messageId) === 0) throw new Error('no such packet');
  }

  async cleanIncoming(client: Session): Promise<void> {
    this.#database.write('DELETE FROM incoming WHERE client = ?', client.id);
  }

  /** aedes expects the packet itself to be marked. */
  async putWill(client: Session, packet: StoredPacket & { clientId?: string }): Promise<void> {
    packet.brokerId = this.#broker.id;
    packet.clientId = client.id;
    const sql = 'REPLACE INTO will (client, payload, fields) VALUES (?, ?, ?)';
    this.#database.write(sql, client.id, packet.payload, fieldsOf(packet));
    await this.#durable();
  }

  async getWill(client: Session): Promise<StoredPacket | undefined> {
    const row = this.#database.get('SELECT payload, fields FROM will WHERE client = ?', client.id);
    return row === undefined ? undefined : packetOf(row);
  }

  async delWill(client: Session): Promise<StoredPacket | undefined> {
    const will = await this.getWill(client);
    if (will !== undefined) this.#database.write('DELETE FROM will WHERE client = ?', client.id);
    return will;
  }

  streamWill(brokers: Record<string, unknown> = {}): Readable {
    const wills = this.wills().map(({ will }) => will);
    return Readable.from(wills.filter(({ brokerId = '' }) => brokers[brokerId] === undefined));
  }

  /** All wills there are; at a start those that the last broker could not publish. */
  wills(): { clientId: string; will: StoredPacket }[] {
    const rows = this.#database.all('SELECT client, payload, fields FROM will');
    return rows.map((row) => ({ clientId: String(row['client']), will: packetOf(row) }));
  }

  async destroy(): Promise<void> {
    if (this.#destroyed) throw new Error('destroyed twice');
    this.#destroyed = true;
    this.#database.close();
  }

  /** What is answered with CONNACK or SUBACK outlives a crash too. */
  async #durable(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#database.whenDurable((error) => (error ? reject(error) : resolve()));
    });
  }

  #retain(packet: StoredPacket): void {
    this.#retained.change(packet.topic, Buffer.byteLength(packet.payload));
    if (packet.payload.length === 0) {
      this.#database.write('DELETE FROM retained WHERE topic = ?', packet.topic);
      return;
    }
    const sql = 'REPLACE INTO retained (topic, payload, fields) VALUES (?, ?, ?)';
    this.#database.write(sql, packet.topic, packet.payload, fieldsOf(packet));
  }

  *#retainedMatching(patterns: string[]): Generator<StoredPacket> {
    for (const pattern of patterns) {
      // Everything before the first wildcard is the beginning of each topic that matches.
      const start = (pattern.split(/[+#]/)[0] ?? '').replace(/\/$/, '');
      const sql = 'SELECT topic FROM retained WHERE topic >= ? AND topic < ? ORDER BY topic';
      for (const row of this.#database.all(sql, start, `${start}\u{10ffff}`)) {
        const topic = String(row['topic']);
        if (!topicMatches(pattern, topic)) continue;
        const found = this.#database.get('SELECT payload, fields FROM retained WHERE topic = ?', topic);
        if (found !== undefined) yield packetOf(found);
      }
    }
  }
}

function fieldsOf(packet: StoredPacket): string {
  const { payload: _payload, length: _length, ...fields } = packet;
  return JSON.stringify(fields);
}

function packetOf(row: Row): StoredPacket {
  const fields = JSON.parse(String(row['fields'])) as Omit<StoredPacket, 'payload'>;
  return { ...fields, payload: payloadOf(row) };
}
