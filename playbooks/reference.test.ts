import { expect, test } from 'vitest';
import { playbookReference } from './reference.ts';

test('the reference page is what the schema says', async () => {
  await expect(playbookReference()).toMatchFileSnapshot('./reference.md');
});

test('every key of the reference page says what it is', () => {
  const silent = playbookReference()
    .split('\n')
    .filter((row) => /^\| `[^`]+` \|\s+\|/.test(row));
  expect(silent).toEqual([]);
});
