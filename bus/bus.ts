import type { z } from 'zod';
import type { AgentName, MessageKind, PayloadOf } from './message.ts';

/** What a listener may want to know beside the payload. */
export interface Delivery {
  /** The identity in the topic. */
  id: string;
  /** True for state that was on the broker before this subscription. */
  retained: boolean;
}

/**
 * Contract: a listener stores and returns, or promises to. It is acknowledged to the broker when it has, so a message
 * that was being handled when the process died comes again. A listener that throws harms no other listener: a recoverable
 * Failure is tried again (the message stays unacknowledged), anything else is logged and the message dropped.
 */
export type Listener<K extends MessageKind> = (payload: PayloadOf<K>, delivery: Delivery) => void | Promise<void>;

/** One agent's connection to the bus: validation both ways, at-least-once, reconnecting for ever. */
export interface Bus {
  readonly agent: AgentName;
  readonly site: string;
  readonly connected: boolean;
  /**
   * Sends at QoS 1, retained when the kind is. Does not wait: waiting for an acknowledgement inside a listener would
   * dead-lock the connection. Dropped while disconnected: owners of state publish it again from their store in
   * `onConnect`, and what must arrive is sent again until its effect is seen. Throws a Failure for a payload that is
   * not valid.
   */
  publish<P extends z.ZodObject>(kind: MessageKind<P>, payload: z.input<P>): void;
  /** Removes the retained state of one identity. */
  clear(kind: MessageKind, id: string): void;
  /**
   * Adds a listener. Subscriptions survive reconnects; the last handler runs when the broker has granted it. Messages of
   * a kind are handled one after the other. With `together` each is handed over as it comes, in their order, without
   * waiting for the promise of the one before: so one commit of the listener can hold many. One that is tried again
   * comes after later ones.
   */
  subscribe<P extends z.ZodObject>(
    kind: MessageKind<P>,
    listener: Listener<MessageKind<P>>,
    options?: { together?: boolean },
  ): void;
  /** Adds a listener for the removal of retained state. */
  onClear(kind: MessageKind, listener: (id: string) => void | Promise<void>): void;
  /** Runs after every (re)connect, subscriptions granted: the place to publish what one owns. */
  onConnect(listener: () => void): void;
  /** Asks the agent that serves `verb`. Rejects with a Failure on an error answer or when the signal ends the wait. */
  request(verb: string, data: Record<string, unknown>, signal: AbortSignal): Promise<Record<string, unknown>>;
  /** Answers a verb. A Failure thrown by the handler becomes an error answer with its message. */
  serve(
    verb: string,
    handler: (data: Record<string, unknown>, from: AgentName) => Promise<Record<string, unknown>>,
  ): void;
  /** Resolves when connected and every subscription so far was answered. Rejects with a Failure when the signal aborts. */
  ready(signal: AbortSignal): Promise<void>;
  /** Resolves when everything published so far was acknowledged, or the signal aborts. */
  flush(signal: AbortSignal): Promise<void>;
  /** Publishes `offline`, flushes and disconnects. */
  close(): Promise<void>;
}
