import { z } from 'zod';
import type { Severity } from '#bus/fields.ts';
import { type ForeignAlert, type Reading, readingOf } from '#agents/sentinel/foreign/alert.ts';
import { parseBody, refusal } from '#agents/sentinel/foreign/body.ts';
import { type Delivery, defineIntake } from '#agents/sentinel/foreign/source.ts';

const Tag = z.object({ name: z.string(), value: z.string().nullish() });
const Monitor = z.object({
  id: z.union([z.number(), z.string()]).nullish(),
  name: z.string().nullish(),
  url: z.string().nullish(),
  hostname: z.string().nullish(),
  type: z.string().nullish(),
  tags: z.array(Tag).max(100).nullish(),
});
type Monitor = z.output<typeof Monitor>;

const Payload = z.object({
  heartbeat: z.object({ status: z.number(), msg: z.string().nullish(), ping: z.number().nullish() }).nullish(),
  monitor: Monitor.nullish(),
  msg: z.string().nullish(),
});

const down = 0;
/** A test says nothing when it is over. */
const testMs = 5 * 60_000;
/** Notices of certificates come three times in three weeks, and none says that the certificate was renewed. */
const certificateMs = 8 * 86_400_000;

export const intake = defineIntake({
  kind: 'uptime-kuma',
  about: "Uptime Kuma's webhook notification, with its default JSON body. A tag named severity says how bad it is.",
  options: z.strictObject({}),
  maximumBytes: 262_144,
  read,
});

function read(_options: unknown, delivery: Delivery): Reading {
  const parsed = parseBody(Payload, delivery.body);
  if (!parsed.ok) return parsed.refusal;
  const { heartbeat, monitor, msg } = parsed.value;
  if (heartbeat !== null && heartbeat !== undefined) {
    const alert = monitorAlert(monitor ?? {}, { ...heartbeat, whole: msg }, delivery);
    return alert === undefined ? readingOf([], 1) : readingOf([alert]);
  }
  const text = msg ?? '';
  if (text === '') return refusal('it has neither a heartbeat nor a msg, as a webhook of Uptime Kuma does');
  return readingOf([certificateNotice(text, delivery.now) ?? testNotice(text, delivery.now)]);
}

function monitorAlert(
  monitor: Monitor,
  said: { status: number; msg?: string | null | undefined; whole: string | null | undefined },
  delivery: Delivery,
): ForeignAlert | undefined {
  const severity = severityOf(monitor, delivery);
  if (severity === undefined) return undefined;
  const name = monitor.name ?? 'monitor';
  return {
    // A monitor may be renamed or moved while it is down: only its id stays.
    labels: { alertname: 'MonitorDown', monitor_id: String(monitor.id ?? name) },
    more: { monitor: name, ...placeOf(monitor) },
    // Pending is not sent; maintenance and up end it.
    status: said.status === down ? 'firing' : 'resolved',
    severity,
    condition: 'problem',
    summary: `${name} is down${said.msg ? `: ${said.msg}` : ''}`,
    details: [said.whole ?? ''],
  };
}

function severityOf({ tags }: Monitor, { severityOf: read, severityLabel }: Delivery): Severity | undefined {
  const tag = tags?.find(({ name }) => name.toLowerCase() === severityLabel.toLowerCase());
  return tag === undefined ? 'critical' : read(tag.value ?? '');
}

/** `https://` is what Kuma leaves in the address of a monitor that has none. */
function placeOf({ hostname, url, type }: Monitor): Record<string, string> {
  const place = hostname ?? (url === 'https://' ? undefined : url) ?? '';
  return { ...(place !== '' && { instance: place }), ...(type !== undefined && type !== null && { type }) };
}

/** `[name][https://example.org] server certificate example.org will expire in 7 days` comes without a monitor. */
function certificateNotice(text: string, now: number): ForeignAlert | undefined {
  const match = /^\[([^\]]{1,200})\]\[([^\]]{0,500})\].{0,200}certificate.{0,300}expire[sd]? in (-?\d{1,5}) day/s.exec(
    text,
  );
  if (match === null) return undefined;
  const [, name = '', url = '', days = ''] = match;
  return {
    labels: { alertname: 'certificate-expiring', monitor: name, instance: url },
    status: 'firing',
    severity: Number(days) <= 3 ? 'critical' : 'warning',
    condition: 'problem',
    summary: `${name}: the certificate expires in ${days} days`,
    details: [text],
    endsAt: now + certificateMs,
  };
}

function testNotice(text: string, now: number): ForeignAlert {
  return {
    labels: { alertname: 'TestAlert' },
    status: 'firing',
    severity: 'info',
    condition: 'problem',
    summary: `Uptime Kuma: ${text}`,
    details: [],
    endsAt: now + testMs,
  };
}
