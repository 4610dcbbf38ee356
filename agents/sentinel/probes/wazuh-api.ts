import { z } from 'zod';
import type { SecretRef } from '#config/schema.ts';
import { type Api, type ApiAnswer, type ApiCall, type ApiContext, basicHeaders, bearerHeaders } from './api.ts';
import { type Session, Sessions } from './api-session.ts';
import { oneLine } from './text.ts';

type Headers = Record<string, string>;

/** The manager's API with a login: each call carries its token. */
export interface Wazuh {
  /** `data` of the answer. */
  data<T>(schema: z.ZodType<T>, call: ApiCall): Promise<ApiAnswer<T>>;
  /** `data.affected_items` of the answer. */
  items<T>(schema: z.ZodType<T>, call: ApiCall): Promise<ApiAnswer<T[]>>;
}

const Envelope = z.object({
  error: z.number(),
  message: z.string().default(''),
  data: z.unknown(),
});
const Failed = z.object({
  failed_items: z.array(z.object({ error: z.object({ message: z.string() }) })).min(1),
});

/** A token lives for 900 s; 50 refused logins lock the address for 300 s, and 300 requests a minute are the most. */
const tokenLifeMs = 900_000;
const sessions = new Sessions();

export async function openWazuh(
  api: Api,
  login: { url: string; user: string; password: SecretRef | undefined },
  context: ApiContext,
): Promise<{ answer: ApiAnswer<{ apiVersion: string }>; wazuh: Wazuh }> {
  const opened = await sessions.open(
    { ...login, ask: (password) => askToken(api, basicHeaders(login.user, password)) },
    context,
    (headers) => dataOf(api, z.object({ api_version: z.string() }), { path: '/', headers }),
  );
  const { answer } = opened;
  return {
    answer: answer.is === 'value' ? { ...answer, value: { apiVersion: answer.value.api_version } } : answer,
    wazuh: withHeaders(api, opened.headers),
  };
}

async function askToken(api: Api, headers: Headers): Promise<ApiAnswer<Session>> {
  const path = '/security/user/authenticate';
  const answer = await dataOf(api, z.object({ token: z.string() }), { method: 'POST', path, headers });
  if (answer.is !== 'value') return answer;
  return { ...answer, value: { headers: bearerHeaders(answer.value.token), lifeMs: tokenLifeMs } };
}

function withHeaders(api: Api, headers: Headers): Wazuh {
  return {
    data: (schema, call) => dataOf(api, schema, { ...call, headers }),
    async items(schema, call) {
      const list = z.object({ affected_items: z.array(schema) });
      const answer = await dataOf(api, list, { ...call, headers });
      return answer.is === 'value' ? { ...answer, value: answer.value.affected_items } : answer;
    },
  };
}

/** HTTP 200 with `error` 1 (all failed) or 2 (some failed) is no answer: what is missing from it is not known. */
async function dataOf<T>(api: Api, schema: z.ZodType<T>, call: ApiCall): Promise<ApiAnswer<T>> {
  const answer = await api.json(Envelope, call);
  if (answer.is !== 'value') return answer;
  const { error, message, data } = answer.value;
  if (error !== 0) {
    const failed = Failed.safeParse(data);
    const why = failed.success ? `: ${oneLine(failed.data.failed_items[0]?.error.message ?? '', 120)}` : '';
    return { is: 'unreadable', reason: `it answered with error ${error}, "${oneLine(message, 120)}"${why}` };
  }
  const parsed = schema.safeParse(data);
  if (parsed.success) return { ...answer, value: parsed.data };
  const [issue] = parsed.error.issues;
  const where = oneLine(issue?.path.join('.') ?? '', 80);
  return {
    is: 'unreadable',
    reason: `its answer has another shape at data.${where}: ${oneLine(issue?.message ?? '', 120)}`,
  };
}
