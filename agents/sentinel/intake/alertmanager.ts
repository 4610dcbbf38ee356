import { z } from 'zod';
import { type ForeignAlert, readingOf } from '#agents/sentinel/foreign/alert.ts';
import { askAlertmanager } from '#agents/sentinel/foreign/alertmanager-api.ts';
import { faultText, parseBody } from '#agents/sentinel/foreign/body.ts';
import { instantOf, PrometheusAlert, wordsOf } from '#agents/sentinel/foreign/prometheus-alert.ts';
import { type Delivery, defineIntake } from '#agents/sentinel/foreign/source.ts';

/** More than any Prometheus posts at once. */
const maximumAlerts = 20_000;

export const intake = defineIntake({
  kind: 'alertmanager',
  about:
    "Alertmanager's API: Prometheus, vmalert and Loki's ruler post to it as to an Alertmanager; amtool and Grafana read it.",
  options: z.strictObject({}),
  maximumBytes: 4 * 1_048_576,
  // Alertmanager's resolve_timeout.
  resolveAfterMs: 5 * 60_000,
  postedTo: 'api/v2/alerts',
  read,
  ask: (_options, question) => askAlertmanager(question),
});

/** As Alertmanager does it: what is wrong with one alert does not keep out the others. */
function read(_options: unknown, delivery: Delivery) {
  const parsed = parseBody(z.array(z.unknown()).max(maximumAlerts), delivery.body);
  if (!parsed.ok) return parsed.refusal;
  const alerts: ForeignAlert[] = [];
  const refused: string[] = [];
  let countedOnly = 0;
  for (const posted of parsed.value) {
    const alert = PrometheusAlert.safeParse(posted);
    const read = alert.success ? alertOf(alert.data, delivery) : faultText(alert.error);
    if (typeof read === 'string') refused.push(read);
    else if (read === undefined) countedOnly += 1;
    else alerts.push(read);
  }
  const reading = readingOf(alerts, countedOnly);
  if (reading.is !== 'alerts') return reading;
  return { ...reading, refused: [...refused, ...(reading.refused ?? [])] };
}

function alertOf(posted: PrometheusAlert, delivery: Delivery): ForeignAlert | string | undefined {
  const words = wordsOf(posted, delivery);
  if (words === undefined) return undefined;
  const endsAt = instantOf(posted.endsAt);
  if (words.startsAt !== undefined && endsAt !== undefined && words.startsAt > endsAt) {
    return 'start time must be before end time';
  }
  const isOver = endsAt !== undefined && endsAt <= delivery.now;
  return { ...words, status: isOver ? 'resolved' : 'firing', ...(endsAt !== undefined && { endsAt }) };
}
