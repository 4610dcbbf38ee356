import ssh2 from 'ssh2';
import { expect, test } from 'vitest';
import { newKeyPair } from './key-pair.ts';

test('every new key can be read', () => {
  const keys = Array.from({ length: 1_000 }, () => ssh2.utils.parseKey(newKeyPair().private));
  expect(keys.filter((key) => key instanceof Error)).toEqual([]);
});
