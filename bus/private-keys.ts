const opening = '-----BEGIN ';
const label = /^[A-Z0-9 ]{0,40}PRIVATE KEY-----/;
const closing = /-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----/g;
/** An RSA key of 16,384 bits with its prefixes. */
const longestKey = 30_000;
/** The base64 of a key whose end is missing: everything that can stand in a PEM body, with escaped line ends. */
const pemBody = /^(?:[A-Za-z0-9+/=,:\s-]|\\[nr])*/;
/** In a log each line of a key has a prefix: the time, the program, a bar. A line of a body is 64 characters or so. */
const bodyAtEnd = /(?:^|[^A-Za-z0-9+/=])([A-Za-z0-9+/=]{24,})[\s"',\\]*$/;
/** The last line of a body is as long as it happens to be. */
const shortBodyAtEnd = /(?:^|[^A-Za-z0-9+/=])([A-Za-z0-9+/=]{2,})[\s"',\\]*$/;
const longestLine = 2_000;
/** Longer lines are no lines of a key, whatever stands before them. */
const longestPrefixed = 20_000;

interface Span {
  start: number;
  end: number;
}

/** Text in which `mask` stands for each private key in PEM: whole, cut at either end, or with something before each line. */
export function withoutPrivateKeys(text: string, mask: string): string {
  return withoutHeadless(withoutHeaded(text, mask), mask);
}

function withoutHeaded(text: string, mask: string): string {
  const closings = endsOfKeys(text);
  let result = '';
  let from = 0;
  for (let at = text.indexOf(opening); at !== -1; at = text.indexOf(opening, from)) {
    const name = label.exec(text.slice(at + opening.length, at + opening.length + 60));
    if (name === null) {
      result += text.slice(from, at + opening.length);
      from = at + opening.length;
      continue;
    }
    result += text.slice(from, at) + mask;
    from = endOfKey(text, at + opening.length + name[0].length, closings);
  }
  return result + text.slice(from);
}

/** The first end of a key at or behind a place. Contract: asked for places in their order, so that the text is read once. */
function endsOfKeys(text: string): (from: number) => Span | undefined {
  let found: Span | undefined = { start: -1, end: 0 };
  return (from) => {
    while (found !== undefined && found.start < from) {
      closing.lastIndex = found.end;
      const match = closing.exec(text);
      found = match === null ? undefined : { start: match.index, end: closing.lastIndex };
    }
    return found;
  };
}

function endOfKey(text: string, start: number, closings: (from: number) => Span | undefined): number {
  const next = closings(start);
  const close = next !== undefined && next.end - start <= longestKey ? next : undefined;
  // Only up to the end of the key, because what a body may hold is also what ordinary text is made of.
  const body = text.slice(start, close?.start);
  const length = pemBody.exec(body)?.[0].length ?? 0;
  if (close !== undefined && length === body.length) return close.end;
  return endOfPrefixed(text, start + length);
}

/** Where a key ends of which every line has something before it; `from` when the lines that follow are not of it. */
function endOfPrefixed(text: string, from: number): number {
  let end = from;
  for (let start = from; start < text.length; start = end + 1) {
    const lineEnd = endOfLine(text, start);
    if (lineEnd === undefined) return end;
    const line = text.slice(Math.max(start, lineEnd - longestLine), lineEnd);
    if (bodyAtEnd.test(line)) {
      end = lineEnd;
      continue;
    }
    const next = text.slice(lineEnd + 1, Math.min(endOfLine(text, lineEnd + 1) ?? text.length, lineEnd + longestLine));
    return next.includes('-----END ') && shortBodyAtEnd.test(line) ? lineEnd : end;
  }
  return end;
}

/** Undefined when the line is too long. */
function endOfLine(text: string, from: number): number | undefined {
  const feed = text.slice(from, from + longestPrefixed).indexOf('\n');
  if (feed !== -1) return from + feed;
  return from + longestPrefixed < text.length ? undefined : text.length;
}

/** A log is read from its end, so the beginning of a key may be missing: the lines before its end are looked at. */
function withoutHeadless(text: string, mask: string): string {
  let result = '';
  let from = 0;
  closing.lastIndex = 0;
  for (let match = closing.exec(text); match !== null; match = closing.exec(text)) {
    result += withoutBodyAtEnd(text.slice(from, match.index), mask) + match[0];
    from = closing.lastIndex;
  }
  return result + text.slice(from);
}

/** `before` ends where the end of a key begins: on the line of that end, behind whatever its prefix is. */
function withoutBodyAtEnd(before: string, mask: string): string {
  const lines = before.split('\n');
  let isFirst = true;
  for (let index = lines.length - 2; index >= 0; index -= 1) {
    const line = lines[index] ?? '';
    const found = (isFirst ? shortBodyAtEnd : bodyAtEnd).exec(line.slice(-longestLine));
    if (found?.[1] === undefined) break;
    lines[index] = `${line.slice(0, line.lastIndexOf(found[1]))}${mask}`;
    isFirst = false;
  }
  return lines.join('\n');
}
