/** A piece of a message with one style. Styles do not nest, so a message can be cut anywhere between two spans. */
export interface Span {
  style: 'plain' | 'bold' | 'italic' | 'code' | 'pre';
  text: string;
}

const tags: Record<Exclude<Span['style'], 'plain'>, string> = { bold: 'b', italic: 'i', code: 'code', pre: 'pre' };

/** Telegram's HTML knows `&lt;`, `&gt;`, `&amp;` and `&quot;`; in text only the first three matter. */
function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** The one place where markup is made. Contract: what stands in a span can neither open nor close a tag. */
export function toHtml(spans: readonly Span[]): string {
  return spans
    .filter((span) => span.text !== '')
    .map(({ style, text }) =>
      style === 'plain' ? escapeHtml(text) : `<${tags[style]}>${escapeHtml(text)}</${tags[style]}>`,
    )
    .join('');
}

/** What is left when Telegram refuses the markup, and what it counts against its limit. */
export function toPlain(spans: readonly Span[]): string {
  return spans.map((span) => span.text).join('');
}

export function lengthOf(spans: readonly Span[]): number {
  return spans.reduce((sum, span) => sum + span.text.length, 0);
}

/**
 * Telegram makes `/word` a command and `@name` a mention wherever they stand outside of code: a name in an alert could
 * offer `/unfreeze` to a finger or call strangers. An invisible word joiner keeps them text; paths like `/etc/hosts` are
 * never commands and stay as they are, so that they can be copied.
 */
export function withoutLinks(text: string): string {
  return text.replace(/(?<![\p{L}\p{N}_/<>])\/(?=\w{1,64}(?![\w/<>]))|(?<!\w)@(?=\w)/gu, '$&\u2060');
}
