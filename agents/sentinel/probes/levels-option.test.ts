import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { HostOptions } from './host-options.ts';
import { levels, sideOptions, someLevels, spans } from './levels-option.ts';

const Sides = z.strictObject(sideOptions);

describe('limits', () => {
  test.each([
    ['more is worse', levels({ warning: 80, critical: 95 }), { warning: 96 }],
    ['less is worse', levels({ warning: 10, critical: 3 }), { warning: 2 }],
    ['some of them', someLevels(), { warning: 20, critical: 10 }],
    ['an age', spans({ warning: '26h', critical: '48h' }), { warning: '8d' }],
    ['what is left of a time', spans({ warning: '30d', critical: '7d' }), { critical: '60d' }],
    ['above', Sides, { above: { warning: 2, critical: 1 } }],
    ['below', Sides, { below: { warning: 1, critical: 2 } }],
    ['what lasts', HostOptions, { cpu: { warning: 96 } }],
  ])('that would be critical before a warning are refused: %s', (_name, schema, given) => {
    expect(schema.safeParse(given).error?.issues[0]?.message).toContain('critical before it is a warning');
  });

  test.each([
    [levels({ warning: 80, critical: 95 }), { warning: 95 }],
    [levels({ warning: 10, critical: 3 }), { critical: 1 }],
    [someLevels(), {}],
    [spans({ warning: '26h', critical: '48h' }), { warning: '8d', critical: '9d' }],
    [Sides, { above: { warning: 1 } }],
    [Sides, { below: { warning: 2, critical: 1 } }],
  ])('that stand in their order, or alone, are taken', (schema, given) => {
    expect(schema.safeParse(given).error).toBeUndefined();
  });

  test('on a side without one are refused', () => {
    expect(Sides.safeParse({ above: {} }).success).toBe(false);
  });
});
