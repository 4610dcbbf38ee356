import { expect, test } from 'vitest';
import { kindReference } from './kind-reference.ts';
import { loadKinds } from './registry.ts';

test('the reference page of the kinds is what their schemas say', async () => {
  await expect(kindReference(await loadKinds())).toMatchFileSnapshot('./checks/README.md');
});

test('every option of every kind says what it is', async () => {
  const silent = kindReference(await loadKinds())
    .split('\n')
    .filter((row) => /^\| `[^`]+` \|\s+\|/.test(row));
  expect(silent).toEqual([]);
});
