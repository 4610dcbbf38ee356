import { TemplateFault } from './go-format.ts';

export type TemplatePiece = { is: 'text'; text: string } | { is: 'action'; tokens: GoToken[] };

/** `.` begins a field, `$` a variable; both with their name. */
export type GoToken =
  | { is: 'text'; value: string }
  | { is: 'number'; value: number | bigint }
  | { is: 'word' | 'field' | 'variable' | 'sign'; value: string };

const action =
  /\{\{(-\s)?\s*(\/\*[\s\S]*?\*\/|(?:"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)*'|[^"`'}]|\}(?!\}))*?)\s*(\s-)?\}\}/y;

/** A template as texts and actions. `{{-` and `-}}` take the blanks beside them away. */
export function splitTemplate(template: string): TemplatePiece[] {
  const pieces: TemplatePiece[] = [];
  let at = 0;
  let trimNext = false;
  while (at <= template.length) {
    const open = template.indexOf('{{', at);
    let text = template.slice(at, open === -1 ? undefined : open);
    if (trimNext) text = text.trimStart();
    if (open === -1) return [...pieces, { is: 'text', text }];
    action.lastIndex = open;
    const match = action.exec(template);
    if (match === null) throw new TemplateFault('an action is not closed');
    const [whole, trimsBefore, body = '', trimsAfter] = match;
    pieces.push({ is: 'text', text: trimsBefore === undefined ? text : text.trimEnd() });
    if (!body.startsWith('/*')) pieces.push({ is: 'action', tokens: tokensOf(body) });
    trimNext = trimsAfter !== undefined;
    at = open + whole.length;
  }
  return pieces;
}

const token =
  /\s+|("(?:[^"\\\n]|\\.)*")|`([^`]*)`|(-?(?:0x[0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)(?![\w.]))|(\$[\p{L}_]?[\p{L}\p{N}_]*)|(\.[\p{L}_][\p{L}\p{N}_]*|\.)|([\p{L}_][\p{L}\p{N}_]*)|(:=|[()|,=])/uy;

function tokensOf(body: string): GoToken[] {
  const tokens: GoToken[] = [];
  token.lastIndex = 0;
  while (token.lastIndex < body.length) {
    const match = token.exec(body);
    if (match === null) throw new TemplateFault('an action has a sign that none has');
    const one = tokenOf(match);
    if (one !== undefined) tokens.push(one);
  }
  return tokens;
}

function tokenOf(match: RegExpExecArray): GoToken | undefined {
  const [, quoted, raw, number, variable, field, word, sign] = match;
  if (quoted !== undefined) return { is: 'text', value: unquoted(quoted) };
  if (raw !== undefined) return { is: 'text', value: raw };
  if (number !== undefined) {
    const isWhole = /^-?(?:0x[0-9a-fA-F]+|\d+)$/.test(number);
    return { is: 'number', value: isWhole && !number.startsWith('-0x') ? BigInt(number) : Number(number) };
  }
  if (variable !== undefined) return { is: 'variable', value: variable };
  if (field !== undefined) return { is: 'field', value: field };
  if (word !== undefined) return { is: 'word', value: word };
  return sign === undefined ? undefined : { is: 'sign', value: sign };
}

const escapes: Record<string, string> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '\\': '\\',
  '"': '"',
  "'": "'",
  a: '\u0007',
  b: '\b',
  f: '\f',
  v: '\v',
};

/** Go's quoted string. */
function unquoted(text: string): string {
  return text
    .slice(1, -1)
    .replaceAll(/\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))/g, (...groups: (string | undefined)[]) => {
      const [, hex, code, letter] = groups;
      if (hex !== undefined || code !== undefined) return String.fromCodePoint(Number.parseInt(hex ?? code ?? '', 16));
      const known = escapes[letter ?? ''];
      if (known === undefined) throw new TemplateFault('a text has an escape that none has');
      return known;
    });
}
