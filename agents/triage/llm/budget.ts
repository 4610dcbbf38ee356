import type { Config, ProviderConfig } from '#config/schema.ts';
import { type Ledger, type NanoEuro, nanoPerEuro } from './ledger.ts';
import type { Fate, Question, Usage } from './provider.ts';

type Price = NonNullable<ProviderConfig['price']>;

/** Money held for one call that is under way. */
export interface Reservation {
  readonly nanoEuro: NanoEuro;
  readonly inputTokens: number;
  /** Ends it; a second end does nothing. Returns what the call cost in euro. */
  settle(fate: Fate): number;
}

/** The monthly cap. Contract: calls under way and done together pass the cap by at most one reservation. */
export interface Budget {
  readonly capEuro: number;
  /** Holds the worst case of this question, or undefined at the cap. What costs nothing is never refused. */
  reserve(provider: ProviderConfig, question: Question): Reservation | undefined;
  isFree(provider: ProviderConfig): boolean;
  /** The calendar month in UTC that is running: `2026-11`. */
  month(): string;
}

/** Tokens for the frame around the turns: roles, the shape of the answer. */
const frameTokens = 300;
const bytesPerToken = 3.5;

/** Input tokens of a question, rather too many than too few: bytes, so that no script counts as cheap. */
export function estimateTokens(question: Question): number {
  const bytes = question.turns.reduce((sum, turn) => sum + Buffer.byteLength(turn.text), 0);
  return Math.ceil((bytes + Buffer.byteLength(question.system)) / bytesPerToken) + frameTokens;
}

/** Nano-euro of so many tokens, rounded up. Euro per million is nano-euro per token times a thousand. */
function costOf(price: Price, usage: Pick<Usage, 'inputTokens' | 'outputTokens'>): NanoEuro {
  return Math.ceil((usage.inputTokens * price.inputPerMillion + usage.outputTokens * price.outputPerMillion) * 1_000);
}

/** A local provider without a price costs nothing; any other unknown price is the worst one. */
export function priceOf(provider: ProviderConfig, worstPrice: Price): Price {
  if (provider.price !== undefined) return provider.price;
  return provider.sees === 'local' ? { inputPerMillion: 0, outputPerMillion: 0 } : worstPrice;
}

export function createBudget(options: { ledger: Ledger; llm: Config['llm']; now: () => number }): Budget {
  const { ledger, llm, now } = options;
  const month = (): string => new Date(now()).toISOString().slice(0, 7);
  const price = (provider: ProviderConfig): Price => priceOf(provider, llm.worstPrice);

  return {
    capEuro: llm.monthlyCapEuro,
    month,
    isFree: (provider) => price(provider).inputPerMillion === 0 && price(provider).outputPerMillion === 0,
    reserve(provider, question) {
      const inputTokens = estimateTokens(question);
      const nanoEuro = costOf(price(provider), { inputTokens, outputTokens: question.maxOutputTokens });
      const cap = Math.round(llm.monthlyCapEuro * nanoPerEuro);
      const id = ledger.reserve({ month: month(), provider: provider.name, nanoEuro, at: now(), cap });
      if (id === undefined) return undefined;
      let cost: number | undefined;
      return {
        nanoEuro,
        inputTokens,
        settle(fate) {
          if (cost !== undefined) return cost;
          const use = useOf(fate, { price: price(provider), nanoEuro });
          ledger.settle(id, use);
          cost = use.nanoEuro / nanoPerEuro;
          return cost;
        },
      };
    },
  };
}

function useOf(fate: Fate, held: { price: Price; nanoEuro: NanoEuro }): Parameters<Ledger['settle']>[1] {
  switch (fate.is) {
    case 'rejected':
      return { calls: 0, inputTokens: 0, outputTokens: 0, nanoEuro: 0 };
    case 'unknown':
      return { calls: 1, inputTokens: 0, outputTokens: 0, nanoEuro: held.nanoEuro };
    case 'answered': {
      const { inputTokens, outputTokens, costEuro } = fate.usage;
      // A proxy says 0 for a model whose price it does not know, so only a positive figure replaces the price.
      const told = costEuro !== undefined && costEuro > 0 ? Math.ceil(costEuro * nanoPerEuro) : undefined;
      return { calls: 1, inputTokens, outputTokens, nanoEuro: told ?? costOf(held.price, fate.usage) };
    }
  }
}
