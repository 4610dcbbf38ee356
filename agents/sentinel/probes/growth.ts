import { z } from 'zod';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { remember } from './remembered.ts';

/** After a counter has grown its growth counts for so long: what grows in bursts would never last long enough to be told. */
const lastingMs = 5 * 60_000;
/** What a check may keep has a limit. */
const maximumCounters = 300;

const Counters = z.record(z.string(), z.object({ value: z.number(), grew: z.number(), at: z.number() }));
type Counters = z.output<typeof Counters>;

/** How much counters grew lately, by what a check remembers of them. Contract: `keep` once, after all were asked for. */
export class Growth {
  readonly #context: Pick<CheckContext, 'memory' | 'clock'>;
  readonly #before: Counters;
  readonly #after: Counters = {};

  constructor(context: Pick<CheckContext, 'memory' | 'clock'>) {
    this.#context = context;
    this.#before = Counters.safeParse(context.memory.get('counters')).data ?? {};
  }

  /** The growth of the last five minutes. The first sight of a counter is none; after a restart it begins at 0 again. */
  of(name: string, value: number): number {
    if (!Number.isFinite(value)) return Number.NaN;
    const now = this.#context.clock.now();
    const before = this.#before[name];
    const step = before === undefined ? 0 : value >= before.value ? value - before.value : value;
    const isLasting = before !== undefined && now - before.at < lastingMs;
    const grew = step + (isLasting ? before.grew : 0);
    if (Object.keys(this.#after).length < maximumCounters) {
      this.#after[name] = { value, grew, at: step > 0 ? now : (before?.at ?? 0) };
    }
    return grew;
  }

  keep(): void {
    remember(this.#context.memory, 'counters', this.#after);
  }
}
