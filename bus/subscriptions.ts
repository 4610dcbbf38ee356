/** One subscription as aedes hands it over; the members beyond `qos` are MQTT 5's and pass through. */
export interface Subscription {
  topic: string;
  qos: number;
  rh?: number | undefined;
  rap?: boolean | undefined;
  nl?: boolean | undefined;
  subscriptionIdentifier?: number;
}

export type Match = Subscription & { clientId: string };

/** Answers remembered per topic until a subscription changes. */
const rememberedTopics = 10_000;

/** Who wants which topics. Only subscriptions at QoS 1 or 2 match: the others get nothing while they are absent. */
export class SubscriptionTable {
  /** Client, then filter. A Map keeps the order in which they came. */
  readonly #clients = new Map<string, Map<string, Subscription>>();
  readonly #remembered = new Map<string, Match[]>();

  get clients(): number {
    return this.#clients.size;
  }

  has(clientId: string): boolean {
    return this.#clients.has(clientId);
  }

  add(clientId: string, subscription: Subscription): void {
    const own = this.#clients.get(clientId) ?? new Map<string, Subscription>();
    own.set(subscription.topic, subscription);
    this.#clients.set(clientId, own);
    this.#remembered.clear();
  }

  remove(clientId: string, filter: string): void {
    const own = this.#clients.get(clientId);
    own?.delete(filter);
    if (own?.size === 0) this.#clients.delete(clientId);
    this.#remembered.clear();
  }

  removeAll(clientId: string): void {
    this.#clients.delete(clientId);
    this.#remembered.clear();
  }

  of(clientId: string): Subscription[] {
    return [...(this.#clients.get(clientId)?.values() ?? [])].map((subscription) => ({ ...subscription }));
  }

  clientsOf(filter: string): string[] {
    return [...this.#clients].filter(([, own]) => own.has(filter)).map(([clientId]) => clientId);
  }

  count(): { subsCount: number; clientsCount: number } {
    const all = [...this.#clients.values()].flatMap((own) => [...own.values()]);
    return { subsCount: all.filter(({ qos }) => qos > 0).length, clientsCount: this.#clients.size };
  }

  /** Those with wildcards first, then the exact ones. */
  matching(topic: string): Match[] {
    const known = this.#remembered.get(topic);
    if (known !== undefined) return known;
    const found: Match[] = [];
    for (const [clientId, own] of this.#clients) {
      for (const subscription of own.values()) {
        if (subscription.qos > 0 && topicMatches(subscription.topic, topic)) found.push({ ...subscription, clientId });
      }
    }
    const sorted = found.toSorted((a, b) => Number(a.topic === topic) - Number(b.topic === topic));
    if (this.#remembered.size >= rememberedTopics) this.#remembered.clear();
    this.#remembered.set(topic, sorted);
    return sorted;
  }
}

/** MQTT 3.1.1, 4.7: `+` is one level, `#` the level above and everything below; neither reaches `$SYS`. */
export function topicMatches(filter: string, topic: string): boolean {
  if (filter === topic) return true;
  if (!filter.includes('+') && !filter.includes('#')) return false;
  const want = filter.split('/');
  const have = topic.split('/');
  if (topic.startsWith('$') && (want[0] === '+' || want[0] === '#')) return false;
  for (const [index, level] of want.entries()) {
    if (level === '#') return true;
    if (index >= have.length) return false;
    if (level !== '+' && level !== have[index]) return false;
  }
  return want.length === have.length;
}
