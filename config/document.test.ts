import { expect, test } from 'vitest';
import { parseConfig } from './document.ts';
import { ConfigFailure } from './fault.ts';

test.each([`a: ${'['.repeat(50_000)}`, `a: ${'{a: '.repeat(9_000)}1${'}'.repeat(9_000)}`])(
  'what nests too deeply is one fault and no bug',
  (text) => {
    expect(() => parseConfig(text, 'lares.yaml')).toThrow('nests too deeply');
  },
);

test.each(['<<: ', '<<: 1', 'a: { <<: [x] }'])('a merge of nothing is a fault and no bug: %s', (text) => {
  expect(() => parseConfig(text, 'lares.yaml')).toThrow(ConfigFailure);
});

test('a key that stands twice is a fault where it stands again, among however many', () => {
  const keys = Array.from({ length: 60_000 }, (_, index) => `k${index}: 1\n`).join('');
  const start = performance.now();
  expect(Object.keys(parseConfig(keys, 'lares.yaml').value as object)).toHaveLength(60_000);
  expect(performance.now() - start).toBeLessThan(30_000);
  expect(() => parseConfig('a: 1\nb: { c: 1, c: 2 }\n"a": 3\n', 'lares.yaml')).toThrow(
    /2 faults; .*2:12 map keys must/s,
  );
}, 120_000);
