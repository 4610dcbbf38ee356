import { createContext, Script } from 'node:vm';

/** Far above what any sensible expression takes, far below what a person would notice. */
const limitMs = 250;
/** For ten thousand lines of a log on a busy machine. */
const limitOfManyMs = 1_000;

/** One line of a log that has thousands. */
const limitOfEachMs = 100;

interface Walk {
  /** The text that is matched now; it survives the end of a script that took too long. */
  at: number;
  found: (boolean | undefined)[];
}

const context = createContext(
  Object.create(null) as {
    pattern?: RegExp | undefined;
    texts?: readonly string[] | undefined;
    walk?: Walk | undefined;
  },
);
const script = new Script('texts.map((text) => pattern.test(text))');
const walkScript = new Script(
  '{ const w = walk, t = texts, p = pattern; for (; w.at < t.length; w.at += 1) w.found[w.at] = p.test(t[w.at]); }',
);

/**
 * Whether a text matches, or undefined when finding out takes too long. A person wrote the expression and a stranger the
 * text: with `(a+)+$` and the right text an ordinary match would hold up the whole process for years. Costs 0.1 ms, on a busy
 * machine 2 ms, because the limit is kept by a thread of its own; a plain expression needs none.
 */
export function matchesInTime(pattern: RegExp, text: string): boolean | undefined {
  return matchesEach(pattern, [text], limitMs)?.[0];
}

/** The same for many texts, which share one time: a thousand texts, each just within its own, hold up nobody. */
export function matchesEach(
  pattern: RegExp,
  texts: readonly string[],
  timeoutMs = limitOfManyMs,
): boolean[] | undefined {
  if (texts.length === 0) return [];
  if (isPlain(pattern)) return texts.map((text) => pattern.test(text));
  Object.assign(context, { pattern, texts });
  try {
    return script.runInContext(context, { timeout: timeoutMs }) as boolean[];
  } catch (error) {
    if (isTimeout(error)) return undefined;
    throw error;
  } finally {
    Object.assign(context, { pattern: undefined, texts: undefined });
  }
}

/**
 * The same, but what takes too long hides no other: undefined stands for each text that was not matched to its end, and
 * for all that are left when `budgetMs` is spent.
 */
export function matchesKnown(
  pattern: RegExp,
  texts: readonly string[],
  budgetMs = limitOfManyMs,
): (boolean | undefined)[] {
  if (isPlain(pattern)) return texts.map((text) => pattern.test(text));
  const walk: Walk = { at: 0, found: texts.map(() => undefined) };
  const endsAt = performance.now() + budgetMs;
  for (; walk.at < texts.length; walk.at += 1) {
    const leftMs = Math.floor(endsAt - performance.now());
    if (leftMs <= 0 || walkOn({ pattern, texts, walk }, Math.min(leftMs, limitOfEachMs))) break;
  }
  return walk.found;
}

/** True at the end of the texts. */
function walkOn(of: { pattern: RegExp; texts: readonly string[]; walk: Walk }, timeout: number): boolean {
  const before = of.walk.at;
  Object.assign(context, of);
  try {
    walkScript.runInContext(context, { timeout });
    return true;
  } catch (error) {
    if (!isTimeout(error)) throw error;
    // Many quick ones may fill the time as well as a slow one: only where it got no further is it the slow one.
    if (of.walk.at > before) of.walk.at -= 1;
    return false;
  } finally {
    Object.assign(context, { pattern: undefined, texts: undefined, walk: undefined });
  }
}

/** Without repetitions and groups, but for one around the whole, there is at most one way to match for each alternative. */
function isPlain({ source }: RegExp): boolean {
  return !/[*+?{(]/.test(source.replace(/^\^\(\?:(.*)\)\$$/s, '$1'));
}

/** The error is made in the context of the script, so it is no instance of our `Error`. */
function isTimeout(error: unknown): boolean {
  return (
    typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT'
  );
}
