import { createHash, timingSafeEqual } from 'node:crypto';
import { Failure } from '#bus/failure.ts';
import type { SecretRef } from '#config/secret-ref.ts';
import type { HttpHead } from '#agents/runtime/http.ts';

/** It may stand in an address, where a short or a strange one would be guessed or mangled. */
const tokenPattern = /^[A-Za-z0-9._~-]{16,200}$/;

/** Resolves the token of a source. Throws a Failure for one that no address can hold. */
export function readToken(name: string, ref: SecretRef, read: (ref: SecretRef) => string): string {
  const token = read(ref);
  if (tokenPattern.test(token)) return token;
  const want =
    'it needs 16 to 200 letters, digits, dots, dashes, tildes or underscores, as "openssl rand -hex 16" prints';
  throw new Failure(`Cannot use the token of the intake "${name}": ${want}`, { recoverable: false });
}

/** Equal, found out in a time that tells nothing of where they differ. */
export function isSame(given: string, wanted: string): boolean {
  return timingSafeEqual(hashOf(given), hashOf(wanted));
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** What stands in the header: a bearer token, or the password of Basic, whatever the user. */
export function shownToken({ headers }: Pick<HttpHead, 'headers'>): string | undefined {
  const match = /^(bearer|basic) +(\S+)$/i.exec((headers.authorization ?? '').trim());
  if (match === null) return undefined;
  const [, scheme = '', value = ''] = match;
  if (scheme.toLowerCase() === 'bearer') return value;
  const text = Buffer.from(value, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon === -1 ? undefined : text.slice(colon + 1);
}

const forwarding = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'x-forwarded-host', 'via'] as const;

/** Whether a program of this machine asks for itself: a proxy here asks for anybody. */
export function isLocal({ remoteAddress, headers }: Pick<HttpHead, 'remoteAddress' | 'headers'>): boolean {
  const isLoopback = /^(?:::ffff:)?127\./.test(remoteAddress) || remoteAddress === '::1';
  return isLoopback && forwarding.every((name) => headers[name] === undefined);
}
