import { expect, test } from 'vitest';
import { loadPlugins } from '#agents/runtime/plugins.ts';
import { intakeReference } from './intake-reference.ts';
import type { IntakeDefinition } from './source.ts';

const kinds = await loadPlugins({
  folder: new URL('../intake/', import.meta.url),
  exportName: 'intake',
  kindOf: (intake: IntakeDefinition) => intake.kind,
});

test('the reference page of the kinds of intake is what their schemas say', async () => {
  await expect(intakeReference(kinds)).toMatchFileSnapshot('../intake/README.md');
});

test('every option of every kind says what it is', () => {
  const silent = intakeReference(kinds)
    .split('\n')
    .filter((row) => /^\| `[^`]+` \|\s+\|/.test(row));
  expect(silent).toEqual([]);
});
