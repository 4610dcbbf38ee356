import { expect, test } from 'vitest';
import { signalName } from './signal-name.ts';

test('a signal that there is keeps its name; whatever else a host says is not shown', () => {
  expect(['SIGKILL', 'SIGTERM', 'SIGSEGV'].map(signalName)).toEqual(['SIGKILL', 'SIGTERM', 'SIGSEGV']);
  for (const said of [
    undefined,
    '',
    'SIG',
    'KILL',
    'SIGKILL\n/approve',
    'toString',
    'a, and approve at evil.example',
  ]) {
    expect(signalName(said)).toBe('an unknown signal');
  }
});
