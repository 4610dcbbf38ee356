import { cut } from './visible.ts';

/** Cuts a long text into at most `count` messages of `limit` units, at line ends where it can; the last one says when it was cut. */
export function partsOf(text: string, limit: number, count: number): string[] {
  const parts: string[] = [];
  let rest = text;
  while (rest.length > limit && parts.length < count - 1) {
    const end = rest.lastIndexOf('\n', limit);
    const part = rest.slice(0, end > limit / 2 ? end : wholeUntil(rest, limit));
    parts.push(part);
    rest = rest.slice(part.length).replace(/^\n/, '');
  }
  return [...parts, cut(rest, limit)].filter((part) => part.trim() !== '');
}

/** Where to cut so that no surrogate pair is torn. */
function wholeUntil(text: string, limit: number): number {
  return /[\uD800-\uDBFF]/.test(text.charAt(limit - 1)) ? limit - 1 : limit;
}
