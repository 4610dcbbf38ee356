import type { Api, GrammyError } from 'grammy';
import { cut, visibleLine } from '../../render/visible.ts';
import { DeliveryFailure } from '../../channel.ts';

/** Telegram refused, or did not answer (`code` 0). The token stands nowhere in it, and no cause is attached: fetch errors quote the address, which holds the token. */
export class TelegramFailure extends DeliveryFailure {
  readonly code: number;
  readonly description: string;
  /** The chat's new id when a group became a supergroup. */
  readonly migratedTo: number | undefined;

  constructor(what: string, answer: Answer) {
    super(`Cannot ${what} Telegram: ${answer.description}`, {
      recoverable: answer.code === 0 || answer.code === 409 || answer.code === 429 || answer.code >= 500,
      retryAfterMs: answer.retryAfterMs,
    });
    this.code = answer.code;
    this.description = answer.description;
    this.migratedTo = answer.migratedTo;
  }
}

interface Answer {
  code: number;
  description: string;
  retryAfterMs?: number | undefined;
  migratedTo?: number | undefined;
}

/** grammY types its signal after a package of its own; it takes the platform's too. */
type GrammySignal = Parameters<Api['getMe']>[0];

export type Work<T> = (api: Api, signal: GrammySignal) => Promise<T>;

export interface BotApi {
  /**
   * One request. `what` reads "ask", "send to", "edit at". Contract: it ends after `limitMs` (20 s unless told), and
   * throws only `TelegramFailure` or the signal's own reason.
   */
  call<T>(what: string, work: Work<T>, limits: { signal: AbortSignal; limitMs?: number }): Promise<T>;
}

/** Loads grammY only now, so that who uses no Telegram does not pay for it. */
export async function openBotApi(token: string, apiRoot: string): Promise<BotApi> {
  const grammy = await import('grammy');
  const api = new grammy.Api(token, { apiRoot: apiRoot.replace(/\/+$/, '') });
  return {
    async call(what, work, { signal, limitMs = 20_000 }) {
      const timeout = AbortSignal.timeout(limitMs);
      try {
        signal.throwIfAborted();
        return await work(api, AbortSignal.any([signal, timeout]) as unknown as GrammySignal);
      } catch (error) {
        if (signal.aborted) throw signal.reason as Error;
        if (error instanceof grammy.GrammyError) throw new TelegramFailure(what, refusal(error, token));
        if (!(error instanceof grammy.HttpError)) throw error;
        const reason = timeout.aborted ? `no answer within ${limitMs / 1_000} s` : reasonOf(error.error);
        throw new TelegramFailure(what, { code: 0, description: reason });
      }
    },
  };
}

function refusal(error: GrammyError, token: string): Answer {
  const seconds = error.parameters.retry_after;
  return {
    code: error.error_code,
    description: `${error.error_code} ${cut(visibleLine(error.description.replaceAll(token, '[redacted]')), 200)}`,
    retryAfterMs: seconds === undefined ? undefined : seconds * 1_000,
    migratedTo: error.parameters.migrate_to_chat_id,
  };
}

/** The system's error code only: the messages of fetch errors hold the address. */
function reasonOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return 'no connection';
  if ('code' in error && typeof error.code === 'string' && /^\w+$/.test(error.code))
    return `no connection (${error.code})`;
  return 'type' in error && error.type === 'invalid-json' ? 'the answer is not JSON' : 'no connection';
}
