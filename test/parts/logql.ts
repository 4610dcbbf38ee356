/** One stream of the Loki fake; times are nanoseconds, which no float holds. */
export interface LokiStream {
  labels: Record<string, string>;
  entries: { time: bigint; line: string }[];
}

/** An error in Loki's words. */
export class LogqlFault extends Error {}

type Labels = Record<string, string>;

interface Lines {
  matches: (labels: Labels) => boolean;
  keeps: (line: string) => boolean;
  /** Labels of its equality matchers, which `absent_over_time` gives back. */
  equal: Labels;
}

export type LogqlQuery =
  | ({ is: 'lines' } & Lines)
  | ({
      is: 'metric';
      call: 'count_over_time' | 'rate' | 'absent_over_time';
      rangeMs: number;
      offsetMs: number;
      /** `sum by`; undefined without `sum`. */
      by: readonly string[] | undefined;
      limit: { sign: string; value: number } | undefined;
    } & Lines);

const unitMs: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

export function durationMs(text: string): number | undefined {
  if (!/^(?:\d+(?:ms|[smhdw]))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|[smhdw])/g))
    total += Number(amount) * (unitMs[unit ?? ''] ?? 0);
  return total;
}

const selector = String.raw`\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\}`;
const lines = String.raw`(?<selector>${selector})(?<filters>(?:\s*(?:\|=|!=|\|~|!~)\s*"(?:[^"\\]|\\.)*")*)`;
const ranged = String.raw`(?<call>count_over_time|rate|absent_over_time)\s*\(\s*${lines}\s*\[(?<range>\w+)\](?:\s*offset\s+(?<offset>\w+))?\s*\)`;
const before = String.raw`sum(?:\s+by\s*\((?<before>[^)]*)\))?\s*\(\s*`;
const after = String.raw`\s*\)(?:\s*by\s*\((?<after>[^)]*)\))?`;
const compared = String.raw`(?:\s*(?<sign>[<>]=?|==|!=)\s*(?<value>-?[\d.]+))?`;
const forms = [
  new RegExp(String.raw`^\s*${lines}\s*$`),
  new RegExp(String.raw`^\s*${ranged}${compared}\s*$`),
  new RegExp(String.raw`^\s*(?<sum>${before})${ranged}${after}${compared}\s*$`),
];

export function parseMetricQuery(query: string): LogqlQuery {
  const groups = forms.map((form) => form.exec(query)?.groups).find((found) => found !== undefined);
  if (groups === undefined) throw new LogqlFault('parse error at line 1, col 6: syntax error: unexpected IDENTIFIER');
  const read: Lines = {
    matches: parseSelector(groups['selector'] ?? ''),
    keeps: parseFilters(groups['filters'] ?? ''),
    equal: equalMatchers(groups['selector'] ?? ''),
  };
  const { call } = groups;
  if (call === undefined) return { is: 'lines', ...read };
  return { is: 'metric', ...read, call: call as 'rate', ...metricPart(groups) };
}

function metricPart(groups: Record<string, string | undefined>) {
  return {
    rangeMs: durationMs(groups['range'] ?? '') ?? 0,
    offsetMs: durationMs(groups['offset'] ?? '0s') ?? 0,
    by: groups['sum'] === undefined ? undefined : namesOf(groups['before'] ?? groups['after']),
    limit: groups['sign'] === undefined ? undefined : { sign: groups['sign'], value: Number(groups['value']) },
  };
}

function namesOf(list = ''): string[] {
  return list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function equalMatchers(selector: string): Labels {
  return Object.fromEntries(
    matchersOf(selector).flatMap(([name, sign, value]) => (sign === '=' ? [[name, value]] : [])),
  );
}

function matchersOf(text: string): [name: string, sign: string, value: string][] {
  return [...text.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*")/g)].map(
    ([, name = '', sign = '', value = '""']) => [name, sign, JSON.parse(value) as string],
  );
}

export function parseSelector(text: string): (labels: Labels) => boolean {
  const tests = matchersOf(text).map(([name, sign, value]) => {
    const whole = pattern(value, (source) => `^(?:${source})$`);
    const holds = (actual: string): boolean => (sign.includes('~') ? whole.test(actual) : actual === value);
    return {
      name,
      holds: (actual: string) => holds(actual) !== sign.startsWith('!'),
      isFirm: !sign.startsWith('!') && !holds(''),
    };
  });
  if (!tests.some(({ isFirm }) => isFirm)) {
    throw new LogqlFault(
      'queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~".*" does not meet this requirement, but app=~".+" will',
    );
  }
  return (labels) => tests.every(({ name, holds }) => holds(labels[name] ?? ''));
}

/** Go's expressions, as far as `(?i)` at the start. */
function pattern(text: string, around = (source: string): string => source): RegExp {
  const [flag = ''] = /^\(\?i\)/.exec(text) ?? [];
  return new RegExp(around(text.slice(flag.length)), flag === '' ? '' : 'i');
}

function parseFilters(text: string): (line: string) => boolean {
  const tests = [...text.matchAll(/(\|=|!=|\|~|!~)\s*("(?:[^"\\]|\\.)*")/g)].map(([, sign = '', quoted = '""']) => {
    const value = JSON.parse(quoted) as string;
    const holds = (line: string): boolean => (sign.endsWith('~') ? pattern(value).test(line) : line.includes(value));
    return (line: string): boolean => holds(line) !== sign.startsWith('!');
  });
  return (line) => tests.every((holds) => holds(line));
}

export function evaluate(
  query: Extract<LogqlQuery, { is: 'metric' }>,
  streams: readonly LokiStream[],
  now: number,
): { labels: Labels; value: number }[] {
  const end = now - query.offsetMs;
  const counted = streams
    .filter(({ labels }) => query.matches(labels))
    .map(({ labels, entries }) => {
      const count = entries.filter(({ time, line }) => {
        const at = Number(time / 1_000_000n);
        return at > end - query.rangeMs && at <= end && query.keeps(line);
      }).length;
      return { labels, value: query.call === 'rate' ? count / (query.rangeMs / 1_000) : count };
    })
    .filter(({ value }) => value > 0);
  if (query.call === 'absent_over_time') return counted.length === 0 ? [{ labels: query.equal, value: 1 }] : [];
  const summed = query.by === undefined ? counted : sumBy(counted, query.by);
  return summed.filter(({ value }) => query.limit === undefined || compares(value, query.limit));
}

function sumBy(
  series: readonly { labels: Labels; value: number }[],
  by: readonly string[],
): { labels: Labels; value: number }[] {
  const sums = new Map<string, { labels: Labels; value: number }>();
  for (const { labels, value } of series) {
    const kept = Object.fromEntries(by.flatMap((name) => (labels[name] === undefined ? [] : [[name, labels[name]]])));
    const key = JSON.stringify(kept);
    sums.set(key, { labels: kept, value: (sums.get(key)?.value ?? 0) + value });
  }
  return [...sums.values()];
}

function compares(value: number, { sign, value: limit }: { sign: string; value: number }): boolean {
  if (sign === '>') return value > limit;
  if (sign === '>=') return value >= limit;
  if (sign === '<') return value < limit;
  if (sign === '<=') return value <= limit;
  return (value === limit) === (sign === '==');
}
