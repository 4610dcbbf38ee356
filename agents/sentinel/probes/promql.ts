/** One piece of a PromQL or LogQL text. Strings, matchers in braces and ranges in brackets are one piece each. */
interface PromqlToken {
  is: 'name' | 'number' | 'string' | 'matchers' | 'range' | 'sign';
  text: string;
  /** Where it begins. */
  at: number;
}

const piece =
  /\s+|#[^\n]*|"(?:[^"\\]|\\[\s\S])*"?|'(?:[^'\\]|\\[\s\S])*'?|`[^`]*`?|\{(?:"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\]|\\[\s\S])*'|`[^`]*`|[^"'`}])*\}?|\[[^\]]*\]?|[a-zA-Z_:][a-zA-Z0-9_:]*|[0-9.][0-9a-zA-Z_.]*|[<>=!]=|=~|!~|[\s\S]/gy;

const sorts: [RegExp, PromqlToken['is']][] = [
  [/^["'`]/, 'string'],
  [/^\{/, 'matchers'],
  [/^\[/, 'range'],
  [/^[a-zA-Z_:]/, 'name'],
  [/^[0-9]|^\.[0-9]/, 'number'],
];

/** The pieces without blanks and comments. Any text has some; it need not be a valid expression. */
export function promqlTokens(expression: string): PromqlToken[] {
  const tokens: PromqlToken[] = [];
  for (const match of expression.matchAll(piece)) {
    const [text] = match;
    if (/^\s|^#/.test(text)) continue;
    const is = sorts.find(([pattern]) => pattern.test(text))?.[1] ?? 'sign';
    tokens.push({ is, text, at: match.index });
  }
  return tokens;
}

const words = new Set(
  (
    'by without on ignoring group_left group_right bool and or unless offset atan2 default if ifnot limit inf nan ' +
    'keep_metric_names sum min max avg group stddev stdvar count count_values bottomk topk quantile limitk limit_ratio start end'
  ).split(' '),
);
const labelLists = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);
const askingAbsence = new Set(['absent', 'absent_over_time']);

/**
 * The metrics that an expression reads by name, apart from those whose absence it asks for. Undefined when templates of
 * MetricsQL (`WITH (...)`) make names mean something else.
 */
export function metricNames(expression: string): string[] | undefined {
  const tokens = readTokens(promqlTokens(expression));
  const names = new Set<string>();
  for (const [index, { is, text }] of tokens.entries()) {
    if (is !== 'name') continue;
    const isCalled = tokens[index + 1]?.text === '(';
    if (isCalled && text.toLowerCase() === 'with') return undefined;
    if (!isCalled && !words.has(text.toLowerCase())) names.add(text);
  }
  return [...names];
}

/**
 * The selectors of an expression without their ranges, such as `up{job="node"}`, apart from those whose absence it asks for.
 * Undefined where templates of MetricsQL make names mean something else.
 */
export function selectors(expression: string): string[] | undefined {
  const names = metricNames(expression);
  if (names === undefined) return undefined;
  const tokens = readTokens(promqlTokens(expression));
  const found = tokens.flatMap(({ is, text }, index) => {
    const next = tokens[index + 1];
    const isMetric = is === 'name' && names.includes(text) && next?.text !== '(';
    if (isMetric) return [next?.is === 'matchers' ? `${text}${next.text}` : text];
    const before = tokens[index - 1];
    const isNamed = before?.is === 'name' && names.includes(before.text);
    return is === 'matchers' && !isNamed ? [text] : [];
  });
  return [...new Set(found)];
}

/** An expression that gives one series with the label `selector` (its position) for each of them that finds something. */
export function findingQuery(wanted: readonly string[]): string {
  return wanted
    .map((selector, index) => `label_replace(count(${selector}), "selector", "${index}", "", "")`)
    .join(' or ');
}

/** Without what stands in parentheses behind `by`, `on` or `absent`: labels, and what may be missing. */
function readTokens(tokens: readonly PromqlToken[]): PromqlToken[] {
  const read: PromqlToken[] = [];
  /** Open parentheses since one whose content is left out; 0 outside of it. */
  let left = 0;
  for (const [index, token] of tokens.entries()) {
    const before = tokens[index - 1]?.text.toLowerCase() ?? '';
    if (token.text === ')' && left > 0) left--;
    if (left === 0) read.push(token);
    if (token.text === '(' && (left > 0 || labelLists.has(before) || askingAbsence.has(before))) left++;
  }
  return read;
}

/** An expression that gives one series for each of these names that exists. */
export function presenceQuery(names: readonly string[]): string {
  return `count by (__name__) ({__name__=~"${names.join('|')}"})`;
}

/**
 * What an alert expression measures: the part before its last comparison with a number, or all of it. `cpu > 85` has a
 * course over time, and its alert only points where it is bad.
 */
export function measuredPart(expression: string): string {
  const tokens = promqlTokens(expression);
  let depth = 0;
  let cut: number | undefined;
  for (const [index, { is, text, at }] of tokens.entries()) {
    if (text === '(') depth++;
    else if (text === ')') depth--;
    else if (depth === 0 && is === 'name' && ['and', 'or', 'unless'].includes(text.toLowerCase())) return expression;
    else if (depth === 0 && /^(?:[<>]=?|==|!=)$/.test(text) && isNumber(tokens.slice(index + 1))) cut = at;
  }
  const part = cut === undefined ? '' : expression.slice(0, cut).trim();
  return part === '' ? expression : part;
}

/** Whether the pieces are arithmetic of plain numbers: `85`, `-1`, `7 * 86400`. */
function isNumber(tokens: readonly PromqlToken[]): boolean {
  return tokens.length > 0 && tokens.every(({ is, text }) => is === 'number' || /^[-+*/()]$|^bool$/.test(text));
}

/** The log lines that a metric query of Loki counts: its first selector with the filters behind, without the range. */
export function logPart(query: string): string | undefined {
  const tokens = promqlTokens(query);
  const start = tokens.findIndex(({ is }) => is === 'matchers');
  if (start === -1) return undefined;
  const end = tokens.findIndex(({ is, text }, index) => index > start && (is === 'range' || text === ')'));
  const from = tokens[start]?.at ?? 0;
  const part = query.slice(from, end === -1 ? undefined : tokens[end]?.at).trim();
  return part === '' ? undefined : part;
}
