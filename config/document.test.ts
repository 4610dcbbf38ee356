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
