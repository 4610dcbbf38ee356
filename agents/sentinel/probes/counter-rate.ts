import type { CheckContext } from '#agents/sentinel/check.ts';
import { remember } from './remembered.ts';

interface Sample {
  value: number;
  /** Epoch ms. */
  at: number;
}

/**
 * Growth per second of counters since the last look. Undefined for one that is new; 0 for one that was set back, of which
 * nothing is known until the next look. `key` is where the check's memory keeps them.
 */
export function ratesOf(
  of: { key: string; counters: ReadonlyMap<string, number> },
  { memory, clock }: Pick<CheckContext, 'memory' | 'clock'>,
): ReadonlyMap<string, number | undefined> {
  const now = clock.now();
  const before = samplesIn(memory.get(of.key));
  const rates = new Map<string, number | undefined>();
  for (const [name, value] of of.counters) {
    const sample = before[name];
    const seconds = sample === undefined ? 0 : (now - sample.at) / 1_000;
    rates.set(name, sample === undefined || seconds <= 0 ? undefined : Math.max(0, value - sample.value) / seconds);
  }
  remember(memory, of.key, Object.fromEntries([...of.counters].map(([name, value]) => [name, { value, at: now }])));
  return rates;
}

function samplesIn(value: unknown): Record<string, Sample> {
  if (value === null || typeof value !== 'object') return {};
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, Sample] => isSample(entry[1])));
}

function isSample(value: unknown): value is Sample {
  return (
    value !== null &&
    typeof value === 'object' &&
    'value' in value &&
    typeof value.value === 'number' &&
    'at' in value &&
    typeof value.at === 'number'
  );
}
