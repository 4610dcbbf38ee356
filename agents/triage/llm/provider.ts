import type { z } from 'zod';
import { Failure } from '#bus/failure.ts';
import type { ProviderConfig } from '#config/schema.ts';

/** The design's table of error classes: what the router does next follows from the class alone. */
export type FailureClass = 'transient' | 'billing' | 'auth' | 'refused' | 'too-long' | 'ours' | 'unparseable';

/** Thrown by `Provider.ask`. */
export class ProviderFailure extends Failure {
  readonly failureClass: FailureClass;
  /** From Retry-After, or from a date in a billing message; milliseconds from now. */
  readonly retryAfterMs: number | undefined;
  readonly status: number | undefined;

  constructor(
    message: string,
    details: {
      failureClass: FailureClass;
      retryAfterMs?: number | undefined;
      status?: number | undefined;
      cause?: unknown;
    },
  ) {
    super(message, { recoverable: details.failureClass !== 'ours', cause: details.cause });
    this.failureClass = details.failureClass;
    this.retryAfterMs = details.retryAfterMs;
    this.status = details.status;
  }
}

export interface Question {
  system: string;
  /** Turns after the system text; a repair turn adds the model's answer and the error. */
  turns: readonly { role: 'user' | 'assistant'; text: string }[];
  /** Shape of the answer. Providers ask for it in their own way; the router validates in any case. */
  shape: z.ZodObject;
  shapeName: string;
  maxOutputTokens: number;
}

export interface Answer {
  text: string;
  inputTokens: number;
  outputTokens: number;
}

/** One endpoint. Contract: one attempt per call, no retries of its own, ends when the signal aborts. */
export interface Provider {
  readonly config: ProviderConfig;
  ask(question: Question, signal: AbortSignal): Promise<Answer>;
}

/** A provider kind; the file in `providers/` is named after it and exports it as `provider`. */
export interface ProviderKind {
  kind: ProviderConfig['kind'];
  /** Loads its SDK only here. `apiKey` was resolved from the reference in the configuration. */
  open(config: ProviderConfig, apiKey: string | undefined): Promise<Provider>;
}
