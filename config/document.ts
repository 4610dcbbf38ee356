import { readFileSync, statSync } from 'node:fs';
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  YAMLParseError,
} from 'yaml';
import { codeOf } from '#bus/failure.ts';
import { ConfigFailure, type ConfigFault, type ConfigPath } from './fault.ts';

/** The configuration as text, as a value, and the way back from a path to a line. */
export interface ConfigDocument {
  value: unknown;
  locate(path: ConfigPath): { line: number; column: number };
}

/** 5,000 checks with comments are a tenth of this. */
const maximumBytes = 4_000_000;
/** References to anchors that are worth following; a bomb has billions. */
const maximumAliases = 1_000;

/** Reads and parses a file. Throws a ConfigFailure with every fault of the YAML. */
export function readDocument(file: string): ConfigDocument {
  return parseConfig(readText(file), file);
}

function readText(file: string): string {
  const fail = (message: string, hint?: string): never => {
    throw new ConfigFailure([{ file, line: 1, column: 1, path: [], message, ...(hint !== undefined && { hint }) }]);
  };
  try {
    const found = statSync(file);
    if (found.isDirectory()) return fail('is a folder, not a file', `try ${file.replace(/\/+$/, '')}/lares.yaml`);
    if (!found.isFile()) return fail('is not a regular file');
    if (found.size > maximumBytes) return fail(`has ${found.size} bytes; at most ${maximumBytes} are read`);
    const bytes = readFileSync(file);
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof ConfigFailure) throw error;
    if (error instanceof TypeError) return fail('is not UTF-8 text');
    const code = codeOf(error) ?? '';
    return fail(
      reasons[code] ?? `cannot be read (${code})`,
      code === 'ENOENT' ? 'config/examples/minimal.yaml is one to start from' : undefined,
    );
  }
}

const reasons: Record<string, string> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read by this user',
  EPERM: 'may not be read by this user',
  ELOOP: 'is a symbolic link to itself',
  ENOTDIR: 'lies below something that is not a folder',
};

/** Parses YAML 1.2. Throws a ConfigFailure with every fault; no message repeats text of the file but key names. */
export function parseConfig(text: string, file: string): ConfigDocument {
  const lines = new LineCounter();
  const fault = (offset: number, message: string): ConfigFault => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col), path: [], message };
  };
  if (/[^\P{Cc}\t\n\r\x85]/u.test(text)) {
    throw new ConfigFailure([fault(0, 'holds control characters: it is not a text file')]);
  }
  const parse = (lineCounter: LineCounter): Document.Parsed =>
    parseDocument(text, { lineCounter, prettyErrors: false, merge: true, uniqueKeys: false, logLevel: 'error' });
  const document = parse(lines);
  const deep = document.errors.find(({ message }) => message.startsWith('Maximum call stack'));
  if (deep !== undefined) throw new ConfigFailure([fault(deep.pos[0], 'nests too deeply')]);
  const errors = [...document.errors, ...repeatedKeys(document)].toSorted((a, b) => a.pos[0] - b.pos[0]);
  if (errors.length > 0) {
    throw new ConfigFailure(errors.slice(0, 50).map((error) => fault(error.pos[0], yamlMessage(error))));
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: maximumAliases }) as unknown;
  } catch (error) {
    throw new ConfigFailure([fault(0, expansionFault(error))]);
  }
  // The nodes take twenty times the room of the text, and are asked again only when something is wrong.
  let kept = new WeakRef(document);
  return {
    value: value ?? {},
    locate(path) {
      const nodes = kept.deref() ?? parse(new LineCounter());
      kept = new WeakRef(nodes);
      const { line, col } = lines.linePos(offsetOf(nodes, path));
      return { line: Math.max(1, line), column: Math.max(1, col) };
    },
  };
}

/** The parser compares each key with all before it: a map of 100,000 keys would take it an hour. */
function repeatedKeys(document: Document): YAMLParseError[] {
  const found: YAMLParseError[] = [];
  const open: unknown[] = [document.contents];
  while (open.length > 0) {
    const node = open.pop();
    if (isSeq(node)) for (const item of node.items) open.push(item);
    if (!isMap(node)) continue;
    const seen = new Set<unknown>();
    for (const { key, value } of node.items) {
      open.push(key, value);
      if (!isScalar(key) || key.value === '<<') continue;
      const [from = 0, to = 0] = key.range ?? [];
      if (seen.has(key.value)) found.push(new YAMLParseError([from, to], 'DUPLICATE_KEY', 'Map keys must be unique'));
      seen.add(key.value);
    }
  }
  return found;
}

/** The parser leaves some faults to the moment when the values are made, and throws them as plain errors. */
function expansionFault(error: unknown): string {
  if (error instanceof ReferenceError) return 'expands its aliases too often';
  if (error instanceof RangeError) return 'nests too deeply';
  if (error instanceof Error && error.message.startsWith('Merge ')) return 'has a "<<" that is followed by no map';
  throw error;
}

/** The parser quotes the offending source behind a colon; that may be a secret. */
function yamlMessage(error: { message: string; code: string }): string {
  const [message = ''] = error.message.split(/: |\n/);
  return `${message.charAt(0).toLowerCase()}${message.slice(1, 200)}`;
}

/** The offset of the deepest part of the path that is in the file: a key where it is one, else a list's item. */
function offsetOf(document: Document, path: ConfigPath): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const part of path) {
    const step = stepInto(document, node, part);
    if (step === undefined) return offset;
    offset = step.offset ?? offset;
    node = step.node;
  }
  return offset;
}

function stepInto(
  document: Document,
  node: unknown,
  part: string | number,
): { node: unknown; offset: number | undefined } | undefined {
  const target = isAlias(node) ? node.resolve(document) : node;
  if (isSeq(target) && typeof part === 'number') {
    const item = target.items[part];
    return item === undefined ? undefined : { node: item, offset: startOf(item) };
  }
  if (!isMap(target)) return undefined;
  const pair = target.items.find(({ key }) => (isScalar(key) ? String(key.value) : String(key)) === String(part));
  return pair === undefined ? undefined : { node: pair.value, offset: startOf(pair.key) };
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? (node as Node).range?.[0] : undefined;
}
