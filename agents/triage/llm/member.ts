import { createHash } from 'node:crypto';
import { z } from 'zod';
import { canonical } from '#bus/canonical.ts';
import { Failure } from '#bus/failure.ts';
import type { ProviderConfig } from '#config/schema.ts';
import { type BreakerEvent, type BreakerState, nextState } from './breaker.ts';
import type { Ledger } from './ledger.ts';
import { type Provider, ProviderFailure, type ProviderKind, type Question } from './provider.ts';

interface MemberOptions {
  config: ProviderConfig;
  kind: ProviderKind;
  /** Reads the key where the configuration says. Throws a Failure when it cannot. */
  apiKey: () => string | undefined;
  ledger: Ledger;
  now: () => number;
  notify: (text: string) => void;
}

/** One provider of the chain: its connection, opened when first asked, and its breaker, kept over restarts. */
export class Member {
  readonly config: ProviderConfig;
  readonly #options: MemberOptions;
  readonly #configHash: string;
  #state: BreakerState;
  #provider: Promise<Provider> | undefined;
  /** The small request under way that decides whether it may come back. */
  probe: Promise<void> | undefined;

  constructor(options: MemberOptions) {
    this.config = options.config;
    this.#options = options;
    this.#configHash = configHashOf(options);
    this.#state = options.ledger.loadState(options.config.name, this.#configHash);
  }

  get name(): string {
    return this.config.name;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Moves the breaker, keeps the new state, and says once what a person has to mend. */
  apply(event: BreakerEvent, failure?: ProviderFailure): void {
    const before = this.#state;
    const after = nextState(before, event);
    if (after === before) return;
    this.#state = after;
    if (canonical(after) !== canonical({ ...before, since: after.since })) {
      this.#options.ledger.saveState(this.name, this.#configHash, after);
    }
    if (after.announced !== undefined && after.announced !== before.announced) {
      this.#options.notify(noticeOf(this.name, after, failure));
    }
    if (before.announced !== undefined && after.announced === undefined) {
      this.#options.notify(`The model provider "${this.name}" answers again.`);
    }
  }

  /** Contract: throws only ProviderFailure for what the world does. */
  async connect(): Promise<Provider> {
    this.#provider ??= this.#open();
    try {
      return await this.#provider;
    } catch (error) {
      // The key's file may be there next time.
      this.#provider = undefined;
      throw error;
    }
  }

  async #open(): Promise<Provider> {
    const { config, kind, now } = this.#options;
    const apiKey = this.#readKey();
    if (apiKey === undefined && config.kind !== 'compatible' && config.baseUrl === undefined) {
      throw authFailure(`Cannot ask "${config.name}": it has no apiKey`);
    }
    return kind.open(config, { apiKey, now });
  }

  #readKey(): string | undefined {
    try {
      return this.#options.apiKey();
    } catch (error) {
      if (error instanceof Failure) throw authFailure(error.message, error);
      throw error;
    }
  }
}

function authFailure(message: string, cause?: unknown): ProviderFailure {
  return new ProviderFailure(message, { failureClass: 'auth', fate: { is: 'rejected' }, cause });
}

/** Changes with the configuration of this provider and with its key, of which only a hash is kept. */
function configHashOf(options: MemberOptions): string {
  const hash = createHash('sha256').update(canonical(options.config));
  try {
    hash.update('\0').update(options.apiKey() ?? '');
  } catch (error) {
    // A key that cannot be read is told when the provider is first needed.
    if (!(error instanceof Failure)) throw error;
  }
  return hash.digest('hex');
}

function noticeOf(name: string, state: BreakerState, failure: ProviderFailure | undefined): string {
  const said = failure === undefined ? '' : ` ${failure.message}.`;
  const again = new Date(state.until).toISOString();
  return state.announced === 'billing'
    ? `The model provider "${name}" refuses for lack of money.${said} It is left alone until ${again}.`
    : `The model provider "${name}" refuses its key or model.${said} It is off until the configuration changes, and tried again after ${again}.`;
}

/** The small request that decides whether a provider comes back. Room enough for a model that thinks first. */
export const probeQuestion: Question = {
  system: 'This is a test of the connection.',
  turns: [{ role: 'user', text: 'Answer with this JSON object and nothing else: {"ok": true}' }],
  shape: z.object({ ok: z.boolean() }),
  shapeName: 'probe',
  maxOutputTokens: 100,
};
