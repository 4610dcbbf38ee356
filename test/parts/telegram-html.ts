/** What the Bot API makes of `parse_mode: HTML`, after td's MessageEntity.cpp (parse_html): texts, entities and error texts. */
export interface ParsedText {
  text: string;
  entities: { type: string; offset: number; length: number }[];
}

export class EntityError extends Error {}

const types: Record<string, string> = {
  b: 'bold',
  strong: 'bold',
  i: 'italic',
  em: 'italic',
  u: 'underline',
  ins: 'underline',
  s: 'strikethrough',
  strike: 'strikethrough',
  del: 'strikethrough',
  a: 'text_link',
  code: 'code',
  pre: 'pre',
  span: 'spoiler',
  'tg-spoiler': 'spoiler',
  'tg-emoji': 'custom_emoji',
  blockquote: 'blockquote',
};

interface Open {
  tag: string;
  offset: number;
}

interface Scan {
  source: string;
  at: number;
  text: string;
  open: Open[];
  entities: ParsedText['entities'];
}

export function parseHtml(source: string): ParsedText {
  const scan: Scan = { source, at: 0, text: '', open: [], entities: [] };
  while (scan.at < source.length) {
    const character = source.charAt(scan.at);
    if (character === '&') readEntity(scan);
    else if (character !== '<') take(scan, character);
    else if (source.charAt(scan.at + 1) === '/') closeTag(scan);
    else openTag(scan);
  }
  const unclosed = scan.open.at(-1);
  if (unclosed !== undefined) throw new EntityError(`Can't find end tag corresponding to start tag "${unclosed.tag}"`);
  return { text: scan.text, entities: scan.entities };
}

function take(scan: Scan, character: string): void {
  scan.text += character;
  scan.at += 1;
}

/** Unknown names stay as they are, as on Telegram. */
function readEntity(scan: Scan): void {
  const match = /^&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(lt|gt|amp|quot));?/i.exec(scan.source.slice(scan.at, scan.at + 12));
  const named: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"' };
  if (match === null) return take(scan, '&');
  const [all, decimal, hex, name] = match;
  const code = decimal === undefined ? Number.parseInt(hex ?? '0', 16) : Number(decimal);
  const character = name === undefined ? codePoint(code) : named[name.toLowerCase()];
  if (character === undefined) return take(scan, '&');
  scan.text += character;
  scan.at += all.length;
}

function codePoint(code: number): string | undefined {
  return code > 0 && code < 0x10_ff_ff ? String.fromCodePoint(code) : undefined;
}

function openTag(scan: Scan): void {
  const start = scan.at;
  const match = /^<([^\s>]*)([^>]*)(>?)/.exec(scan.source.slice(start));
  const [all = '', name = '', attributes = '', end = ''] = match ?? [];
  const tag = name.toLowerCase();
  const unclosed = new EntityError(`Unclosed start tag at byte offset ${bytes(scan, start)}`);
  if (end === '' && attributes === '') throw unclosed;
  if (types[tag] === undefined) {
    throw new EntityError(`Unsupported start tag "${tag}" at byte offset ${bytes(scan, start)}`);
  }
  if (end === '') throw unclosed;
  if (tag === 'span' && !/class\s*=\s*"?tg-spoiler/.test(attributes)) {
    throw new EntityError(`Tag "span" must have class "tg-spoiler" at byte offset ${bytes(scan, start)}`);
  }
  scan.open.push({ tag, offset: scan.text.length });
  scan.at += all.length;
}

function closeTag(scan: Scan): void {
  const start = scan.at;
  const match = /^<\/([^\s>]*)\s*(>?)/.exec(scan.source.slice(start));
  const [all = '', name = '', end = ''] = match ?? [];
  const tag = name.toLowerCase();
  const opened = scan.open.pop();
  if (opened === undefined) throw new EntityError(`Unexpected end tag at byte offset ${bytes(scan, start)}`);
  if (end === '') throw new EntityError(`Unclosed end tag at byte offset ${bytes(scan, start)}`);
  if (tag !== '' && tag !== opened.tag) {
    throw new EntityError(
      `Unmatched end tag at byte offset ${bytes(scan, start)}, expected "</${opened.tag}>", found "</${tag}>"`,
    );
  }
  const length = scan.text.length - opened.offset;
  if (length > 0) scan.entities.push({ type: types[opened.tag] ?? '', offset: opened.offset, length });
  scan.at += all.length;
}

function bytes(scan: Scan, position: number): number {
  return Buffer.byteLength(scan.source.slice(0, position), 'utf8');
}
