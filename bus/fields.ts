import { z } from 'zod';

/** ISO 8601 with zone, as every time on the wire: `2026-11-20T03:00:00.000Z`. */
export const Instant = z.iso.datetime({ offset: true });

/** One topic level: what may stand as identity in a topic. No `/ + #`, no control characters, at most 128 characters. */
export const Ident = z
  .string()
  .regex(/^[^/+#\p{Cc}]{1,128}$/u, 'must be 1 to 128 characters without / + # or control characters');

/** Text from the world or a model. It is data: whoever shows it escapes it for where it goes. */
export const Text = z.string().max(4_000);
export const Line = z.string().max(600);

export const Severity = z.enum(['info', 'warning', 'critical']);
export type Severity = z.output<typeof Severity>;

/** Prometheus labels. Names as Prometheus allows them, values bounded. */
export const Labels = z.record(z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]{0,127}$/), z.string().max(1_000));
export type Labels = z.output<typeof Labels>;

/** Beside what it signs: the id of the key, and the signature in base64url. */
export const SignatureField = z.object({ key: z.string().max(80), value: z.string().max(200) });

/** SHA-256 in hex. */
export const Digest = z.string().regex(/^[0-9a-f]{64}$/);

/** Alertmanager's fingerprint of a label set: 16 hex digits. */
export const Fingerprint = z.string().regex(/^[0-9a-f]{16}$/);

export const ParameterValue = z.union([z.string().max(1_000), z.number(), z.boolean()]);
export const Parameters = z.record(z.string().max(64), ParameterValue);
export type Parameters = z.output<typeof Parameters>;

const rank: Record<Severity, number> = { info: 0, warning: 1, critical: 2 };

/** The worse of two severities. */
export function worse(a: Severity, b: Severity): Severity {
  return rank[a] >= rank[b] ? a : b;
}

/** Positive when `a` is worse than `b`: for sorting and for floors. */
export function compareSeverity(a: Severity, b: Severity): number {
  return rank[a] - rank[b];
}
