import { z } from 'zod';
import { type ForeignAlert, type Reading, readingOf } from './alert.ts';
import { refusal } from './body.ts';
import { type JsonPath, parseJsonPath, textAt, valuesAt } from './json-path.ts';
import { instantOf } from './prometheus-alert.ts';
import type { Delivery } from './source.ts';
import { jsonOf } from '#agents/sentinel/probes/text.ts';

const Path = z
  .string()
  .min(1)
  .max(300)
  .refine((text) => parseJsonPath(text) !== undefined, { error: 'must be a path such as $.alert.labels[0]' });
const LabelName = z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]{0,127}$/, 'must be a name of a label');

/** Where in a JSON document things stand. `topic[2]` is the third level of an MQTT topic. */
export const mappingOptions = {
  alerts: Path.optional().describe('Path to the alerts, where one document holds several: `$.alerts[*]`.'),
  title: Path.describe('Path to the name of what is wrong: its identity, with `id`, `host` and `labels`.'),
  id: Path.optional().describe('Path to what tells two alerts of one name apart.'),
  host: Path.optional().describe('Path to the name or address of the host.'),
  summary: Path.optional().describe('Path to what is wrong in one line. Default: the title.'),
  details: Path.optional().describe('Path to more words.'),
  severity: Path.optional().describe('Path to the severity.'),
  status: Path.optional().describe('Path to whether it is wrong or over. Absent: every message says that it is wrong.'),
  resolved: z
    .array(z.string().min(1).max(100))
    .max(50)
    .default([
      'resolved',
      'ok',
      'up',
      'online',
      'healthy',
      'recovered',
      'success',
      'clear',
      'cleared',
      'closed',
      'false',
      '0',
    ])
    .describe('Values of the status that say it is over, in any case.'),
  time: Path.optional().describe('Path to when it was said: ISO 8601, or Unix seconds or milliseconds.'),
  labels: z.record(LabelName, Path).default({}).describe('Paths to further labels; they are part of the identity.'),
};
const Mapping = z.object(mappingOptions);
type Mapping = z.output<typeof Mapping>;

const topicLevel = /^topic\[(\d{1,2})\]$/;

/** Reads a document by a mapping. */
export function readMapped(mapping: Mapping, delivery: Delivery): Reading {
  const document = jsonOf(delivery.body);
  if (document === undefined) return refusal('the body is no JSON');
  const documents = mapping.alerts === undefined ? [document] : valuesAt(document, pathOf(mapping.alerts));
  const alerts: ForeignAlert[] = [];
  const refused: string[] = [];
  let countedOnly = 0;
  for (const one of documents) {
    const read = alertOf(mapping, one, delivery);
    if (read === undefined) refused.push(`nothing stands at "${mapping.title}"`);
    else if (read === 'counted') countedOnly += 1;
    else alerts.push(read);
  }
  const reading = readingOf(alerts, countedOnly);
  return reading.is === 'alerts' ? { ...reading, refused: [...refused, ...(reading.refused ?? [])] } : reading;
}

function alertOf(mapping: Mapping, document: unknown, delivery: Delivery): ForeignAlert | 'counted' | undefined {
  const at = (path: string | undefined): string | undefined =>
    path === undefined ? undefined : valueAt(document, path, delivery);
  const title = at(mapping.title);
  if (title === undefined) return undefined;
  const severity = delivery.severityOf(at(mapping.severity));
  if (severity === undefined) return 'counted';
  const named = { id: at(mapping.id), host: at(mapping.host) };
  const further = Object.entries(mapping.labels).map(([name, path]) => [name, at(path)] as const);
  const labels = {
    alertname: title.slice(0, 500),
    ...Object.fromEntries([...Object.entries(named), ...further].filter(isGiven)),
  };
  const status = at(mapping.status);
  const saidAt = timeOf(at(mapping.time));
  return {
    status: status !== undefined && isOver(mapping, status) ? 'resolved' : 'firing',
    labels,
    severity,
    condition: 'problem',
    summary: at(mapping.summary) ?? (named.host === undefined ? title : `${named.host}: ${title}`),
    details: (at(mapping.details) ?? '').split('\n').slice(0, 30),
    ...(saidAt !== undefined && { saidAt }),
  };
}

function isGiven(entry: readonly [string, string | undefined]): entry is readonly [string, string] {
  return entry[1] !== undefined;
}

function isOver({ resolved }: Mapping, status: string): boolean {
  const word = status.trim().toLowerCase();
  return resolved.some((known) => known.toLowerCase() === word);
}

function valueAt(document: unknown, path: string, { topic }: Delivery): string | undefined {
  const level = topicLevel.exec(path)?.[1];
  if (level !== undefined && topic !== undefined) return topic.split('/')[Number(level)];
  return textAt(document, pathOf(path));
}

const paths = new Map<string, JsonPath>();

/** Paths come from the configuration: there are few, and each is parsed once. */
function pathOf(text: string): JsonPath {
  const known = paths.get(text) ?? parseJsonPath(text) ?? [];
  paths.set(text, known);
  return known;
}

/** Seconds until the year 5138, milliseconds from then on. */
const secondsBelow = 1e11;

function timeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,16}(?:\.\d+)?$/.test(text)) return instantOf(text);
  const number = Number(text);
  return number < secondsBelow ? number * 1_000 : number;
}
