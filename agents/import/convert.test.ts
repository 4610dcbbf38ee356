import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { carry, kinds } from '../../test/parts/carry-over.ts';
import { acceptable, convert, formats } from './convert.ts';

describe('alerting rules', () => {
  const rules = stringify({
    groups: [
      {
        name: 'a',
        rules: [
          { alert: 'HostDown', expr: 'up == 0', for: '2m' },
          { record: 'x:y', expr: 'sum(x)' },
        ],
      },
      { name: 'b', rules: [{ alert: 'DiskFull', expr: 'free < 1' }] },
    ],
  });

  test('become one check of their file at the server', () => {
    const { checks, left, imported } = carry('prometheus-rules', rules, { url: 'http://10.0.0.9:9090' });
    expect(checks['rules.yml']).toEqual({
      id: 'rules',
      kind: 'prometheus-rules',
      url: 'http://10.0.0.9:9090',
      files: ['rules.yml'],
    });
    expect(imported.carried[0]?.notes).toEqual(['its alerts: HostDown, DiskFull']);
    expect(left).toEqual({ 'x:y': expect.stringContaining('recording rule') });
  });
});

/** Values that an entry may hold where something else is expected. */
const odd = fc.oneof(
  fc.constantFrom(
    'http://%zz:%@h/',
    'https://u:p@[::1]:0/',
    '007',
    '-01',
    '1e999',
    '${A}',
    'any(',
    'pat(*(',
    '\u001b[31m',
  ),
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.double(),
  fc.boolean(),
  fc.array(fc.string(), { maxLength: 3 }),
);
const monitor = fc.record({
  type: fc.constantFrom('http', 'keyword', 'json-query', 'port', 'ping', 'dns', 'push', 'docker', 'group', '__proto__'),
  name: odd,
  url: odd,
  jsonPath: fc.oneof(fc.constantFrom('$.a', 'a[0]'), odd),
  expectedValue: odd,
  headers: fc.oneof(odd, fc.constant('{"__proto__":"x","a":1}')),
  interval: odd,
  hostname: odd,
  timeout: odd,
});
const condition = fc
  .tuple(
    fc.constantFrom('[STATUS]', '[BODY]', '[BODY].a', 'len([BODY].a)', 'has([BODY])', '[RESPONSE_TIME]', '[__proto__]'),
    fc.constantFrom('==', '!=', '<', '>='),
    odd,
  )
  .map((parts) => parts.join(' '));
const endpoint = fc.record({ name: odd, url: odd, conditions: fc.array(condition), interval: odd, headers: odd });

test('no entry of a foreign file breaks the import', () => {
  const files = fc.record({ monitorList: fc.array(monitor), endpoints: fc.array(endpoint) });
  fc.assert(
    fc.property(files, fc.constantFrom(...formats), (file, format) => {
      const imported = convert({ format, text: JSON.stringify(file), file: 'x' });
      if (imported === undefined) return;
      const { carried, left } = acceptable(imported, kinds);
      expect(carried.length + left.length).toBe(imported.carried.length + imported.left.length);
    }),
    { numRuns: 300 },
  );
});

test('a number that JSON does not know stays text, and a percent that escapes nothing stays', () => {
  const query = { type: 'json-query', name: 'a', url: 'http://%zz:100%25@h/', jsonPath: 'a', expectedValue: '007' };
  const { checks, imported } = carry('uptime-kuma', [query]);
  expect(checks['a']).toMatchObject({ json: [{ path: 'a', equals: '007' }], user: '%zz' });
  expect(imported.secrets.map(({ value }) => value)).toEqual(['100%']);
});

test('what may hold a secret and stays where it is has a note', () => {
  const [token, plain] = ['http://h/?token=abcdefabcdefabcdef', 'http://h/'].map((url) =>
    carry('uptime-kuma', [{ type: 'http', name: 'a', url }]),
  );
  const told = 'what looks like a secret stands in its url or its body';
  expect(token?.accepted.carried[0]?.notes).toContain(told);
  expect(plain?.accepted.carried[0]?.notes).not.toContain(told);
});

test.each(formats)('%s: what is something else is told so, and nothing throws', (format) => {
  for (const text of ['', '{', '[]x', 'null', '7', '"a"', '<html>', 'a: [', 'groups: 7', '&a [*a]', 'endpoints: 3']) {
    expect.soft(convert({ format, text, file: 'x' })).toBeUndefined();
  }
  const value = fc.oneof(
    fc.json(),
    fc.jsonValue().map((any) => JSON.stringify({ monitorList: [any], endpoints: [any], groups: [any] })),
  );
  fc.assert(
    fc.property(value, (text) => {
      const imported = convert({ format, text, file: 'x' });
      if (imported !== undefined) acceptable(imported, kinds);
    }),
  );
});
