import { z } from 'zod';
import { SecretRef } from '#config/schema.ts';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { basicHeaders, bearerHeaders, secretOf } from './api.ts';

const headerName = z.string().regex(/^[A-Za-z0-9-]{1,100}$/, 'must be the name of a header');

/** The keys of kinds whose product has no login of its own: what a proxy in front of it asks for. */
export const loginOptions = {
  user: z
    .string()
    // RFC 7617: the first colon ends the name.
    .regex(/^[^:\p{Cc}]{1,200}$/u, 'must be a name without a colon')
    .optional()
    .describe('Name for basic authentication, with `password`.'),
  password: SecretRef.optional().describe('Password for basic authentication, with `user`.'),
  token: SecretRef.optional().describe('Token that is sent as `Authorization: Bearer`.'),
  headers: z
    .record(headerName, z.string().max(1_000))
    .default({})
    .describe('Headers to send, such as X-Scope-OrgID. No secrets: they stand here in the open.'),
  headersFrom: z.record(headerName, SecretRef).default({}).describe('Headers whose values are secrets.'),
};

export interface LoginOptions {
  user?: string | undefined;
  password?: SecretRef | undefined;
  token?: SecretRef | undefined;
  headers: Record<string, string>;
  headersFrom: Record<string, SecretRef>;
}

type LoginHeaders = { ok: true; headers: Record<string, string> } | { ok: false; reason: string };

/** The headers of a login. Secrets are read at each look. */
export function loginHeaders(options: LoginOptions, context: Pick<CheckContext, 'baseFolder'>): LoginHeaders {
  const headers: Record<string, string> = { ...options.headers };
  for (const [name, ref] of Object.entries(options.headersFrom)) {
    const secret = secretOf(ref, context);
    if (!secret.ok) return secret;
    headers[name] = secret.value;
  }
  if (options.token !== undefined) {
    const token = secretOf(options.token, context);
    if (!token.ok) return token;
    Object.assign(headers, bearerHeaders(token.value));
  } else if (options.user !== undefined) {
    const password =
      options.password === undefined ? { ok: true as const, value: '' } : secretOf(options.password, context);
    if (!password.ok) return password;
    Object.assign(headers, basicHeaders(options.user, password.value));
  }
  return { ok: true, headers };
}
