import { messageOf } from '#bus/failure.ts';
import type { Evidence, Finding } from '#bus/messages/finding.ts';
import { scrub } from '#bus/scrub.ts';
import { formatDuration } from '#config/duration.ts';
import type { Config } from '#config/schema.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import { Slots } from '#agents/runtime/slots.ts';
import { HostChanges, type OnHost } from './changes.ts';
import type { CheckContext } from './check.ts';
import { byItself, type History, type PastOccurrence } from './history.ts';
import { type LedgerEvent, seriesOf } from './ledger.ts';
import { contextFor, type LookOptions } from './look.ts';
import type { Memories } from './memory.ts';

/** A host in trouble may hang; the finding is out already and does not wait longer than this for its evidence. */
const gatherMs = 5_000;
/** A storm of findings must not become a storm of log reading. */
const gatheredAtOnce = 8;
const maximumPieces = 8;
const maximumLines = 40;
const maximumLine = 600;
const valuesShown = 30;
const occurrencesShown = 5;

interface EvidenceOptions extends LookOptions {
  history: History;
  memories: Memories;
  hosts: Config['hosts'];
}

/**
 * Looks around at the moment a finding fires: what the kind finds, what changed on the host, the last values, how it went
 * before.
 */
export class EvidenceGatherer {
  readonly #options: EvidenceOptions;
  readonly #slots = new Slots(gatheredAtOnce);
  readonly #changes = new HostChanges();
  #waiting = 0;

  constructor(options: EvidenceOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Best effort: what cannot be had in time is left out. Rejects only when the signal aborts. */
  gather(event: LedgerEvent, signal: AbortSignal): Promise<Evidence[]> {
    return this.#inTurn(signal, async () => {
      const own = [...this.#values(event), ...pastOf(event.finding, this.#options.history)];
      const context = this.#contextFor(event, signal);
      const [found, changes] = await Promise.all([this.#ofKind(event, signal), this.#before(event.finding, context)]);
      const room = maximumPieces - own.length - changes.length;
      return [...found.slice(0, room), ...changes, ...own];
    });
  }

  /** For what another program reports of a host of the inventory: what changed there. As `gather`. */
  async gatherForeign(finding: Finding, signal: AbortSignal): Promise<Evidence[]> {
    const { hosts, probes, clock } = this.#options;
    const name = finding.host ?? '';
    const config = hosts[name];
    if (config === undefined) return [];
    const context = { host: { name, config }, probe: probes.runnerFor(name), clock, signal };
    return this.#inTurn(signal, () => this.#before(finding, context));
  }

  async #inTurn(signal: AbortSignal, work: () => Promise<Evidence[]>): Promise<Evidence[]> {
    this.#waiting += 1;
    try {
      const leave = await this.#slots.take(signal);
      try {
        return (await work()).map(bounded);
      } finally {
        leave();
      }
    } finally {
      this.#waiting -= 1;
    }
  }

  #ofKind(event: LedgerEvent, signal: AbortSignal): Promise<Evidence[]> {
    const { check } = event.watch;
    const { last } = event.track;
    if (last === undefined) return Promise.resolve([]);
    return this.#inTime(check.id, signal, (inner) =>
      check.definition.evidence.gather(check.options, this.#contextFor(event, inner), last),
    );
  }

  #before({ startsAt, check }: Finding, context: OnHost): Promise<Evidence[]> {
    const { signal } = context;
    return this.#inTime(check, signal, () => this.#changes.before(Date.parse(startsAt), context, signal));
  }

  #contextFor({ watch: { check } }: LedgerEvent, signal: AbortSignal): CheckContext {
    const { memory } = this.#options.memories.openFor(check.id);
    return contextFor(check, this.#options, { memory, signal });
  }

  /** What work finds within the time for it; nothing when it is late or fails. */
  async #inTime(
    check: string,
    signal: AbortSignal,
    work: (inner: AbortSignal) => Promise<Evidence[]>,
  ): Promise<Evidence[]> {
    const time = new AbortController();
    const inner = AbortSignal.any([signal, time.signal]);
    const { promise: over, resolve } = Promise.withResolvers<Evidence[]>();
    const cancel = this.#options.clock.after(gatherMs, () => {
      resolve([]);
      time.abort();
    });
    const found = Promise.resolve()
      .then(() => work(inner))
      .catch((error: unknown) => {
        if (!inner.aborted) {
          this.#options.log.warn({ check, reason: messageOf(error) }, 'evidence could not be gathered');
        }
        return [];
      });
    try {
      return await Promise.race([found, over]);
    } finally {
      cancel();
    }
  }

  #values({ watch, track }: LedgerEvent): Evidence[] {
    if (track.last?.reading.is !== 'level') return [];
    const samples = this.#options.history.samples(seriesOf(watch.check, track.condition, track.resource), valuesShown);
    const values = samples.map(({ value }) => value);
    const [first] = samples;
    if (first === undefined || values.length < 2) return [];
    const { unit } = track.last.reading;
    const span = formatDuration(Math.round((this.#options.clock.now() - first.at) / 1_000) * 1_000);
    const lines = [
      sparkline(values),
      `${shown(Math.min(...values))} to ${shown(Math.max(...values))} ${unit}, now ${shown(values.at(-1) ?? 0)} ${unit}`,
    ];
    return [{ kind: 'values', title: `The last ${values.length} values, ${span}`, lines, truncated: 0 }];
  }
}

/** How the same condition went before. */
export function pastOf(finding: Finding, history: History): Evidence[] {
  const { total, last } = history.before(finding, occurrencesShown);
  if (total === 0) return [];
  const title = total === 1 ? 'It happened once before' : `It happened ${total} times before`;
  return [{ kind: 'history', title, lines: last.map(occurrenceLine), truncated: total - last.length }];
}

function occurrenceLine({ startsAt, endsAt, endedBy, summary }: PastOccurrence): string {
  if (endsAt === undefined) return `${toInstant(startsAt)}: ${summary}`;
  const lasted = formatDuration(Math.round((endsAt - startsAt) / 1_000) * 1_000);
  return `${toInstant(startsAt)} for ${lasted}, ${endedBy ?? byItself}: ${summary}`;
}

function bounded(evidence: Evidence): Evidence {
  // As one text: a private key spans lines, and no single one of them looks like a secret.
  const clean = scrub(evidence.lines.join('\n')).split('\n');
  const lines = clean.slice(0, maximumLines).map((line) => line.slice(0, maximumLine));
  return {
    kind: evidence.kind,
    title: scrub(evidence.title).slice(0, 120),
    lines,
    truncated: evidence.truncated + clean.length - lines.length,
  };
}

const bars = '▁▂▃▄▅▆▇█';

function sparkline(values: readonly number[]): string {
  const low = Math.min(...values);
  const span = Math.max(...values) - low;
  return values
    .map((value) => bars[span === 0 ? 0 : Math.round(((value - low) / span) * (bars.length - 1))] ?? '')
    .join('');
}

function shown(value: number): string {
  return String(Number(value.toPrecision(4)));
}
