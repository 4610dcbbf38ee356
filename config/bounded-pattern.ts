import { createContext, Script } from 'node:vm';

/** Far above what any sensible expression takes, far below what a person would notice. */
const limitMs = 250;
/** For ten thousand lines of a log on a busy machine. */
const limitOfManyMs = 1_000;

const context = createContext(Object.create(null) as { pattern?: RegExp; texts?: readonly string[] });
const script = new Script('texts.map((text) => pattern.test(text))');

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
