import { expect, test } from 'vitest';
import { commandLineOf } from '#agents/runtime/shell.ts';
import { commandText } from './card.ts';

const step = { id: 'restart', host: 'web', timeoutMs: 60_000, success: [0] };

test('a command is shown byte for byte as it runs, also through sudo', () => {
  const argv = [
    'env',
    'LARES_STEP=1.1',
    'timeout',
    '-k',
    '5',
    '60',
    'sudo',
    '-n',
    'systemctl',
    'restart',
    'a b.service',
  ];
  expect(commandText({ ...step, argv, sudo: true })).toBe(`web# ${commandLineOf(argv)}`);
  expect(commandText({ ...step, argv: ['df', '/'], sudo: false })).toBe('web$ df /');
});
