import { scrub } from '#bus/scrub.ts';
import { type FailureClass, type Fate, ProviderFailure } from './provider.ts';

/** A refused request as an endpoint told it. */
interface Refusal {
  provider: string;
  status: number;
  headers?: Headers | undefined;
  /** All of the error body that says something: message, type, code. Untrusted. */
  text: string;
  /** The part of it that a person should read; all of it when absent. */
  said?: string | undefined;
  now: number;
}

const dayMs = 86_400_000;
/** A provider that asks for more is asked again after this: no header puts one out of service for good. */
const longestRetryAfterMs = dayMs;
/** Usage limits are monthly. */
const longestBillingMs = 32 * dayMs;
/** llama.cpp and its kin answer 503 while the weights are read from disk. */
const loadingRetryMs = 15_000;

/** Ordered: the first text that matches decides. Providers move wording freely, so each has several. */
const texts: readonly (readonly [FailureClass, RegExp])[] = [
  [
    'billing',
    /credit balance|usage limits|insufficient[ _](?:quota|balance|credits?|funds)|budget[_ ]?exceeded|exceeded ?budget|exceeded your current quota|billing|payment required/i,
  ],
  [
    'too-long',
    /context[ _-]?(?:length|window|size)|prompt is too long|input is too long|maximum context|too many (?:input )?tokens|request_too_large|maximum prompt length/i,
  ],
  [
    'refused',
    /content[ _-]?(?:policy|filter|management)|safety (?:system|policy)|flagged|responsible ai|usage policy|moderation/i,
  ],
  ['auth', /model[ _]not[ _]found|model .{0,120}(?:not found|does not exist|not exist)|invalid[ _]api[ _]key/i],
];

const byStatus: Record<number, FailureClass> = {
  401: 'auth',
  402: 'billing',
  403: 'auth',
  404: 'auth',
  408: 'transient',
  409: 'transient',
  413: 'too-long',
  425: 'transient',
  429: 'transient',
};

/** The class of a refused request. */
function classOf(status: number, text: string): FailureClass {
  const known = byStatus[status];
  if (known !== undefined && status !== 429) return known;
  const said = texts.find(([, pattern]) => pattern.test(text))?.[0];
  // A rate limit of tokens may speak of context; only an empty purse changes what follows from a 429.
  if (status === 429) return said === 'billing' ? 'billing' : 'transient';
  if (status >= 500) return said === 'too-long' ? 'too-long' : 'transient';
  if (status >= 400) return said ?? 'ours';
  return said ?? 'transient';
}

/** The failure that a refused request becomes. */
export function refusalOf(refusal: Refusal): ProviderFailure {
  const failureClass = classOf(refusal.status, refusal.text);
  return new ProviderFailure(
    `Cannot ask "${refusal.provider}": it answered ${refusal.status}${saying(refusal.said ?? refusal.text)}`,
    {
      failureClass,
      fate: { is: 'rejected' },
      status: refusal.status,
      retryAfterMs: retryAfterOf(refusal, failureClass),
    },
  );
}

/** An answer that arrived with success and is of no use; `what` goes on after "it". */
export function uselessAnswer(
  what: string,
  details: { provider: string; failureClass: FailureClass; fate: Fate },
): ProviderFailure {
  return new ProviderFailure(`Cannot use the answer of "${details.provider}": it ${scrub(what)}`, {
    failureClass: details.failureClass,
    fate: details.fate,
    status: 200,
  });
}

/** Codes that say that nothing was sent. */
const unsent = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT|CERT|SELF_SIGNED/;

/** A request without an answer: refused connection, reset, cut body, a time that was up. */
export function silenceOf(provider: string, error: unknown): ProviderFailure {
  const codes = causesOf(error).join(' ');
  return new ProviderFailure(`Cannot ask "${provider}": it gave no whole answer${saying(codes)}`, {
    failureClass: 'transient',
    fate: unsent.test(codes) ? { is: 'rejected' } : { is: 'unknown' },
    cause: error,
  });
}

function causesOf(error: unknown): string[] {
  const found: string[] = [];
  for (let each: unknown = error; each instanceof Error && found.length < 6; each = each.cause) {
    found.push('code' in each && typeof each.code === 'string' ? each.code : each.message);
    if (each instanceof AggregateError) found.push(...each.errors.flatMap(causesOf).slice(0, 4));
  }
  return found;
}

function saying(text: string): string {
  const plain = scrub(text)
    .replaceAll(/<[^>]{0,200}>/g, ' ')
    .replaceAll(/[\p{Cc}\s]+/gu, ' ')
    .trim();
  return plain === '' ? '' : `: ${plain.length > 120 ? `${plain.slice(0, 119)}…` : plain}`;
}

function retryAfterOf(refusal: Refusal, failureClass: FailureClass): number | undefined {
  if (failureClass === 'billing') {
    const date = billingDateIn(refusal.text, refusal.now);
    if (date !== undefined) return Math.min(date, longestBillingMs);
  }
  const told = headerMs(refusal);
  if (told !== undefined) return Math.min(told, longestRetryAfterMs);
  return refusal.status === 503 && /loading/i.test(refusal.text) ? loadingRetryMs : undefined;
}

/** Retry-After is seconds or an HTTP date (RFC 9110, 10.2.3); OpenAI adds `retry-after-ms`. */
function headerMs({ headers, now }: Refusal): number | undefined {
  const precise = Number(headers?.get('retry-after-ms') ?? Number.NaN);
  if (Number.isFinite(precise) && precise >= 0) return precise;
  const value = headers?.get('retry-after');
  if (value === undefined || value === null || value === '') return undefined;
  const ms = /^\d+(?:\.\d+)?$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now;
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined;
}

/** "You will regain access on 2026-12-01 at 00:00 UTC": milliseconds until the first date that lies ahead. */
function billingDateIn(text: string, now: number): number | undefined {
  for (const [, day, time] of text.matchAll(/(\d{4}-\d{2}-\d{2})(?:(?:T| at | )(\d{2}:\d{2}))?/g)) {
    const ms = Date.parse(`${day}T${time ?? '00:00'}:00Z`) - now;
    if (Number.isFinite(ms) && ms > 0) return ms;
  }
  return undefined;
}
