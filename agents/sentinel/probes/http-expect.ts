import { Failure } from '#bus/failure.ts';
import { STATUS_CODES } from '#agents/runtime/node-http.ts';
import { matchesInTime } from '#config/bounded-pattern.ts';
import type { ExchangeEnd } from './http-exchange.ts';
import { type HttpOptions, statusMatcher } from './http-options.ts';
import { oneLine } from './text.ts';

type Answered = Extract<ExchangeEnd, { is: 'answered' }>;

/** More of a body is not matched against an expression. */
const patternChars = 100_000;

/** What the options expect, made ready once and used at each look. */
export interface Expectation {
  status: (status: number) => boolean;
  needsBody: boolean;
  /** Why the answer is not what is expected, or undefined when it is. */
  fault(answer: Answered): string | undefined;
}

export function expectationOf(options: HttpOptions): Expectation {
  const status = statusMatcher(options.status);
  const bodyFaults = bodyRules(options);
  return {
    status,
    needsBody: bodyFaults.length > 0,
    fault(answer) {
      if (!status(answer.status)) return `answered ${statusText(answer.status)}, not ${options.status.join(' or ')}`;
      const type = headerText(answer.headers['content-type']);
      if (options.contentType !== undefined && !type.toLowerCase().startsWith(options.contentType.toLowerCase())) {
        return `answered with content type "${oneLine(type, 80)}", not "${options.contentType}"`;
      }
      for (const rule of bodyFaults) {
        const fault = rule(answer);
        if (fault !== undefined) return fault;
      }
      return undefined;
    },
  };
}

export function statusText(status: number): string {
  const name = STATUS_CODES[status];
  return name === undefined ? String(status) : `${status} (${name})`;
}

export function headerText(value: string | string[] | undefined): string {
  return Array.isArray(value) ? value.join(', ') : (value ?? '');
}

type BodyRule = (answer: Answered) => string | undefined;

function bodyRules(options: HttpOptions): BodyRule[] {
  const rules: BodyRule[] = [];
  const { contains } = options;
  if (contains !== undefined) {
    rules.push(({ body }) => (body.includes(contains) ? undefined : `the body lacks "${oneLine(contains, 80)}"`));
  }
  if (options.matches !== undefined) rules.push(patternRule(options.matches, true));
  if (options.matchesNot !== undefined) rules.push(patternRule(options.matchesNot, false));
  if (options.json.length > 0) rules.push((answer) => jsonFault(answer, options.json));
  return rules;
}

function patternRule(source: string, wanted: boolean): BodyRule {
  const pattern = new RegExp(source, 'u');
  const fault = `the body ${wanted ? 'does not match' : 'matches'} /${oneLine(source, 80)}/`;
  return ({ body }) => {
    const found = matchesInTime(pattern, body.slice(0, patternChars));
    if (found !== undefined) return found === wanted ? undefined : fault;
    throw new Failure(`Cannot read the body: /${oneLine(source, 80)}/ takes too long on it`, { recoverable: true });
  };
}

function jsonFault(answer: Answered, wanted: HttpOptions['json']): string | undefined {
  if (answer.cut) return 'the body is too large to be read as JSON';
  let value: unknown;
  try {
    value = JSON.parse(answer.body);
  } catch {
    return `the body is not JSON: "${oneLine(answer.body, 60)}"`;
  }
  for (const { path, equals } of wanted) {
    const found = valueAt(value, path);
    if (found !== equals) return `${path} is ${shown(found)}, not ${JSON.stringify(equals)}`;
  }
  return undefined;
}

/** `data.items[0].state` in a value; own members only. Undefined when there is none. */
export function valueAt(value: unknown, path: string): unknown {
  let at = value;
  for (const step of path.split(/[.[\]]+/).filter((part) => part !== '' && part !== '$')) {
    if (at === null || typeof at !== 'object' || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string, unknown>)[step];
  }
  return at;
}

function shown(value: unknown): string {
  return value === undefined ? 'absent' : oneLine(JSON.stringify(value), 80);
}
