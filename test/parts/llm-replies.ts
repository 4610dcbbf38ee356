/** One answer of a fake model endpoint. */
export type Reply =
  /** A normal answer with this text. */
  | { is: 'text'; text: string; inputTokens?: number; outputTokens?: number; headers?: Record<string, string> }
  /** An answer that ended otherwise: the endpoint's own word for why. `null` leaves the reason out. */
  | { is: 'stop'; reason: string | null; text: string }
  /** An error in the endpoint's own form. */
  | {
      is: 'error';
      status: number;
      type: string;
      message: string;
      code?: string | undefined;
      headers?: Record<string, string>;
    }
  /** Any bytes. */
  | { is: 'raw'; status: number; contentType: string; body: string; headers?: Record<string, string> }
  /** Takes the request and never answers. */
  | { is: 'hang' }
  | { is: 'reset' }
  /** Sends headers and the first half of a normal answer, then closes. */
  | { is: 'half' }
  /** Sends headers and a first byte, then nothing. */
  | { is: 'stalled-body' }
  | { is: 'slow'; ms: number; reply: Reply };

/** A normal answer that holds this JSON. */
export function ok(json: unknown): Reply {
  return { is: 'text', text: JSON.stringify(json) };
}

export function prose(text: string): Reply {
  return { is: 'text', text };
}

/** Every way in which endpoints were seen to fail, by name. */
export const faults = {
  unauthorized: (): Reply => error(401, 'authentication_error', 'invalid x-api-key'),
  paymentRequired: (): Reply => error(402, 'billing_error', 'Payment required'),
  forbidden: (): Reply => error(403, 'permission_error', 'Your key may not use this resource'),
  unknownModel: (): Reply => error(404, 'not_found_error', 'model: no-such-model'),
  creditBalance: (): Reply =>
    error(
      400,
      'invalid_request_error',
      'Your credit balance is too low to access the API. Please go to Plans & Billing to upgrade or purchase credits.',
    ),
  usageLimits: (date: string): Reply =>
    error(
      400,
      'invalid_request_error',
      `You have reached your specified API usage limits. You will regain access on ${date} at 00:00 UTC.`,
    ),
  insufficientQuota: (): Reply => ({
    ...error(429, 'insufficient_quota', 'You exceeded your current quota, please check your plan.'),
    code: 'insufficient_quota',
  }),
  timeout: (): Reply => error(408, 'timeout_error', 'Request timeout'),
  conflict: (): Reply => error(409, 'conflict_error', 'Conflict'),
  tooLarge: (): Reply => error(413, 'request_too_large', 'Request exceeds the maximum size'),
  contextLength: (): Reply => ({
    ...error(400, 'invalid_request_error', "This model's maximum context length is 8192 tokens. prompt is too long"),
    code: 'context_length_exceeded',
  }),
  contentPolicy: (): Reply => ({
    ...error(400, 'invalid_request_error', 'The request was rejected by our content policy'),
    code: 'content_policy_violation',
  }),
  malformed: (): Reply => error(400, 'invalid_request_error', 'messages: at least one message is required'),
  rateLimited: (retryAfter?: string): Reply => ({
    ...error(429, 'rate_limit_error', 'Number of requests has exceeded your rate limit'),
    ...(retryAfter !== undefined && { headers: { 'retry-after': retryAfter } }),
  }),
  htmlError: (status = 500): Reply => ({
    is: 'raw',
    status,
    contentType: 'text/html',
    body: '<html><head><title>Bad gateway</title></head><body><h1>nginx</h1></body></html>',
  }),
  htmlPage: (): Reply => ({ is: 'raw', status: 200, contentType: 'text/html', body: '<html>Sign in</html>' }),
  notJson: (): Reply => ({ is: 'raw', status: 200, contentType: 'application/json', body: '{"choices": [' }),
  overloaded: (): Reply => error(529, 'overloaded_error', 'Overloaded'),
  loadingModel: (): Reply => error(503, 'unavailable_error', 'Loading model'),
  hang: (): Reply => ({ is: 'hang' }),
  reset: (): Reply => ({ is: 'reset' }),
  halfBody: (): Reply => ({ is: 'half' }),
  stalledBody: (): Reply => ({ is: 'stalled-body' }),
  slow: (ms: number, reply: Reply): Reply => ({ is: 'slow', ms, reply }),
  empty: (): Reply => ({ is: 'text', text: '' }),
  refusal: (): Reply => ({ is: 'stop', reason: 'refusal', text: 'I cannot help with that' }),
  contentFilter: (): Reply => ({ is: 'stop', reason: 'content_filter', text: '' }),
  cut: (kind: 'anthropic' | 'openai' | 'compatible'): Reply => ({
    is: 'stop',
    reason: kind === 'anthropic' ? 'max_tokens' : 'length',
    text: '{"cause": "The disk is',
  }),
  noStopReason: (): Reply => ({ is: 'stop', reason: null, text: '{"cause": "half"}' }),
  /** MiniMax's errors come with status 200. */
  baseResponse: (code: number, message: string): Reply => ({
    is: 'raw',
    status: 200,
    contentType: 'application/json',
    body: JSON.stringify({ base_resp: { status_code: code, status_msg: message }, choices: null }),
  }),
  /** LM Studio's errors are a sentence with status 200. */
  errorSentence: (message: string): Reply => ({
    is: 'raw',
    status: 200,
    contentType: 'application/json',
    body: JSON.stringify({ error: message }),
  }),
  refusesFormat: (parameter: string): Reply =>
    error(400, 'invalid_request_error', `Unsupported parameter: ${parameter}`),
};

function error(status: number, type: string, message: string): Extract<Reply, { is: 'error' }> {
  return { is: 'error', status, type, message };
}
