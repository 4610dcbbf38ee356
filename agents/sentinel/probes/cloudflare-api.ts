import { z } from 'zod';
import type { Api, ApiAnswer, ApiCall } from './api.ts';
import { oneLine } from './text.ts';

const Fault = z.array(z.object({ code: z.number().optional(), message: z.string().default('') })).nullish();
const Envelope = z.object({ success: z.boolean(), errors: Fault, result: z.unknown() });

/** Cloudflare's API v4: `result` of the envelope. `success: false` is no answer, whatever the status says. */
export async function cloudflareResult<T>(api: Api, schema: z.ZodType<T>, call: ApiCall): Promise<ApiAnswer<T>> {
  const answer = await api.json(Envelope, call);
  if (answer.is !== 'value') return answer;
  const { success, errors, result } = answer.value;
  if (!success) {
    const [first] = errors ?? [];
    return { is: 'unreadable', reason: `it says "${oneLine(first?.message ?? 'no reason', 160)}"` };
  }
  const parsed = schema.safeParse(result);
  if (parsed.success) return { ...answer, value: parsed.data };
  const [issue] = parsed.error.issues;
  const where = oneLine(issue?.path.join('.') ?? '', 80);
  return {
    is: 'unreadable',
    reason: `its answer has another shape at result.${where}: ${oneLine(issue?.message ?? '', 120)}`,
  };
}
