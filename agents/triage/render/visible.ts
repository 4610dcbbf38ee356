/**
 * Characters that change what a reader sees without being seen: controls, line separators, direction overrides,
 * zero-width and filler characters, tags, lone surrogates. Tab and line feed are handled apart.
 */
const hidden =
  /[\p{Cc}\p{Cs}\u{AD}\u{61C}\u{115F}\u{1160}\u{17B4}\u{17B5}\u{180E}\u{200B}-\u{200F}\u{2028}-\u{202E}\u{2060}-\u{206F}\u{2800}\u{3164}\u{FEFF}\u{FFA0}\u{FFF9}-\u{FFFB}\u{E0000}-\u{E0FFF}]|\u{34F}|[\u{180B}-\u{180D}\u{180F}]/gu;

/** More marks than any script puts on one letter; a tower of them is drawn over the lines above. */
const towerOfMarks = /(\p{M}{4})\p{M}+/gu;

const replacement = '\u{FFFD}';

/**
 * What a terminal takes for an order (ECMA-48): control sequences, and operating system commands, whose text may be
 * anything up to their end. `stripVTControlCharacters` of Node looks for that end from each beginning anew: a quarter of
 * a megabyte of beginnings takes it half a minute.
 */
const terminalOrders =
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  /(?:\u001B\]|\u009D)[^\u0007\u001B\u009C\u009D]*(?:\u0007|\u001B\\|\u009C)|(?:\u001B\[|\u009B)[0-?]{0,64}[ -/]{0,8}[@-~]|\u001B[()#][0-9A-Z]/g;

/** U+2400 and on are pictures of the control characters. */
function picture(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  return code === 0x7f ? '\u2421' : replacement;
}

/** Terminal colours are dropped, every other hidden character gets a visible stand-in; line feeds stay. */
export function visibleText(text: string): string {
  return text
    .toWellFormed()
    .replace(terminalOrders, '')
    .replaceAll('\r\n', '\n')
    .replaceAll('\t', '  ')
    .replace(hidden, (character) => (character === '\n' ? '\n' : picture(character)))
    .replace(towerOfMarks, `$1${replacement}`);
}

/** `visibleText` on one line: a line feed is shown as its picture, so that text cannot make a line of its own. */
export function visibleLine(text: string): string {
  return visibleText(text).replaceAll('\n', '\u240A');
}

/**
 * A command as it will run: nothing is dropped, hidden characters are written as `\u{202e}`, so that two different
 * commands do not look the same.
 */
export function exactLine(text: string): string {
  return text.replace(hidden, codeOf).replace(towerOfMarks, (marks) => marks.replace(/\p{M}/gu, codeOf));
}

function codeOf(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

/** At most `length` UTF-16 units, ending in an ellipsis when something was cut; never half of a surrogate pair. */
export function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  const kept = text.slice(0, Math.max(0, length - 1));
  return `${/[\uD800-\uDBFF]$/.test(kept) ? kept.slice(0, -1) : kept}…`;
}

/**
 * Lines that fit into `budget` units, line feeds counted, each cut to `width`; what was left out is said in a last line
 * that fits too. Nothing when not even that fits.
 */
export function linesWithin(lines: readonly string[], budget: number, width = 300): string[] {
  const kept: string[] = [];
  let used = 0;
  for (const [index, line] of lines.entries()) {
    const shown = cut(line, width);
    const reserve = index === lines.length - 1 ? 0 : leftOut(lines.length).length + 1;
    if (used + shown.length + 1 + reserve > budget) {
      const note = leftOut(lines.length - index);
      return used + note.length + 1 <= budget ? [...kept, note] : kept;
    }
    kept.push(shown);
    used += shown.length + 1;
  }
  return kept;
}

function leftOut(count: number): string {
  return `… and ${count} more`;
}
