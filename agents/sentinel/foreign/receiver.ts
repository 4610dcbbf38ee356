import type { IncomingHttpHeaders } from 'node:http';
import type { Severity } from '#bus/fields.ts';
import type { SecretRef } from '#config/secret-ref.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { HttpAnswer } from '#agents/runtime/http.ts';
import type { Metrics } from '#agents/runtime/metrics.ts';
import { counted } from '#agents/sentinel/probes/text.ts';
import type { Complaints } from './complaints.ts';
import type { Foreign, Taken } from './foreign.ts';
import { severityFrom } from './severity.ts';
import type { Question, Source } from './source.ts';

/** Something that came in, over whatever. */
export interface Incoming {
  bytes: Buffer;
  headers: IncomingHttpHeaders;
  topic?: string;
}

type Received = { is: 'taken'; text: string } | { is: 'refused'; status: 400 | 401; reason: string };

interface ReceiverOptions {
  foreign: Foreign;
  clock: Clock;
  metrics: Metrics;
  complaints: Complaints;
  secret: (ref: SecretRef) => string;
}

/** The newest delivery of a source. */
export interface Delivered {
  at: number;
  text: string;
}

/** Reads what came in by the kind of its source and hands it on. */
export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #last = new Map<string, Delivered>();

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  /** Since the start; undefined when nothing came that could be read. */
  lastOf(source: string): Delivered | undefined {
    return this.#last.get(source);
  }

  /** Throws a Failure when it cannot be stored: then it is to be sent again. */
  receive(source: Source, ...incoming: readonly Incoming[]): Received {
    const readings = incoming.map((one) => this.#read(source, one));
    const bad = readings.find((reading) => reading.is === 'refused');
    const good = readings.filter((reading) => reading.is === 'alerts');
    const taken = this.#options.foreign.take(
      source,
      good.flatMap(({ alerts }) => alerts),
    );
    const countedOnly = good.reduce((sum, reading) => sum + (reading.counted ?? 0), 0);
    const refused = good.flatMap((reading) => reading.refused ?? []);
    this.#measure(source, taken, { counted: countedOnly, refused: refused.length + readings.length - good.length });
    if (bad !== undefined) return bad;
    const text = textOf(taken, countedOnly);
    this.#last.set(source.name, { at: this.#options.clock.now(), text });
    const [reason] = refused;
    if (reason !== undefined)
      return { is: 'refused', status: 400, reason: `${counted(refused.length, 'alert')} refused: ${reason}` };
    return { is: 'taken', text };
  }

  ask(source: Source, question: Pick<Question, 'method' | 'path' | 'query'>): HttpAnswer | undefined {
    const { foreign, clock } = this.#options;
    const { method, path, query } = question;
    const open = foreign.openOf(source.name);
    return source.definition.ask?.(source.options, { method, path, query, open, now: clock.now() });
  }

  #read(source: Source, { bytes, headers, topic }: Incoming): ReturnType<Source['definition']['read']> {
    const { clock, secret } = this.#options;
    return source.definition.read(source.options, {
      bytes,
      body: bytes.toString('utf8'),
      headers,
      ...(topic !== undefined && { topic }),
      now: clock.now(),
      severityOf: (word) => severityOf(source, word),
      severityLabel: source.config.severityLabel,
      secret,
    });
  }

  #measure(source: Source, taken: Taken, more: { counted: number; refused: number }): void {
    const { metrics, complaints } = this.#options;
    const results = { firing: taken.firing, resolved: taken.resolved, 'left-out': taken.leftOut, ...more };
    for (const [result, by] of Object.entries(results)) {
      if (by === 0) continue;
      const labels = { intake: source.name, result };
      metrics.count('intake_alerts_total', 'Alerts that others reported, by intake and what became of them.', {
        labels,
        by,
      });
    }
    if (taken.leftOut > 0) complaints.tell(source.name, 'an intake reports more than can be held');
  }
}

function severityOf(source: Source, word: string | undefined): Severity | undefined {
  const severity = severityFrom(word, source.severities);
  return severity === 'none' ? undefined : severity;
}

function textOf({ firing, resolved, leftOut }: Taken, countedOnly: number): string {
  const parts = [`${firing} firing`, `${resolved} resolved`];
  if (countedOnly > 0) parts.push(`${countedOnly} only counted`);
  if (leftOut > 0) parts.push(`${leftOut} left out`);
  return `taken: ${parts.join(', ')}`;
}
