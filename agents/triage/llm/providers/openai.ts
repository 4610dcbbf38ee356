import { openChatCompletions } from '../chat-completions.ts';
import type { ProviderKind } from '../provider.ts';

/** OpenAI's own Chat Completions, with a strict response format. */
export const provider: ProviderKind = {
  kind: 'openai',
  open: (config, access) =>
    openChatCompletions(config, access, {
      baseUrl: config.baseUrl ?? 'https://api.openai.com/v1',
      limitKey: 'max_completion_tokens',
      formatted: true,
    }),
};
