import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Prometheus text exposition, version 0.0.4. Names get the prefix `lares_`. */
export interface Metrics {
  /** Adds to a counter; `labels` with bounded values only. */
  count(name: string, help: string, options?: { labels?: Record<string, string>; by?: number }): void;
  /** Sets a gauge; the last value stays. */
  gauge(name: string, help: string, options: { labels?: Record<string, string>; value: number }): void;
  /** Calls `measure` before each page, for gauges that must be true at that moment. Returns what ends it. */
  beforePage(measure: () => void): () => void;
  /** The whole page. */
  exposition(): string;
}

/** The `Content-Type` of the page. */
export const expositionType = 'text/plain; version=0.0.4; charset=utf-8';

/** A family does not grow beyond this, whatever ends up in a label; further series are counted and dropped. */
const maximumSeries = 2_000;

interface Family {
  type: 'counter' | 'gauge';
  help: string;
  series: Map<string, number>;
}

export function createMetrics(): Metrics {
  const families = new Map<string, Family>();
  const measures = new Set<() => void>();
  const loop = watchEventLoop();
  let dropped = 0;

  function seriesOf(name: string, type: Family['type'], help: string): Map<string, number> {
    const known = families.get(name);
    if (known !== undefined) {
      if (known.type !== type) throw new TypeError(`Cannot use metric "${name}" as ${type}: it is a ${known.type}`);
      return known.series;
    }
    if (!/^[a-z][a-z0-9_]{0,100}$/.test(name)) throw new TypeError(`Cannot name a metric "${name}"`);
    const series = new Map<string, number>();
    families.set(name, { type, help, series });
    return series;
  }

  function put(series: Map<string, number>, key: string, value: number): void {
    if (!series.has(key) && series.size >= maximumSeries) dropped += 1;
    else series.set(key, value);
  }

  return {
    count(name, help, options = {}) {
      const { labels = {}, by = 1 } = options;
      if (!(by >= 0)) throw new TypeError(`Cannot add ${by} to counter "${name}"`);
      const series = seriesOf(name, 'counter', help);
      const key = labelsText(labels);
      put(series, key, (series.get(key) ?? 0) + by);
    },
    gauge(name, help, { labels = {}, value }) {
      put(seriesOf(name, 'gauge', help), labelsText(labels), value);
    },
    beforePage(measure) {
      measures.add(measure);
      return () => measures.delete(measure);
    },
    exposition() {
      for (const measure of measures) measure();
      const own = [...families].map(([name, family]) => familyText(`lares_${name}`, family));
      return [...own, ...processFamilies(loop.p99Ms(), dropped)].join('');
    },
  };
}

function processFamilies(lagMs: number, dropped: number): string[] {
  const one = (value: number): Map<string, number> => new Map([['', value]]);
  const { user, system } = process.cpuUsage();
  const rows: [string, Family['type'], string, number][] = [
    ['lares_metrics_dropped_total', 'counter', 'Samples of series beyond the limit of a family.', dropped],
    ['process_cpu_seconds_total', 'counter', 'Processor time, user and system.', (user + system) / 1_000_000],
    ['process_resident_memory_bytes', 'gauge', 'Resident memory.', process.memoryUsage.rss()],
    [
      'process_start_time_seconds',
      'gauge',
      'Start of the process, Unix time.',
      Math.round(performance.timeOrigin) / 1_000,
    ],
    ['nodejs_eventloop_lag_p99_seconds', 'gauge', 'Delay of the event loop in the last minute.', lagMs / 1_000],
  ];
  return rows.map(([name, type, help, value]) => familyText(name, { type, help, series: one(value) }));
}

function familyText(name: string, family: Family): string {
  const help = family.help.replaceAll('\\', String.raw`\\`).replaceAll('\n', String.raw`\n`);
  const samples = [...family.series].map(([labels, value]) => `${name}${labels} ${numberText(value)}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${family.type}\n${samples.join('')}`;
}

function labelsText(labels: Record<string, string>): string {
  const parts = Object.entries(labels)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => {
      if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) throw new TypeError(`Cannot name a label "${name}"`);
      return `${name}="${escapeLabel(value)}"`;
    });
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

function escapeLabel(value: string): string {
  return value
    .slice(0, 300)
    .replaceAll('\\', String.raw`\\`)
    .replaceAll('"', String.raw`\"`)
    .replaceAll('\n', String.raw`\n`);
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : `${value > 0 ? '+' : '-'}Inf`;
}

const resolutionMs = 20;
const windowMs = 60_000;

interface LoopWatch {
  p99Ms(): number;
}

/** There is one event loop, and each watch costs a timer of its own and 0.4 MB. */
let watch: LoopWatch | undefined;

/** Watches how late the event loop is; the 99th percentile of the last one to two minutes, in milliseconds. */
export function watchEventLoop(): LoopWatch {
  watch ??= startWatch();
  return watch;
}

function startWatch(): LoopWatch {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  histogram.enable();
  let since = performance.now();
  return {
    p99Ms() {
      // The histogram counts the timer's own interval too, and holds NaN-free zeros before its first sample.
      const lag = Math.max(0, histogram.percentile(99) / 1_000_000 - resolutionMs);
      if (performance.now() - since > windowMs) {
        histogram.reset();
        since = performance.now();
      }
      return Math.round(lag * 1_000) / 1_000;
    },
  };
}
