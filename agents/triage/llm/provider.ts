import type { z } from 'zod';
import { Failure } from '#bus/failure.ts';
import type { ProviderConfig } from '#config/schema.ts';

/** The design's table of error classes: what the router does next follows from the class alone. */
export type FailureClass = 'transient' | 'billing' | 'auth' | 'refused' | 'too-long' | 'ours' | 'unparseable';

export interface Usage {
  inputTokens: number;
  outputTokens: number;
  /** What the endpoint itself says that the call cost. A proxy says dollars; a dollar is counted as a euro. */
  costEuro?: number;
}

/**
 * What a failed call cost. `rejected`: refused before a model saw it, nobody bills that. `answered`: a model worked and
 * its use is known. `unknown`: the request went out and no end of it was seen, so the worst case is counted.
 */
export type Fate = { is: 'rejected' } | { is: 'answered'; usage: Usage } | { is: 'unknown' };

/** Thrown by `Provider.ask`. The message is safe to show: secrets removed, cut to a length. */
export class ProviderFailure extends Failure {
  readonly failureClass: FailureClass;
  /** From Retry-After, or from a date in a billing message; milliseconds from now. */
  readonly retryAfterMs: number | undefined;
  readonly status: number | undefined;
  readonly fate: Fate;

  constructor(
    message: string,
    details: {
      failureClass: FailureClass;
      fate: Fate;
      retryAfterMs?: number | undefined;
      status?: number | undefined;
      cause?: unknown;
    },
  ) {
    super(message, { recoverable: details.failureClass !== 'ours', cause: details.cause });
    this.failureClass = details.failureClass;
    this.fate = details.fate;
    this.retryAfterMs = details.retryAfterMs;
    this.status = details.status;
  }
}

export interface Turn {
  role: 'user' | 'assistant';
  text: string;
}

export interface Question {
  system: string;
  /** Turns after the system text; a repair turn adds the model's answer and the error. */
  turns: readonly Turn[];
  /** Shape of the answer. Providers ask for it in their own way; the router validates in any case. */
  shape: z.ZodObject;
  shapeName: string;
  maxOutputTokens: number;
}

export interface Answer extends Usage {
  text: string;
  /** Something that people should know about how this answer came to be: a proxy's own fallback. */
  note?: string;
}

/**
 * One endpoint. Contract: one attempt per call, no retries of its own (a request whose way of asking for structure the
 * endpoint refuses is put once more without it), ends when the signal aborts. An answer has ended normally.
 */
export interface Provider {
  readonly config: ProviderConfig;
  ask(question: Question, signal: AbortSignal): Promise<Answer>;
}

export interface ProviderAccess {
  /** Resolved from the reference in the configuration. */
  apiKey: string | undefined;
  /** Epoch milliseconds, for dates in error messages. */
  now: () => number;
}

/** A provider kind; the file in `providers/` is named after it and exports it as `provider`. */
export interface ProviderKind {
  kind: ProviderConfig['kind'];
  /** Loads its SDK only here. */
  open(config: ProviderConfig, access: ProviderAccess): Promise<Provider>;
}
