import { z } from 'zod';
import { type ForeignAlert, type Reading, readingOf } from './alert.ts';
import { parseBody } from './body.ts';
import { instantOf, PrometheusAlert, wordsOf } from './prometheus-alert.ts';
import type { Delivery } from './source.ts';

/** Alertmanager's webhook, version 4, and what Grafana made of it. Told apart by nothing: both are read for `alerts`. */
const Payload = z.object({
  alerts: z.array(PrometheusAlert.extend({ values: z.unknown().optional() })).max(20_000),
  externalURL: z.string().optional(),
  truncatedAlerts: z.number().optional(),
});

type Told = z.output<typeof Payload>['alerts'][number];

/** The alerts of a webhook. `refine` says what a kind knows better; undefined leaves an alert out and counts it. */
export function readWebhook(
  delivery: Delivery,
  refine: (alert: ForeignAlert, told: Told) => ForeignAlert | undefined = (alert) => alert,
): Reading {
  const parsed = parseBody(Payload, delivery.body);
  if (!parsed.ok) return parsed.refusal;
  const { alerts } = parsed.value;
  const read = alerts.flatMap((told) => {
    const alert = alertOf(told, delivery);
    const refined = alert && refine(alert, told);
    return refined === undefined ? [] : [refined];
  });
  return readingOf(read, alerts.length - read.length);
}

/** The end of one that fires is left to the next message: Alertmanager tells none, Grafana a time that has passed. */
function alertOf(told: Told, delivery: Delivery): ForeignAlert | undefined {
  const words = wordsOf(told, delivery);
  if (words === undefined) return undefined;
  const endsAt = instantOf(told.endsAt);
  if (told.status?.toLowerCase() !== 'resolved') return { ...words, status: 'firing' };
  return { ...words, status: 'resolved', ...(endsAt !== undefined && { endsAt }) };
}
