import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { faultsOfArgv, renderArgv, renderText } from './render.ts';

const known = (name: string): boolean => ['unit', 'size'].includes(name);

describe('rendering', () => {
  it('a value is one argument, whole or between fixed texts', () => {
    expect(renderArgv(['a', '{unit}', '--size={size}M'], { unit: 'x y', size: 5 })).toEqual(['a', 'x y', '--size=5M']);
  });

  it('double braces are themselves', () => {
    const argv = ['docker', 'inspect', '--format={{if .A}}{{.B}}{{else}}none{{end}}', '{unit}'];
    expect(faultsOfArgv(argv, known)).toEqual([]);
    expect(renderArgv(argv, { unit: 'web' })).toEqual([...argv.slice(0, 3), 'web']);
  });

  it('a value is never rendered again', () => {
    expect(renderArgv(['a', '{unit}'], { unit: '{size}', size: 5 })).toEqual(['a', '{size}']);
    expect(renderArgv(['a', '{unit}'], { unit: '$&$1' })).toEqual(['a', '$&$1']);
  });

  it('a value that could be an option, is empty or missing throws', () => {
    for (const unit of ['-x', '', 'a\nb', '\0'])
      expect(() => renderArgv(['a', '{unit}'], { unit })).toThrow('Cannot render');
    expect(() => renderArgv(['a', '{unit}'], {})).toThrow('has no value');
    expect(() => renderArgv(['a', '{constructor}'], {})).toThrow('has no value');
  });

  it.each([
    [['{unit}', 'x'], 'program'],
    [['a', '{unit}{size}'], 'more than one'],
    [['a', '{other}'], 'not a parameter'],
    [['sh', '-c', 'systemctl restart {unit}'], 'script'],
    [['env', 'X=1', '/bin/bash', '-eu', '-c', 'echo {unit}'], 'script'],
    [['docker', 'exec', 'web', 'sh', '-ec', '{unit}'], 'script'],
  ])('the template %j is refused', (argv, reason) => {
    expect(faultsOfArgv(argv, known).join()).toContain(reason);
  });

  it('a script that takes its value as an argument is accepted', () => {
    expect(faultsOfArgv(['sh', '-c', 'echo "$1"', 'lares', '{unit}'], known)).toEqual([]);
  });

  it('rendering changes the number of arguments for no value', () => {
    fc.assert(
      fc.property(fc.string(), (unit) => {
        fc.pre(!/^-|^$|\p{Cc}/u.test(unit));
        expect(renderArgv(['a', '{unit}', 'b'], { unit })).toEqual(['a', unit, 'b']);
      }),
    );
  });

  it('words keep names that they do not know', () => {
    expect(renderText('Restart {unit} of {x}', { unit: 'a' })).toBe('Restart a of {x}');
  });
});
