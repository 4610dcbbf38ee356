import type { z } from 'zod';
import { jsonOf } from '#agents/sentinel/probes/text.ts';
import type { Reading } from './alert.ts';

type Refusal = Extract<Reading, { is: 'refused' }>;

export function refusal(reason: string): Refusal {
  return { is: 'refused', status: 400, reason: reason.slice(0, 300) };
}

/** A JSON body as the schema has it, or the reason why it is not. */
export function parseBody<T>(
  schema: z.ZodType<T>,
  body: string,
): { ok: true; value: T } | { ok: false; refusal: Refusal } {
  const value = jsonOf(body);
  if (value === undefined) return { ok: false, refusal: refusal('the body is no JSON') };
  const parsed = schema.safeParse(value);
  if (parsed.success) return { ok: true, value: parsed.data };
  return { ok: false, refusal: refusal(faultText(parsed.error)) };
}

/** The first fault, with its place. */
export function faultText(error: z.ZodError): string {
  const [issue] = error.issues;
  if (issue === undefined) return 'the body cannot be read';
  const path = issue.path.map(String).join('.').slice(0, 80);
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}
