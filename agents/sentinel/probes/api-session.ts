import { createHash } from 'node:crypto';
import type { SecretRef } from '#config/schema.ts';
import { type ApiAnswer, type ApiContext, secretOf } from './api.ts';

type Headers = Record<string, string>;

/** How a product gives a token for a name and a password. */
export interface Login {
  url: string;
  user: string;
  password: SecretRef | undefined;
  /** One login. `lifeMs`: how long the token is good. */
  ask: (password: string) => Promise<ApiAnswer<{ token: string; lifeMs: number }>>;
}

interface Kept {
  /** A hash, so that a renewed password is tried at once and none is kept here. */
  password: string;
  until: number;
  answer: ApiAnswer<string>;
}

/** A token is renewed before it ends: a look may take a while. */
const spareMs = 60_000;
/** Products count refused logins and lock the account or the address: one that was refused is not repeated before. */
const refusedMs = 300_000;

/** Tokens of one product by address and user. They live in this process only, never in a check's memory, which is stored. */
export class Sessions {
  readonly #kept = new Map<string, Kept>();

  /**
   * The first call of a look with a token that is good, and the headers for the calls after it. A kept token that is
   * refused is renewed once.
   */
  async open<T>(
    login: Login,
    context: ApiContext,
    call: (headers: Headers) => Promise<ApiAnswer<T>>,
  ): Promise<{ answer: ApiAnswer<T>; headers: Headers }> {
    const key = `${login.url} ${login.user}`;
    const isKept = this.#kept.has(key);
    for (const isLast of isKept ? [false, true] : [true]) {
      const token = await this.#token(key, login, context);
      if (token.is !== 'value') return { answer: token, headers: {} };
      const headers = { authorization: `Bearer ${token.value}` };
      const answer = await call(headers);
      if (isLast || answer.is !== 'refused' || answer.status !== 401) return { answer, headers };
      this.#kept.delete(key);
    }
    return { answer: { is: 'unable', reason: 'no login was tried' }, headers: {} };
  }

  async #token(key: string, login: Login, context: ApiContext): Promise<ApiAnswer<string>> {
    if (login.password === undefined) return { is: 'unable', reason: 'no password is given' };
    const secret = secretOf(login.password, context);
    if (!secret.ok) return { is: 'unable', reason: secret.reason };
    const password = createHash('sha256').update(secret.value).digest('hex');
    const kept = this.#kept.get(key);
    if (kept?.password === password && context.clock.now() < kept.until) return kept.answer;
    const asked = await login.ask(secret.value);
    if (asked.is === 'value') {
      const answer = { ...asked, value: asked.value.token };
      this.#kept.set(key, { password, until: context.clock.now() + asked.value.lifeMs - spareMs, answer });
      return answer;
    }
    const isRefused = asked.is === 'refused' && [401, 403, 429].includes(asked.status);
    if (isRefused) this.#kept.set(key, { password, until: context.clock.now() + refusedMs, answer: asked });
    return asked;
  }
}
