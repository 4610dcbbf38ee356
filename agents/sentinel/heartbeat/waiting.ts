import { createHash } from 'node:crypto';
import { Failure } from '#bus/failure.ts';
import { SecretRef } from '#config/schema.ts';
import type { BoundCheck } from '#agents/sentinel/registry.ts';

/** Which heartbeats are waited for, and under which address. */
export interface Waiting {
  /** The heartbeat that the first part of an address names: by its token where it has one, else by its name. */
  nameOf(part: string): string | undefined;
  /** All heartbeats that are waited for. */
  names(): readonly string[];
  /** The checks that wait for a heartbeat. */
  checksOf(name: string): readonly string[];
}

/** It stands in an address, where a short or a strange one would be guessed or mangled. */
const tokenPattern = /^[A-Za-z0-9._~-]{16,200}$/;

/** `read` resolves the secret of a check. Throws a Failure for a token that no address can hold. */
export function waitingFor(
  checks: Iterable<Pick<BoundCheck, 'id' | 'kind' | 'options'>>,
  read: (ref: SecretRef) => string,
): Waiting {
  const waiting = new Map<string, string[]>();
  const byToken = new Map<string, string>();
  const secret = new Set<string>();
  for (const { id, kind, options } of checks) {
    const name = options['ping'];
    if (kind !== 'heartbeat' || typeof name !== 'string') continue;
    waiting.set(name, [...(waiting.get(name) ?? []), id]);
    const ref = SecretRef.optional().parse(options['token']);
    if (ref === undefined) continue;
    secret.add(name);
    byToken.set(hashOf(tokenIn(ref, name, read)), name);
  }
  return {
    // Found by its hash: how long a comparison takes tells nothing of the token.
    nameOf: (part) => byToken.get(hashOf(part)) ?? (waiting.has(part) && !secret.has(part) ? part : undefined),
    names: () => [...waiting.keys()],
    checksOf: (name) => waiting.get(name) ?? [],
  };
}

function tokenIn(ref: SecretRef, name: string, read: (ref: SecretRef) => string): string {
  const token = read(ref);
  if (tokenPattern.test(token)) return token;
  const want =
    'it needs 16 to 200 letters, digits, dots, dashes, tildes or underscores, as "openssl rand -hex 16" prints';
  throw new Failure(`Cannot use the token of the heartbeat "${name}": ${want}`, { recoverable: false });
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}
