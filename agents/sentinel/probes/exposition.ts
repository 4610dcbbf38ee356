import { sampleValue } from './prometheus-api.ts';

/** One line of a /metrics page. */
export interface ExposedMetric {
  name: string;
  labels: Record<string, string>;
  value: number;
}

const line = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?\s+(\S+)(?:\s|$)/;
const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;
const maximumMetrics = 5_000;
const maximumLine = 10_000;

/** The metrics of these names on a /metrics page, in the text format. Lines that are none are passed over. */
export function exposedMetrics(page: string, names: ReadonlySet<string>): ExposedMetric[] {
  const found: ExposedMetric[] = [];
  for (const text of page.split('\n')) {
    // Before anything is searched: a page has thousands of lines of which a dozen are asked for.
    const end = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(text)?.[0] ?? '';
    if (!names.has(end) || text.length > maximumLine) continue;
    const match = line.exec(text);
    if (match === null) continue;
    const [, name = '', labels = '', value = ''] = match;
    found.push({ name, labels: labelsOf(labels), value: sampleValue(value) });
    if (found.length >= maximumMetrics) break;
  }
  return found;
}

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [, name = '', value = ''] of text.matchAll(label)) {
    labels[name] = value.replaceAll(/\\(.)/g, (_all, letter: string) => (letter === 'n' ? '\n' : letter));
  }
  return labels;
}
