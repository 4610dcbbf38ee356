import { parseDuration } from '#config/duration.ts';
import { jsonValues, literal, type Members, plainPath } from './imported.ts';

/** What conditions want of an answer, gathered over all of an endpoint. */
export interface BodyFacts {
  status?: (number | string)[];
  contains?: string;
  matches?: string;
  matchesNot?: string;
  slowAfterMs?: number;
  json: Members[];
  /** Of a DNS answer. */
  values?: string[];
  missing?: boolean;
}

type Operator = '==' | '!=' | '<' | '>' | '<=' | '>=';

interface Condition {
  left: string;
  operator: Operator;
  right: string;
  facts: BodyFacts;
  isDns: boolean;
}

/** Takes one condition into the facts; a note says what is otherwise here, or that it is not carried over. */
export function takeCondition(text: string, of: { facts: BodyFacts; isDns: boolean }): string | undefined {
  const [, left = '', operator, right = ''] =
    /^\s*(.+?)\s*(==|!=|<=|>=|<|>)\s*(.*?)\s*$/.exec(text.slice(0, 2_000)) ?? [];
  const lost = `its condition "${text.slice(0, 120)}" is not carried over`;
  if (operator === undefined) return lost;
  const condition: Condition = { left, operator: operator as Operator, right, ...of };
  const [, name = ''] = /\[([A-Z_]+)\]/.exec(left) ?? [];
  const take = Object.hasOwn(takers, name) ? takers[name] : undefined;
  return take?.(condition) === true ? undefined : (otherwise[name] ?? lost);
}

/** True when the condition holds here as it did there. */
const takers: Record<string, (condition: Condition) => boolean> = {
  STATUS: takeStatus,
  BODY: (condition) => (condition.isDns ? takeRecord(condition) : takeBody(condition)),
  RESPONSE_TIME: takeTime,
  CONNECTED: ({ operator, right }) => operator === '==' && right === 'true',
  DNS_RCODE: takeCode,
  // Certificates are watched by what is left of their lifetime, with every https address and `tls-expiry`.
  CERTIFICATE_EXPIRATION: ({ operator }) => operator === '>' || operator === '>=',
};

const otherwise: Record<string, string> = {
  DOMAIN_EXPIRATION: 'when its domain ends is not watched by this check',
};

function takeStatus({ operator, right, facts }: Condition): boolean {
  const codes = anyOf(right) ?? [right];
  if (operator === '==' && codes.every((code) => /^[1-5]\d\d$/.test(code))) {
    facts.status = codes.map(Number);
    return true;
  }
  const edge = /^[1-6]\d\d$/.test(right) ? Number(right) : undefined;
  if (edge === undefined || operator === '==' || operator === '!=') return false;
  const range: Record<string, string> = {
    '<': `100-${edge - 1}`,
    '<=': `100-${edge}`,
    '>': `${edge + 1}-599`,
    '>=': `${edge}-599`,
  };
  facts.status = [range[operator] ?? right];
  return true;
}

function takeTime({ operator, right, facts }: Condition): boolean {
  const ms = /^\d+$/.test(right) ? Number(right) : parseDuration(right);
  if (ms === undefined || ms === 0 || (operator !== '<' && operator !== '<=')) return false;
  facts.slowAfterMs = Math.min(ms, facts.slowAfterMs ?? ms);
  return true;
}

function takeCode({ operator, right, facts }: Condition): boolean {
  if (operator !== '==' || (right !== 'NOERROR' && right !== 'NXDOMAIN')) return false;
  if (right === 'NXDOMAIN') facts.missing = true;
  return true;
}

function takeRecord({ left, operator, right, facts }: Condition): boolean {
  if (left !== '[BODY]' || operator !== '==') return false;
  // `pat(*.*.*.*)`: any record will do, and one is wanted anyway.
  if (right.startsWith('pat(')) return /^pat\([*.]+\)$/.test(right);
  facts.values = [right];
  return true;
}

function takeBody(condition: Condition): boolean {
  const { left, operator, right, facts } = condition;
  const [, wrapper, inner = ''] = /^(len|has)\((.*)\)$/.exec(left) ?? [];
  const path = pathIn(wrapper === undefined ? left : inner);
  if (path === undefined) return false;
  if (path === '') return wrapper === undefined && takeText(condition);
  const rule = wrapper === undefined ? valueRule(operator, right) : wrapped(wrapper, operator, right);
  if (rule === undefined) return false;
  facts.json.push({ path, ...rule });
  return true;
}

/** Empty for the body itself. */
function pathIn(text: string): string | undefined {
  const [, rest] = /^\[BODY\](.*)$/.exec(text.trim()) ?? [];
  if (rest === undefined) return undefined;
  return rest === '' ? '' : plainPath(rest);
}

function takeText({ operator, right, facts }: Condition): boolean {
  const [, pattern] = /^pat\((.*)\)$/.exec(right) ?? [];
  const inside = pattern === undefined ? undefined : /^\*([^*]+)\*$/.exec(pattern)?.[1];
  if (operator === '==' && inside !== undefined && facts.contains === undefined) facts.contains = inside;
  else if (operator === '==' && facts.matches === undefined) facts.matches = wholeOf(right);
  else if (operator === '!=' && facts.matchesNot === undefined) facts.matchesNot = wholeOf(right);
  else return false;
  return true;
}

/** A text or a `pat(...)` as a regular expression for all of it. */
function wholeOf(text: string): string {
  const [, pattern] = /^pat\((.*)\)$/.exec(text) ?? [];
  const body =
    pattern === undefined
      ? literal(text)
      : pattern
          .split('*')
          .map(literal)
          .join(String.raw`[\s\S]*`);
  return `^${body}$`;
}

function valueRule(operator: Operator, right: string): Members | undefined {
  const number = right === '' ? Number.NaN : Number(right);
  if (operator === '==') {
    const values = anyOf(right);
    if (values !== undefined) {
      const each = values.map((value) => jsonValues(value));
      return { oneOf: each.flatMap((one) => ('oneOf' in one ? (one['oneOf'] as unknown[]) : [one['equals']])) };
    }
    return right.startsWith('pat(') ? { matches: wholeOf(right) } : jsonValues(right);
  }
  if (Number.isNaN(number)) return undefined;
  if (operator === '>') return { above: number };
  return operator === '<' ? { below: number } : undefined;
}

function wrapped(wrapper: string, operator: Operator, right: string): Members | undefined {
  if (wrapper === 'has') {
    if (right !== 'true' && right !== 'false') return undefined;
    return { exists: (right === 'true') === (operator === '==') };
  }
  const length = /^\d+$/.test(right) ? Number(right) : undefined;
  if (length === undefined) return undefined;
  const bounds: Partial<Record<Operator, Members>> = {
    '==': { atLeast: length, atMost: length },
    '>': { atLeast: length + 1 },
    '>=': { atLeast: length },
    '<': { atMost: Math.max(0, length - 1) },
    '<=': { atMost: length },
  };
  return bounds[operator];
}

/** The members of `any(a, b)`. */
function anyOf(text: string): string[] | undefined {
  const [, list] = /^any\((.*)\)$/.exec(text) ?? [];
  return list?.split(',').map((value) => value.trim());
}
