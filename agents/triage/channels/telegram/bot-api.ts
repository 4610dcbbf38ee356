import type { Api, GrammyError, Transformer } from 'grammy';
import { cut, visibleLine } from '../../render/visible.ts';
import { DeliveryFailure } from '../../channel.ts';

/** Telegram refused, or did not answer (`code` 0). The token stands nowhere in it, and no cause is attached: fetch errors quote the address, which holds the token. */
export class TelegramFailure extends DeliveryFailure {
  readonly code: number;
  readonly description: string;
  /** The chat's new id when a group became a supergroup. */
  readonly migratedTo: number | undefined;

  constructor(what: string, answer: Answer) {
    const isShut = shutsAll(answer);
    super(`Cannot ${what} Telegram: ${answer.description}`, {
      recoverable: isShut || answer.code === 0 || answer.code === 409 || answer.code === 429 || answer.code >= 500,
      retryAfterMs: answer.retryAfterMs ?? (isShut ? shutPauseMs : undefined),
      isShut,
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

/** With a refused token or a chat that is closed to the bot only a person can help; asking more often is noise. */
const shutPauseMs = 300_000;
/** Telegram's words for a chat that takes no text of this bot, beside 403 "bot was blocked" and "bot was kicked". */
const closedChat =
  /chat not found|chat was deactivated|CHAT_WRITE_FORBIDDEN|(?:not enough|have no) rights to send (?:text messages|a message)|message thread not found|TOPIC_CLOSED/;

function shutsAll({ code, description, migratedTo }: Answer): boolean {
  if (migratedTo !== undefined) return false;
  return code === 401 || code === 403 || code === 404 || (code === 400 && closedChat.test(description));
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
  api.config.use(asTelegram);
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

const strange = { ok: false, error_code: 502, description: 'Bad Gateway: the answer is not one of Telegram' } as const;

/** A proxy or a portal may answer in its place: what has not Telegram's form is an outage and not an answer. */
const asTelegram: Transformer = async (previous, method, ...rest) => {
  const answer = await previous(method, ...rest);
  return isAnswerTo(method, answer) ? answer : strange;
};

function isAnswerTo(method: string, answer: unknown): boolean {
  if (!isRecord(answer)) return false;
  if (answer['ok'] === true) return isResultOf(method, answer['result']);
  return (
    answer['ok'] === false && typeof answer['error_code'] === 'number' && typeof answer['description'] === 'string'
  );
}

function isResultOf(method: string, result: unknown): boolean {
  switch (method) {
    case 'getUpdates':
      return (
        Array.isArray(result) && result.every((update) => isRecord(update) && Number.isSafeInteger(update['update_id']))
      );
    case 'getMe':
      return isRecord(result) && typeof result['username'] === 'string';
    case 'sendMessage':
    case 'sendDocument':
      return isRecord(result) && Number.isSafeInteger(result['message_id']);
    default:
      return true;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
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
