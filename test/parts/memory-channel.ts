import type { Clock } from '#agents/runtime/clock.ts';
import type { Button, Card, Channel, ChannelHost, Delivered, Outbound } from '#agents/triage/channel.ts';

/** A channel that keeps what it was given. `refuse` makes the next deliveries fail. */
export class MemoryChannel implements Channel {
  readonly kind: string;
  readonly deliveries: { message: Outbound; previous: string | undefined; at: number }[] = [];
  /** The newest version of each message, by reference. */
  readonly messages = new Map<string, Outbound>();
  refuse: ((message: Outbound) => Error | undefined) | undefined;
  /** A delivery waits for this, or for its signal. */
  hold: (() => Promise<void>) | undefined;
  /** A plan that does not fit is not shown whole. */
  showsPlans = true;
  host: ChannelHost | undefined;
  readonly #clock: Clock;
  #count = 0;

  constructor(kind: string, clock: Clock) {
    this.kind = kind;
    this.#clock = clock;
  }

  async start(host: ChannelHost): Promise<void> {
    this.host = host;
  }

  async deliver(message: Outbound, previous: string | undefined, signal: AbortSignal): Promise<Delivered> {
    signal.throwIfAborted();
    if (this.hold !== undefined) await Promise.race([this.hold(), aborted(signal)]);
    const refusal = this.refuse?.(message);
    if (refusal !== undefined) throw refusal;
    this.#count += 1;
    const reference = previous ?? `${this.kind}-${this.#count}`;
    this.deliveries.push({ message, previous, at: this.#clock.now() });
    this.messages.set(reference, message);
    const shownPlan = message.type === 'card' && this.showsPlans ? message.card.plan?.id : undefined;
    return { reference, shownPlan };
  }

  async stop(): Promise<void> {
    this.host = undefined;
  }

  cards(): Card[] {
    return [...this.messages.values()].flatMap((message) => (message.type === 'card' ? [message.card] : []));
  }

  card(): Card {
    const cards = this.cards();
    const [card] = cards;
    if (card === undefined || cards.length !== 1) throw new Error(`There are ${cards.length} cards, not one`);
    return card;
  }

  notices(): string[] {
    return this.deliveries.flatMap(({ message }) => (message.type === 'notice' ? [message.text] : []));
  }

  /** New messages that ring; an edit never does. */
  sounds(): number {
    return this.deliveries.filter(({ message, previous }) => !message.silent && previous === undefined).length;
  }

  token(action: Button['action'], card = this.card()): string {
    const button = card.buttons.flat().find((candidate) => candidate.action === action);
    if (button === undefined) throw new Error(`The card has no button "${action}"`);
    return button.token;
  }

  press(action: Button['action'], by = 'telegram:3'): Promise<string> {
    return this.pressToken(this.token(action), by);
  }

  async pressToken(token: string, by = 'telegram:3'): Promise<string> {
    if (this.host === undefined) throw new Error('The channel is not started');
    return this.host.press({ id: by, name: `Person ${by.split(':')[1]}` }, token);
  }

  async command(text: string, by = 'telegram:3'): Promise<string> {
    if (this.host === undefined) throw new Error('The channel is not started');
    const [name = '', ...rest] = text.split(' ');
    return this.host.command({ id: by, name: `Person ${by.split(':')[1]}` }, name, rest.join(' '));
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
