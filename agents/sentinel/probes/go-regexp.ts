import { createContext, Script } from 'node:vm';
import { TemplateFault } from './go-format.ts';

/** Go's expressions take linear time; the same ones here may not, with the right text. */
const limitMs = 250;
const maximumMatches = 1_000;

interface Found {
  index: number;
  length: number;
  groups: readonly (string | undefined)[];
  named: Readonly<Record<string, string | undefined>>;
}

const context = createContext(Object.create(null) as { pattern?: RegExp; text?: string; most?: number });
const script = new Script(`(() => {
  const found = [];
  for (const match of text.matchAll(pattern)) {
    found.push([match.index, match[0].length, [...match], Object.entries(match.groups ?? {})]);
    if (found.length >= most) break;
  }
  return JSON.stringify(found);
})()`);

/** Whether a text matches, by Go's rules. Throws a TemplateFault when the expression is none or takes too long. */
export function goMatches(pattern: string, text: string): boolean {
  return find(pattern, text, 1).length > 0;
}

/** Go's `ReplaceAllString`: `$1`, `${1}` and `${name}` in the replacement stand for groups. */
export function goReplaceAll(pattern: string, replacement: string, text: string): string {
  let result = '';
  let end = 0;
  for (const found of find(pattern, text, maximumMatches)) {
    result += text.slice(end, found.index) + expand(replacement, found);
    end = found.index + found.length;
  }
  return result + text.slice(end);
}

function find(pattern: string, text: string, most: number): Found[] {
  Object.assign(context, { pattern: compile(pattern), text, most });
  try {
    const json = String(script.runInContext(context, { timeout: limitMs }));
    const rows = JSON.parse(json) as [number, number, (string | null)[], [string, string | null][]][];
    return rows.map(([index, length, groups, named]) => ({
      index,
      length,
      groups: groups.map((group) => group ?? undefined),
      named: Object.fromEntries(named.map(([name, group]) => [name, group ?? undefined])),
    }));
  } catch (error) {
    if (isTimeout(error)) throw new TemplateFault('the expression takes too long');
    throw error;
  } finally {
    Object.assign(context, { pattern: undefined, text: undefined });
  }
}

/** The error is made in the context of the script, so it is no instance of our `Error`. */
function isTimeout(error: unknown): boolean {
  return (
    typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT'
  );
}

/** RE2's spelling as JavaScript's: `(?P<name>)`, `(?i)` at the start, `\z`, `\A`. */
function compile(pattern: string): RegExp {
  const flags = /^\(\?([ims]+)\)/.exec(pattern);
  const source = pattern
    .slice(flags?.[0].length ?? 0)
    .replaceAll('(?P<', '(?<')
    .replaceAll(String.raw`\A`, '^')
    .replaceAll(String.raw`\z`, '$');
  try {
    return new RegExp(source, `g${flags?.[1] ?? ''}`);
  } catch (error) {
    if (error instanceof SyntaxError) throw new TemplateFault('is no regular expression');
    throw error;
  }
}

function expand(replacement: string, found: Found): string {
  return replacement.replaceAll(/\$(?:\$|\{(\w+)\}|(\w+))/g, (all: string, braced?: string, bare?: string) => {
    const name = braced ?? bare;
    if (name === undefined) return all === '$$' ? '$' : all;
    return (/^\d+$/.test(name) ? found.groups[Number(name)] : found.named[name]) ?? '';
  });
}
