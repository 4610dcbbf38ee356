import { z } from 'zod';
import { messageOf } from '#bus/failure.ts';
import type { ProviderConfig } from '#config/schema.ts';
import { resolveSecret } from '#config/secrets.ts';
import type { CommandContext } from '../commands/command.ts';
import { systemClock } from '../runtime/clock.ts';
import { loadPlugins } from '../runtime/plugins.ts';
import type { ProviderKind } from '../triage/llm/provider.ts';
import type { Finding } from './finding.ts';

/** A local model may have to be loaded first. */
const lookMs = 30_000;
const folder = new URL('../triage/llm/providers/', import.meta.url);
const shape = z.object({ answer: z.string() });

export async function* examineModels(context: CommandContext): AsyncGenerator<Finding> {
  const { providers } = context.loaded.config.llm;
  if (providers.length === 0) {
    yield { subject: 'models', ok: true, text: 'none configured: rules assess' };
    return;
  }
  const kinds = await loadPlugins<ProviderKind>({
    folder,
    exportName: 'provider',
    kindOf: (provider) => provider.kind,
  });
  for (const config of providers) yield await examineProvider(config, kinds.get(config.kind), context);
}

async function examineProvider(
  config: ProviderConfig,
  kind: ProviderKind | undefined,
  context: CommandContext,
): Promise<Finding> {
  const subject = config.name;
  const mend = `check the key, the model name "${config.model}" and ${config.baseUrl ?? 'the account'}`;
  try {
    const apiKey = config.apiKey === undefined ? undefined : resolveSecret(config.apiKey, context.loaded.baseFolder);
    const provider = await kind?.open(config, { apiKey, now: () => systemClock.now() });
    const question = {
      system: 'Answer in JSON.',
      turns: [{ role: 'user' as const, text: 'Reply with {"answer":"ready"}.' }],
    };
    const answer = await provider?.ask(
      { ...question, shape, shapeName: 'readiness', maxOutputTokens: 200 },
      AbortSignal.any([context.signal, AbortSignal.timeout(lookMs)]),
    );
    return { subject, ok: true, text: `${config.model} answers (${answer?.outputTokens ?? 0} tokens)` };
  } catch (error) {
    return { subject, ok: false, text: messageOf(error), mend };
  }
}
