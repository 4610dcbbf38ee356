import { z } from 'zod';
import { type ForeignAlert, withoutEmpty } from './alert.ts';
import type { Delivery } from './source.ts';

/** What a label or an annotation may hold besides text: Grafana's templates can make numbers. */
const Value = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const Pairs = z.record(z.string(), Value);

/** One alert as Prometheus posts it and as Alertmanager and Grafana tell it on. */
export const PrometheusAlert = z.object({
  status: z.string().optional(),
  labels: Pairs,
  annotations: Pairs.nullish(),
  startsAt: z.string().nullish(),
  endsAt: z.string().nullish(),
  generatorURL: z.string().nullish(),
});
export type PrometheusAlert = z.output<typeof PrometheusAlert>;

/** Annotations that say in one line what is wrong, the best first. */
const summaries = ['summary', 'message', 'title', 'description'];
const maximumDetails = 12;

/** The common form, with nothing said yet of whether it fires. Undefined for one that asks for nobody's attention. */
export function wordsOf(
  alert: PrometheusAlert,
  { severityOf, severityLabel }: Pick<Delivery, 'severityOf' | 'severityLabel'>,
): Omit<ForeignAlert, 'status'> | undefined {
  const labels = withoutEmpty(alert.labels);
  const annotations = alert.annotations ?? {};
  const severity = severityOf(labels[severityLabel]);
  if (severity === undefined) return undefined;
  const startsAt = instantOf(alert.startsAt);
  const told = summaries.find((name) => (annotations[name] ?? '').trim() !== '');
  return {
    labels,
    severity,
    condition: 'problem',
    summary: (told === undefined ? undefined : annotations[told]) ?? nameOf(labels),
    details: Object.entries(annotations)
      .filter(([name, value]) => name !== told && value.trim() !== '')
      .slice(0, maximumDetails)
      .flatMap(([name, value]) => `${name}: ${value}`.split('\n').slice(0, maximumDetails)),
    ...(startsAt !== undefined && { startsAt }),
    ...(typeof alert.generatorURL === 'string' && alert.generatorURL !== '' && { generatorUrl: alert.generatorURL }),
  };
}

function nameOf(labels: Readonly<Record<string, string>>): string {
  const name = labels['alertname'] ?? 'alert';
  const about = labels['instance'] ?? labels['host'] ?? labels['job'];
  return about === undefined ? name : `${name}: ${about}`;
}

/** Epoch ms; undefined for none, for nonsense and for Go's zero time, which means none. */
export function instantOf(text: string | null | undefined): number | undefined {
  if (text === null || text === undefined || text.startsWith('0001-')) return undefined;
  const at = Date.parse(text);
  return Number.isFinite(at) ? at : undefined;
}
