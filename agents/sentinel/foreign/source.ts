import type { IncomingHttpHeaders } from 'node:http';
import type { z } from 'zod';
import type { Severity } from '#bus/fields.ts';
import type { IntakeConfig } from '#config/intake-config.ts';
import type { SecretRef } from '#config/secret-ref.ts';
import type { HttpAnswer } from '#agents/runtime/http.ts';
import type { Reading } from './alert.ts';

/** Something that was sent, and what a kind needs to understand it. */
export interface Delivery {
  body: string;
  bytes: Buffer;
  headers: IncomingHttpHeaders;
  /** The MQTT topic, where it came that way. */
  topic?: string;
  now: number;
  /** How bad a word of the sender is; undefined for one that asks for nobody's attention. */
  severityOf: (word: string | undefined) => Severity | undefined;
  /** The label that holds such a word. */
  severityLabel: string;
  secret: (ref: SecretRef) => string;
}

/** A request below the address of a source that is no delivery. */
export interface Question {
  method: string;
  /** Below the address, without a slash in front. */
  path: string;
  query: URLSearchParams;
  /** What this source reports now. */
  open: readonly OpenAlert[];
  now: number;
}

/** An alert as its sender may see it again. Without secrets, bounded. */
export interface OpenAlert {
  fingerprint: string;
  labels: Readonly<Record<string, string>>;
  summary: string;
  details: readonly string[];
  startsAt: number;
  updatedAt: number;
  /** When it is over unless it is told again. */
  endsAt: number | undefined;
  generatorUrl: string | undefined;
}

/** Where a source that listens by itself is. */
export interface Subscription {
  /** Absent: the broker of the bus. */
  broker: { url: string; user?: string; password?: SecretRef; caFile?: string } | undefined;
  topics: readonly string[];
}

/**
 * A kind of intake: what one sort of sender says, in words of alerts. Contract: `read` takes whatever a stranger sends;
 * it throws Failures of missing secrets only, and is done in time linear in the size of the body.
 */
export interface IntakeDefinition<O extends z.ZodObject = z.ZodObject> {
  kind: string;
  /** One sentence for the generated reference. */
  about: string;
  /** The kind's own keys in the configuration, each described. */
  options: O;
  /** A larger body is refused. */
  maximumBytes: number;
  /** Default of `resolveTimeout`. Absent: the sender tells the end of each alert. */
  resolveAfterMs?: number;
  read: (options: z.output<O>, delivery: Delivery) => Reading;
  /** Where deliveries are posted below the address of the source. Default: the address itself. */
  postedTo?: string;
  /** Answers other requests below the address, and at the root for who knows no prefix; undefined is 404. */
  ask?: (options: z.output<O>, question: Question) => HttpAnswer | undefined;
  /** For what does not come over HTTP. */
  subscription?: (options: z.output<O>) => Subscription;
}

/** Defines a kind of intake. The file is named after the kind and exports it as `intake`. */
export function defineIntake<O extends z.ZodObject>(definition: IntakeDefinition<O>): IntakeDefinition<O> {
  return definition;
}

/** A source of the configuration with its kind and its parsed options. */
export interface Source {
  name: string;
  kind: string;
  config: IntakeConfig;
  definition: IntakeDefinition;
  options: Record<string, unknown>;
  /** Without a word of the sender an alert is over after so long; undefined: never. */
  resolveAfterMs: number | undefined;
  severities: ReadonlyMap<string, Severity>;
}
