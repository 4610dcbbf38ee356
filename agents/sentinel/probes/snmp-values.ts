import { z } from 'zod';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { ratesOf } from './counter-rate.ts';
import { limitsOf, oneSided, oneSidedFault, sideOptions } from './levels-option.ts';
import { level, type Said, state, unseen } from './reading.ts';
import type { SnmpValue } from './snmp.ts';

/** One object of a device and what it should be. */
export const ValueWish = z
  .strictObject({
    oid: z
      .string()
      .max(300)
      .regex(/^\.?(?:[0-2])(?:\.\d{1,10}){2,60}$/, { error: 'must be an OID in numbers, such as 1.3.6.1.2.1.1.3.0' })
      .transform((oid) => oid.replace(/^\./, ''))
      .describe('The object in numbers, with its index.'),
    name: z.string().min(1).max(100).describe('What people call it.'),
    equals: z
      .union([z.string().max(300), z.number()])
      .optional()
      .describe('It must be just that.'),
    rate: z.boolean().default(false).describe('It is a counter: its growth a second is judged.'),
    divideBy: z
      .number()
      .positive()
      .default(1)
      .describe('What the number is divided by before it is judged, such as 10.'),
    unit: z.string().max(10).default('').describe('Unit of the number after that.'),
    ...sideOptions,
  })
  .refine(oneSided, oneSidedFault);
export type ValueWish = z.output<typeof ValueWish>;

export function observeValues(
  values: ReadonlyMap<string, SnmpValue>,
  wishes: readonly ValueWish[],
  context: CheckContext,
): Observation[] {
  const named = new Map(wishes.map((wish) => [wish.name, wish]));
  const counters = [...named.values()].flatMap(({ rate, oid, name }): [string, number][] => {
    const value = values.get(oid);
    return rate && value?.is === 'number' ? [[name, value.value]] : [];
  });
  const rates = ratesOf({ key: 'values', counters: new Map(counters) }, context);
  return [...named.values()].map((wish) => observeValue(wish, values.get(wish.oid), rates.get(wish.name)));
}

function observeValue(wish: ValueWish, value: SnmpValue | undefined, rate: number | undefined): Observation {
  const said = { condition: 'snmp-value', resource: wish.name, labels: { value: wish.name, oid: wish.oid } };
  if (value === undefined || value.is === 'absent') return unseen(said, `the device has no object ${wish.oid}`);
  if (wish.equals !== undefined) {
    const ok = String(value.value) === String(wish.equals);
    const summary = ok ? `${wish.name} is ${value.value}` : `${wish.name} is ${value.value}, not ${wish.equals}`;
    return state({ ...said, summary, ok, severity: 'critical' });
  }
  return observeNumber(wish, { said, value, rate });
}

function observeNumber(
  wish: ValueWish,
  of: { said: Omit<Said, 'summary'>; value: Exclude<SnmpValue, { is: 'absent' }>; rate: number | undefined },
): Observation {
  const { said, value, rate } = of;
  // Some agents give numbers as text: "0.42" for a load, "41 C" for a temperature.
  const plain = value.is === 'number' ? value.value : Number.parseFloat(value.value);
  if (!Number.isFinite(plain)) return unseen(said, `its value is no number: "${value.value}"`);
  if (wish.rate && rate === undefined) return unseen(said, 'counting begins with this look');
  const judged = (wish.rate ? (rate ?? 0) : plain) / wish.divideBy;
  const unit = wish.rate ? `${wish.unit}/s` : wish.unit;
  return level({
    ...said,
    summary: `${wish.name} is ${Number(judged.toFixed(3))}${unit === '' ? '' : ` ${unit}`}`,
    value: judged,
    unit,
    ...(limitsOf(wish) ?? { bad: 'above' }),
  });
}
