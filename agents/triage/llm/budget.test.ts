import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type ProviderConfig, ConfigSchema } from '#config/schema.ts';
import { type Reservation, createBudget, estimateTokens, priceOf } from './budget.ts';
import { openLedger } from './ledger.ts';
import type { Question } from './provider.ts';

const now = Date.parse('2026-11-20T12:00:00Z');

function llmOf(capEuro: number, providers: object[]) {
  return ConfigSchema.parse({
    llm: {
      monthlyCapEuro: capEuro,
      providers: providers.map((provider, index) => ({ name: `p${index}`, kind: 'openai', model: 'm', ...provider })),
    },
  }).llm;
}

function firstOf(providers: ProviderConfig[]): ProviderConfig {
  const [first] = providers;
  if (first === undefined) throw new TypeError('no provider');
  return first;
}

function questionOf(length: number, maxOutputTokens = 1_000): Question {
  const turns = [{ role: 'user' as const, text: 'x'.repeat(length) }];
  return { system: '', turns, shape: z.object({}), shapeName: 's', maxOutputTokens };
}

const paid = { price: { inputPerMillion: 3, outputPerMillion: 15 } };

describe('the monthly cap', () => {
  test('is passed by at most one reservation, however many calls run at once', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('ask' as const), length: fc.integer({ min: 0, max: 40_000 }) }),
      fc.record({
        do: fc.constant('end' as const),
        which: fc.nat(50),
        fate: fc.constantFrom('rejected' as const, 'unknown' as const, 'answered' as const),
        share: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.integer({ min: 0, max: 200 }), (steps, capCents) => {
        const ledger = openLedger(':memory:');
        try {
          const llm = llmOf(capCents / 100, [paid]);
          const budget = createBudget({ ledger, llm, now: () => now });
          const open: Reservation[] = [];
          let largest = 0;
          for (const each of steps) {
            if (each.do === 'ask') {
              const held = budget.reserve(firstOf(llm.providers), questionOf(each.length));
              if (held === undefined) continue;
              open.push(held);
              largest = Math.max(largest, held.nanoEuro);
            } else if (open.length > 0) {
              const [held] = open.splice(each.which % open.length, 1);
              const usage = {
                inputTokens: Math.floor((held?.inputTokens ?? 0) * each.share),
                outputTokens: Math.floor(1_000 * each.share),
              };
              held?.settle(each.fate === 'answered' ? { is: 'answered', usage } : { is: each.fate });
            }
            expect(ledger.committed('2026-11')).toBeLessThanOrEqual(capCents * 1e7 + largest);
          }
        } finally {
          ledger.close();
        }
      }),
      { numRuns: 60 },
    );
  });

  test('refuses nothing that costs nothing', () => {
    const ledger = openLedger(':memory:');
    const llm = llmOf(0, [{ sees: 'local' }, { ...paid }]);
    const budget = createBudget({ ledger, llm, now: () => now });
    const [local, cloud] = llm.providers;
    expect(local && budget.reserve(local, questionOf(10))).toBeDefined();
    expect(cloud && budget.reserve(cloud, questionOf(10))).toBeUndefined();
    ledger.close();
  });

  test('begins anew with the month, in UTC', () => {
    const ledger = openLedger(':memory:');
    const llm = llmOf(0.001, [paid]);
    let time = Date.parse('2026-11-30T23:59:59Z');
    const budget = createBudget({ ledger, llm, now: () => time });
    budget.reserve(firstOf(llm.providers), questionOf(10))?.settle({ is: 'unknown' });
    expect(budget.reserve(firstOf(llm.providers), questionOf(10))).toBeUndefined();
    time += 2_000;
    expect(budget.month()).toBe('2026-12');
    expect(budget.reserve(firstOf(llm.providers), questionOf(10))).toBeDefined();
    ledger.close();
  });
});

describe('a price', () => {
  test('that is unknown is the worst one, except for a local provider', () => {
    const llm = llmOf(5, [{}, { sees: 'local' }]);
    const [cloud, local] = llm.providers;
    expect(cloud && priceOf(cloud, llm.worstPrice)).toEqual(llm.worstPrice);
    expect(local && priceOf(local, llm.worstPrice)).toEqual({ inputPerMillion: 0, outputPerMillion: 0 });
  });

  test('is what the proxy says when it says one, and ours when it says 0', () => {
    const ledger = openLedger(':memory:');
    const llm = llmOf(5, [paid]);
    const budget = createBudget({ ledger, llm, now: () => now });
    const cost = (costEuro: number) =>
      budget
        .reserve(firstOf(llm.providers), questionOf(10))
        ?.settle({ is: 'answered', usage: { inputTokens: 1_000_000, outputTokens: 0, costEuro } });
    expect(cost(0.5)).toBe(0.5);
    expect(cost(0)).toBe(3);
    ledger.close();
  });
});

test('an estimate counts bytes, so that no script is cheap', () => {
  const chinese = { ...questionOf(0), turns: [{ role: 'user' as const, text: '磁盘已满'.repeat(100) }] };
  expect(estimateTokens(chinese)).toBeGreaterThan(400);
});

describe('the ledger', () => {
  test('books what a dead process had reserved as spent at its worst, once', () => {
    const folder = mkdtempSync(join(tmpdir(), 'lares-ledger-'));
    try {
      const path = join(folder, 'llm.db');
      const llm = llmOf(5, [paid]);
      const first = openLedger(path);
      const held = createBudget({ ledger: first, llm, now: () => now }).reserve(
        firstOf(llm.providers),
        questionOf(7_000),
      );
      const before = first.committed('2026-11');
      first.close();
      for (let start = 0; start < 2; start += 1) {
        const again = openLedger(path);
        expect(again.committed('2026-11')).toBe(before);
        expect(again.spent('2026-11')).toMatchObject([{ provider: 'p0', calls: 1 }]);
        again.close();
      }
      expect(before).toBe(held?.nanoEuro);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('forgets a cool-down when the configuration changes', () => {
    const ledger = openLedger(':memory:');
    const state = {
      phase: 'open' as const,
      reason: 'auth' as const,
      since: 1,
      until: 2,
      failures: 1,
      announced: 'auth' as const,
    };
    ledger.saveState('p', 'old', state);
    expect(ledger.loadState('p', 'old')).toEqual(state);
    expect(ledger.loadState('p', 'new').phase).toBe('closed');
    ledger.close();
  });
});
