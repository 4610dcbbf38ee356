import { expect, test } from 'vitest';
import { runCommand } from '../../test/parts/command.ts';

test('presets are found by a word of what they say', async () => {
  const { status, stdout } = await runCommand(['presets', 'DNS'], { cwd: import.meta.dirname });
  expect(status).toBe(0);
  expect(stdout).toMatch(/^unbound +Unbound$/m);
  expect(stdout).not.toMatch(/^jellyfin/m);
});

test('a word that no preset knows is a usage error', async () => {
  const { status, stderr } = await runCommand(['presets', 'jellyfinn'], { cwd: import.meta.dirname });
  expect({ status, stderr }).toEqual({
    status: 2,
    stderr: 'Cannot show it: there is no preset "jellyfinn", did you mean "jellyfin"?\n',
  });
});
