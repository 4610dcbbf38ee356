import { openChatCompletions } from '../chat-completions.ts';
import { type ProviderKind, ProviderFailure } from '../provider.ts';

/**
 * Any endpoint that speaks Chat Completions: LiteLLM, MiniMax, Ollama, llama.cpp, vLLM, LM Studio. The shape of the
 * answer is told in words: some accept a response format and ignore it, others break on it.
 */
export const provider: ProviderKind = {
  kind: 'compatible',
  async open(config, access) {
    if (config.baseUrl === undefined) {
      throw new ProviderFailure(`Cannot use provider "${config.name}": it has no baseUrl`, {
        failureClass: 'auth',
        fate: { is: 'rejected' },
      });
    }
    return openChatCompletions(config, access, { baseUrl: config.baseUrl, limitKey: 'max_tokens', formatted: false });
  },
};
