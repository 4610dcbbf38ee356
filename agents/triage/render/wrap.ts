const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const wide =
  /\p{Emoji_Presentation}|\uFE0F|\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|[\u3000-\u303E\uFF01-\uFF60\uFFE0-\uFFE6]/u;

/** Terminal cells, by the rule of thumb that emoji and CJK take two. */
export function cells(text: string): number {
  if (/^[\u{20}-\u{7E}]*$/u.test(text)) return text.length;
  let sum = 0;
  for (const { segment } of segmenter.segment(text)) sum += wide.test(segment) ? 2 : 1;
  return sum;
}

/** Breaks at spaces, and inside a word only when it is wider than the line; further lines start with `indent`. */
export function wrap(text: string, width: number, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  let used = 0;
  for (const piece of text.split(/(?<= )/).flatMap((word) => pieces(word, Math.max(2, width - indent.length)))) {
    if (used > 0 && used + cells(piece.trimEnd()) > width) {
      lines.push(line.trimEnd());
      line = indent;
      used = indent.length;
    }
    line += piece;
    used += cells(piece);
  }
  return [...lines, line.trimEnd()];
}

/** A word, cut where it is wider than a line. */
function pieces(word: string, width: number): string[] {
  if (cells(word) <= width) return [word];
  const found: string[] = [];
  let piece = '';
  let used = 0;
  for (const { segment } of segmenter.segment(word)) {
    const size = cells(segment);
    if (used + size > width) {
      found.push(piece);
      piece = '';
      used = 0;
    }
    piece += segment;
    used += size;
  }
  return [...found, piece];
}
