import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const folder = join(import.meta.dirname, '../../agents/sentinel/checks');
const files = readdirSync(folder);
const kinds = files.filter((file) => /^[^.]+\.ts$/.test(file)).map((file) => file.replace('.ts', ''));

test.each(kinds)('the kind %s has a test that holds it to the contract of all kinds', (kind) => {
  const text = readFileSync(join(folder, `${kind}.test.ts`), 'utf8');
  expect(text).toMatch(/^kindContract\(/m);
});
