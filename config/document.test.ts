import { expect, test } from 'vitest';
import { parseConfig } from './document.ts';
import { ConfigFailure } from './fault.ts';

test.each(['<<: ', '<<: 1', 'a: { <<: [x] }'])('a merge of nothing is a fault and no bug: %s', (text) => {
  expect(() => parseConfig(text, 'lares.yaml')).toThrow(ConfigFailure);
});
