import { createHash } from 'node:crypto';
import type { SecretRef } from '#config/schema.ts';
import { type ApiAnswer, type ApiContext, secretOf } from './api.ts';

type Headers = Record<string, string>;

/** What a login gives: the headers that calls need, and how long they are good. */
export interface Session {
  headers: Headers;
  lifeMs: number;
}

/** How a product gives a session for a name and a password. */
export interface Login {
  url: string;
  user: string;
  password: SecretRef | undefined;
  /** One login. */
  ask: (password: string) => Promise<ApiAnswer<Session>>;
  /** Statuses by which a call says that its session ended. Default 401. */
  ended?: readonly number[];
  /** How long a refused login is not repeated while the password stays the same. Default five minutes. */
  refusedMs?: number;
}

interface Kept {
  /** A hash, so that a renewed password is tried at once and none is kept here. */
  password: string;
  until: number;
  answer: ApiAnswer<Headers>;
}

/** A session is renewed before it ends: a look may take a while. */
const spareMs = 60_000;
/** Products count refused logins and lock the account or the address: one that was refused is not repeated before. */
const usualRefusedMs = 300_000;
const refusals = new Set([400, 401, 403, 429]);
/** Far more than anybody has of one product; those of addresses that are no longer asked go first. */
const maximumKept = 200;

/** Sessions of one product by address and user. They live in this process only, never in a check's memory, which is stored. */
export class Sessions {
  readonly #kept = new Map<string, Kept>();

  /**
   * The first call of a look with a session that is good, and the headers for the calls after it. A kept session that
   * is refused is renewed once.
   */
  async open<T>(
    login: Login,
    context: ApiContext,
    call: (headers: Headers) => Promise<ApiAnswer<T>>,
  ): Promise<{ answer: ApiAnswer<T>; headers: Headers }> {
    const key = `${login.url} ${login.user}`;
    const ended = login.ended ?? [401];
    const isKept = this.#kept.has(key);
    for (const isLast of isKept ? [false, true] : [true]) {
      const session = await this.#session(key, login, context);
      if (session.is !== 'value') return { answer: session, headers: {} };
      const headers = session.value;
      const answer = await call(headers);
      if (isLast || answer.is !== 'refused' || !ended.includes(answer.status)) return { answer, headers };
      this.#kept.delete(key);
    }
    return { answer: { is: 'unable', reason: 'no login was tried' }, headers: {} };
  }

  async #session(key: string, login: Login, context: ApiContext): Promise<ApiAnswer<Headers>> {
    if (login.password === undefined) return { is: 'unable', reason: 'no password is given' };
    const secret = secretOf(login.password, context);
    if (!secret.ok) return { is: 'unable', reason: secret.reason };
    const password = createHash('sha256').update(secret.value).digest('hex');
    const kept = this.#kept.get(key);
    if (kept?.password === password && context.clock.now() < kept.until) return kept.answer;
    const asked = await login.ask(secret.value);
    const now = context.clock.now();
    if (asked.is === 'value') {
      const answer = { ...asked, value: asked.value.headers };
      this.#keep(key, { password, until: now + asked.value.lifeMs - spareMs, answer });
      return answer;
    }
    const isRefused = asked.is === 'refused' && refusals.has(asked.status);
    if (isRefused) this.#keep(key, { password, until: now + (login.refusedMs ?? usualRefusedMs), answer: asked });
    return asked;
  }

  #keep(key: string, kept: Kept): void {
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > maximumKept && oldest !== undefined) this.#kept.delete(oldest);
  }
}
