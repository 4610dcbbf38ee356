import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkParameters } from './parameters.ts';
import { Parameter } from './playbook.ts';

type ParameterInput = Parameters<typeof Parameter.parse>[0];

function check(parameter: ParameterInput, value: unknown, freePaths: readonly string[] = []) {
  const playbook = { parameters: { value: Parameter.parse({ description: 'x', ...(parameter as object) }) } };
  const checked = checkParameters(playbook, value === undefined ? {} : { value }, { freePaths });
  return checked.ok ? checked.parameters['value'] : checked.faults.join();
}

describe('parameters', () => {
  it('a unit is a service unless it says otherwise', () => {
    expect(check({ type: 'unit' }, 'nginx')).toBe('nginx.service');
    expect(check({ type: 'unit' }, 'postgresql@15-main')).toBe('postgresql@15-main.service');
    expect(check({ type: 'unit' }, String.raw`dev-disk\x2dby.service`)).toBe(String.raw`dev-disk\x2dby.service`);
    expect(check({ type: 'unit' }, 'backup.timer')).toBe('backup.timer');
  });

  it.each([
    'poweroff.target',
    'reboot.target',
    '-.mount',
    'a/b.service',
    'nginx;id',
    'nginx service',
    '--now',
    'nginx*',
    'getty@.service',
    'x\n.service',
    '',
    'a'.repeat(300),
    7,
    { a: 1 },
    undefined,
  ])('the unit %j is refused', (value) => {
    expect(check({ type: 'unit' }, value)).toMatch(/^"value" (must|is)/);
  });

  it('a container is a name as Docker allows it', () => {
    expect(check({ type: 'container' }, 'nextcloud-app.1')).toBe('nextcloud-app.1');
    for (const bad of ['-f', '/etc', 'a b', 'a$b', '{{.Id}}', '_x']) {
      expect(check({ type: 'container' }, bad)).toMatch(/must/);
    }
  });

  it('a path stays under its roots, however it is written', () => {
    const path = { type: 'path', under: ['/srv/tmp'] };
    expect(check(path, '/srv/tmp')).toBe('/srv/tmp');
    expect(check(path, '/srv//tmp/./cache/')).toBe('/srv/tmp/cache');
    for (const bad of ['/srv/tmp/../../etc', '/srv/tmpx', 'srv/tmp', '/', '/srv/tmp/\0', '../srv/tmp', '/srv/tmp/..']) {
      expect(check(path, bad)).toMatch(/must/);
    }
  });

  it('free paths come from the configuration, and without any nothing is allowed', () => {
    const path = { type: 'path', under: ['freePaths'] };
    expect(check(path, '/var/tmp/x')).toContain('names no folder');
    expect(check(path, '/var/tmp/x', ['/var/tmp/'])).toBe('/var/tmp/x');
    expect(check(path, '/var/log', ['/var/tmp'])).toContain('must be under');
  });

  it('a number is whole and within its bounds', () => {
    const number = { type: 'number', min: 1, max: 100, default: 30 };
    expect(check(number, undefined)).toBe(30);
    expect(check(number, '42')).toBe(42);
    for (const bad of [0, 101, 1.5, Number.NaN, '1e2', '0x10', '-1', true, null])
      expect(check(number, bad)).toMatch(/must/);
  });

  it('a pattern must match the whole value', () => {
    expect(check({ type: 'pattern', pattern: 'a|b' }, 'b')).toBe('b');
    expect(check({ type: 'pattern', pattern: 'a|b' }, 'bc')).toMatch(/must match/);
    expect(check({ type: 'pattern', pattern: '.*' }, '-rf')).toMatch(/dash/);
  });

  it('names that a playbook does not have are refused, also those of the prototype', () => {
    expect(checkParameters({ parameters: {} }, { constructor: 'x' })).toEqual({
      ok: false,
      faults: ['"constructor" is not a parameter of this playbook'],
    });
  });

  it('no accepted value is empty, an option, or has control characters', () => {
    const types: ParameterInput[] = [
      { type: 'unit' },
      { type: 'container' },
      { type: 'path', under: ['/'] },
      { type: 'pattern', pattern: '[^]*' },
    ];
    const property = fc.property(fc.constantFrom(...types), fc.string({ unit: 'binary' }), (parameter, value) => {
      const playbook = { parameters: { value: Parameter.parse({ description: 'x', ...(parameter as object) }) } };
      const checked = checkParameters(playbook, { value });
      return !checked.ok || /^[^-\p{C}]\P{C}*$/u.test(String(checked.parameters['value']));
    });
    expect(fc.check(property).counterexample).toBeNull();
  });
});
