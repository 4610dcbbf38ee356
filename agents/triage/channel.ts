import { Failure } from '#bus/failure.ts';
import type { Severity } from '#bus/fields.ts';

/** Somebody at a channel: `telegram:<numeric id>` or `terminal:<user name>`. The name is untrusted text. */
export interface Person {
  id: string;
  name: string;
}

/** What a button does. The token is short and random; what it stands for is kept in triage's store. */
export interface Button {
  action: 'approve' | 'dry-run' | 'reject' | 'acknowledge' | 'snooze' | 'details' | 'ask-again';
  label: string;
  token: string;
}

/** All texts here are plain and untrusted; a channel escapes and cuts them for where they go. */
export interface Card {
  incident: string;
  /** `firing`, `acknowledged`, `fixing`, `fixed`, `not-fixed`, `resolved`, ... as the headline shows it. */
  state: string;
  severity: Severity;
  title: string;
  /** Epoch ms. */
  since: number;
  endedAt: number | undefined;
  /** Root, rule and evidence in a few lines. */
  why: readonly string[];
  evidence: readonly { title: string; lines: readonly string[] }[];
  /** What hangs on it, already summarised. */
  symptoms: readonly string[];
  /** The opinion, with its source and confidence, or why there is none. */
  assessment: string | undefined;
  plan: CardPlan | undefined;
  /** Progress, verdict and other news of the life of this incident, oldest first. */
  news: readonly string[];
  buttons: readonly (readonly Button[])[];
}

export interface CardPlan {
  id: string;
  title: string;
  risk: string;
  /** The exact commands that change something, `host$ command`. Shown whole or sent as a file before approving is possible. */
  commands: readonly string[];
  /** The exact commands that only look, before and after, each with what it makes sure of. Shown as whole as the others. */
  looks: readonly string[];
  rollback: readonly string[];
  digest: string;
  blastRadius: readonly string[];
  expiresAt: number;
}

export type Outbound =
  | { type: 'card'; card: Card; silent: boolean }
  /** A text without buttons: digest, warning, answer. */
  | { type: 'notice'; text: string; silent: boolean };

/** Where a sent message can be found again to be edited; opaque to triage. */
export type Reference = string;

export interface Delivered {
  reference: Reference;
  /** The plan whose commands this channel has shown whole, on the card or as a file. */
  shownPlan: string | undefined;
}

/** What triage offers to a channel. */
export interface ChannelHost {
  /** A button was pressed. The answer is short plain text for that person. Never throws for what a person does. */
  press(person: Person, token: string): Promise<string>;
  /** `status`, `incidents`, `help`... without the slash. Answers plain text. */
  command(person: Person, name: string, argument: string): Promise<string>;
  /** A pairing link was opened. */
  pair(person: Person, nonce: string): Promise<string>;
  /** Somebody unknown tried `what` and was turned away: for the journal. Told at most once an hour for each person. */
  refused?(person: Person, what: string): void;
}

interface DeliveryTrouble {
  recoverable: boolean;
  retryAfterMs?: number | undefined;
  isShut?: boolean;
}

/** Thrown by `deliver`. */
export class DeliveryFailure extends Failure {
  /** For so long nothing is sent this way; without it the sender's own backoff counts, for this message. */
  readonly retryAfterMs: number | undefined;
  /** Whatever the message: the way itself is closed until a person opens it. What goes this way waits. */
  readonly isShut: boolean;

  constructor(message: string, { recoverable, retryAfterMs, isShut = false }: DeliveryTrouble) {
    super(message, { recoverable });
    this.retryAfterMs = retryAfterMs;
    this.isShut = isShut;
  }
}

/**
 * A way to reach people. Contract: `deliver` either returns where the message is, or throws a DeliveryFailure:
 * recoverable when it should be tried again, not recoverable when this message will never be accepted.
 */
export interface Channel {
  readonly kind: string;
  start(host: ChannelHost): Promise<void>;
  /** Sends, or edits the message at `previous`. */
  deliver(message: Outbound, previous: Reference | undefined, signal: AbortSignal): Promise<Delivered>;
  stop(): Promise<void>;
}
