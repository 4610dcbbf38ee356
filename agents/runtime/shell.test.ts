import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commandLineOf, quote } from './shell.ts';

const shells = ['/bin/sh', '/bin/bash', '/bin/dash', '/usr/bin/zsh'].filter((shell) => existsSync(shell));

describe('quoting', () => {
  it.each(shells)('%s reads back every argument byte for byte', (shell) => {
    const text = fc.string({ unit: 'binary', maxLength: 40 }).map((value) => value.replaceAll('\0', '').toWellFormed());
    const nasty = fc.constantFrom(
      "'",
      "''",
      '"',
      '$(id)',
      '`id`',
      '\\',
      '\n',
      '!',
      '*',
      '~',
      '-n',
      '',
      ';',
      '&&',
      '\r',
      '\t',
      '{a,b}',
      '#',
      '=',
    );
    const argument = fc.oneof(
      text,
      nasty,
      fc.tuple(nasty, text, nasty).map((parts) => parts.join('')),
    );
    const property = fc.property(fc.array(argument, { minLength: 1, maxLength: 6 }), (values) => {
      const line = commandLineOf(['printf', String.raw`%s\0`, ...values]);
      const read = execFileSync(shell, ['-c', line], {
        encoding: 'utf8',
        // bash reads start-up files when its standard input is a socket, as Node's pipes are.
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { PATH: process.env['PATH'] ?? '' },
      });
      return read === values.map((value) => `${value}\0`).join('');
    });
    expect(fc.check(property, { numRuns: 100 }).counterexample).toBeNull();
  });

  it('a NUL cannot be an argument', () => {
    expect(() => quote('a\0b')).toThrow(TypeError);
  });

  it('plain words stay as a person would type them', () => {
    expect(commandLineOf(['systemctl', 'restart', 'nginx.service'])).toBe('systemctl restart nginx.service');
    expect(commandLineOf(['echo', "it's"])).toBe(String.raw`echo 'it'\''s'`);
  });
});
