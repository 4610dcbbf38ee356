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
