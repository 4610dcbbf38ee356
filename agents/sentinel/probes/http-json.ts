import { Failure } from '#bus/failure.ts';
import { matchesInTime } from '#config/bounded-pattern.ts';
import type { JsonRule } from './http-options.ts';
import { oneLine } from './text.ts';

/** Why a value is not what is wanted, to stand behind its path; undefined when it is. */
type ValueRule = (value: unknown) => string | undefined;

/** More of a text is not matched against an expression. */
const patternChars = 10_000;

/** All that a rule of the options says about one value, made ready once. */
export function jsonRuleOf(rule: JsonRule): ValueRule {
  const rules = [
    ...existence(rule),
    ...equality(rule),
    ...numbers(rule),
    ...sizes(rule),
    ...(rule.matches === undefined ? [] : [expression(rule.matches)]),
  ];
  return (value) => {
    for (const one of rules) {
      const fault = one(value);
      if (fault !== undefined) return fault;
    }
    return undefined;
  };
}

function existence({ exists }: JsonRule): ValueRule[] {
  if (exists === undefined) return [];
  const fault = exists ? 'is absent' : 'is there';
  return [(value) => ((value !== undefined) === exists ? undefined : fault)];
}

function equality({ equals, oneOf }: JsonRule): ValueRule[] {
  const rules: ValueRule[] = [];
  if (equals !== undefined) {
    rules.push((value) => (value === equals ? undefined : `is ${shown(value)}, not ${JSON.stringify(equals)}`));
  }
  if (oneOf !== undefined) {
    const wanted = oneLine(oneOf.map((one) => JSON.stringify(one)).join(', '), 120);
    rules.push((value) =>
      oneOf.some((one) => one === value) ? undefined : `is ${shown(value)}, not one of ${wanted}`,
    );
  }
  return rules;
}

function numbers({ above, below }: JsonRule): ValueRule[] {
  const number = (value: unknown): number => (typeof value === 'number' ? value : Number.NaN);
  const rules: ValueRule[] = [];
  // A value that is no number is neither above nor below.
  if (above !== undefined) {
    rules.push((value) => (number(value) > above ? undefined : `is ${shown(value)}, not above ${above}`));
  }
  if (below !== undefined) {
    rules.push((value) => (number(value) < below ? undefined : `is ${shown(value)}, not below ${below}`));
  }
  return rules;
}

function sizes({ atLeast, atMost }: JsonRule): ValueRule[] {
  if (atLeast === undefined && atMost === undefined) return [];
  return [
    (value) => {
      const size = sizeOf(value);
      if (size === undefined) return `is ${shown(value)}, which has no size`;
      if (size < (atLeast ?? 0)) return `has ${size} members, fewer than ${atLeast}`;
      if (size > (atMost ?? Number.POSITIVE_INFINITY)) return `has ${size} members, more than ${atMost}`;
      return undefined;
    },
  ];
}

function sizeOf(value: unknown): number | undefined {
  if (typeof value === 'string' || Array.isArray(value)) return value.length;
  return typeof value === 'object' && value !== null ? Object.keys(value).length : undefined;
}

function expression(source: string): ValueRule {
  const pattern = new RegExp(source, 'u');
  return (value) => {
    if (typeof value !== 'string' && typeof value !== 'number') return `is ${shown(value)}, which is no text`;
    const found = matchesInTime(pattern, String(value).slice(0, patternChars));
    if (found !== undefined)
      return found ? undefined : `is ${shown(value)}, which does not match /${oneLine(source, 60)}/`;
    throw new Failure(`Cannot read a value: /${oneLine(source, 80)}/ takes too long on it`, { recoverable: true });
  };
}

function shown(value: unknown): string {
  return value === undefined ? 'absent' : oneLine(JSON.stringify(value), 80);
}
