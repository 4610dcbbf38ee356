import { Failure } from '#bus/failure.ts';
import { STATUS_CODES } from '#agents/runtime/node-http.ts';
import { matchesInTime } from '#config/bounded-pattern.ts';
import type { ExchangeEnd } from './http-exchange.ts';
import { jsonRuleOf } from './http-json.ts';
import { type HttpOptions, statusMatcher } from './http-options.ts';
import { jsonOf, oneLine } from './text.ts';

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
  const wanted = statusMatcher(options.status);
  const alsoAlive = new Set(options.alsoAlive);
  const status = (code: number): boolean => wanted(code) || alsoAlive.has(code);
  const headerFaults = options.header.map(headerRule);
  const bodyFaults = bodyRules(options);
  return {
    status,
    needsBody: bodyFaults.length > 0,
    fault(answer) {
      if (!status(answer.status)) return `answered ${statusText(answer.status)}, not ${options.status.join(' or ')}`;
      if (alsoAlive.has(answer.status)) return undefined;
      const type = headerText(answer.headers['content-type']);
      if (options.contentType !== undefined && !type.toLowerCase().startsWith(options.contentType.toLowerCase())) {
        return `answered with content type "${oneLine(type, 80)}", not "${options.contentType}"`;
      }
      for (const rule of [...headerFaults, ...bodyFaults]) {
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
  if (options.json.length > 0) rules.push(jsonRules(options.json));
  return rules;
}

function headerRule({ name, matches, absent }: HttpOptions['header'][number]): BodyRule {
  const pattern = matches === undefined ? undefined : new RegExp(matches, 'u');
  return ({ headers }) => {
    const value = headers[name.toLowerCase()];
    if (absent) return value === undefined ? undefined : `the answer has a header "${name}"`;
    if (value === undefined) return `the answer has no header "${name}"`;
    const text = headerText(value).slice(0, 8_000);
    if (pattern === undefined) return undefined;
    const found = matchesInTime(pattern, text);
    if (found === undefined) throw tooLong(`the header "${name}"`, matches ?? '');
    return found ? undefined : `the header "${name}" is "${oneLine(text, 80)}", which does not match`;
  };
}

function tooLong(what: string, source: string): Failure {
  return new Failure(`Cannot read ${what}: /${oneLine(source, 80)}/ takes too long on it`, { recoverable: true });
}

function patternRule(source: string, wanted: boolean): BodyRule {
  const pattern = new RegExp(source, 'u');
  const fault = `the body ${wanted ? 'does not match' : 'matches'} /${oneLine(source, 80)}/`;
  return ({ body }) => {
    const found = matchesInTime(pattern, body.slice(0, patternChars));
    if (found !== undefined) return found === wanted ? undefined : fault;
    throw tooLong('the body', source);
  };
}

function jsonRules(wanted: HttpOptions['json']): BodyRule {
  const rules = wanted.map((rule) => ({ path: rule.path, fault: jsonRuleOf(rule) }));
  return ({ body, cut }) => {
    if (cut) return 'the body is too large to be read as JSON';
    const value = jsonOf(body);
    if (value === undefined) return `the body is not JSON: "${oneLine(body, 60)}"`;
    for (const { path, fault } of rules) {
      const words = fault(valueAt(value, path));
      if (words !== undefined) return `${path} ${words}`;
    }
    return undefined;
  };
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
