import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Document, LineCounter, parseDocument } from 'yaml';
import { Failure, messageOf } from '#bus/failure.ts';
import { answersTo } from './answers.ts';
import { lintPlaybook } from './lint.ts';
import { checkParameter, parametersFrom } from './parameters.ts';
import { type Candidate, type Catalogue, type CatalogueFault, Playbook } from './playbook.ts';

const libraryFolder = fileURLToPath(new URL('./library/', import.meta.url));
const maximumFileBytes = 65_536;
const maximumFiles = 300;
const everybodyMayWrite = 0o002;

interface Loaded {
  playbook: Playbook;
  digest: string;
  origin: 'library' | 'user';
}

/**
 * Reads the playbooks that ship and those of `userFolder`. A wrong file of the user is left out and told in `faults`;
 * a wrong one of ours is a broken installation and throws a Failure.
 */
export async function loadCatalogue(userFolder?: string): Promise<Catalogue> {
  const faults: CatalogueFault[] = [];
  const playbooks = new Map<string, Loaded>();
  const shipped = await readFolder(libraryFolder, { playbooks, origin: 'library' });
  const [broken] = shipped;
  if (broken !== undefined) {
    throw new Failure(`Cannot use "${broken.file}" line ${broken.line}: ${broken.message}`, { recoverable: false });
  }
  if (userFolder !== undefined) faults.push(...(await readFolder(userFolder, { playbooks, origin: 'user' })));
  return new LoadedCatalogue(playbooks, faults);
}

class LoadedCatalogue implements Catalogue {
  readonly faults: readonly CatalogueFault[];
  readonly #playbooks: ReadonlyMap<string, Loaded>;

  constructor(playbooks: ReadonlyMap<string, Loaded>, faults: readonly CatalogueFault[]) {
    this.#playbooks = playbooks;
    this.faults = faults;
  }

  all(): readonly Playbook[] {
    return [...this.#playbooks.values()].map(({ playbook }) => playbook);
  }

  get(id: string): Playbook | undefined {
    return this.#playbooks.get(id)?.playbook;
  }

  digestOf(id: string): string {
    const loaded = this.#playbooks.get(id);
    if (loaded === undefined) throw new Error(`There is no playbook "${id}"`);
    return loaded.digest;
  }

  isShipped(id: string): boolean {
    return this.#playbooks.get(id)?.origin === 'library';
  }

  candidates(labels: Readonly<Record<string, string>>): Candidate[] {
    return this.all().flatMap((playbook) => {
      if (!playbook.answers.some((answer) => answersTo(answer, labels))) return [];
      const { parameters, missing } = parametersFrom(playbook, labels);
      return allFit(playbook, parameters) ? [{ playbook, parameters, missing }] : [];
    });
  }
}

/** A label from the world that is no good value makes no proposal. Roots from the configuration are the worker's. */
function allFit(playbook: Playbook, parameters: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(parameters).every(([name, value]) => {
    const parameter = playbook.parameters[name];
    return parameter !== undefined && checkParameter(parameter, value, { freePaths: ['/'] }).ok;
  });
}

/** Adds what a folder holds to `into.playbooks`; returns what is wrong with the rest. */
async function readFolder(
  folder: string,
  into: { playbooks: Map<string, Loaded>; origin: 'library' | 'user' },
): Promise<CatalogueFault[]> {
  let names: string[];
  try {
    if (into.origin === 'user' && isOpenToAll(await stat(folder))) return [openToAll(folder)];
    names = (await readdir(folder)).filter((name) => /\.ya?ml$/.test(name)).toSorted();
  } catch (error) {
    return [{ file: folder, line: 0, message: `cannot be read: ${messageOf(error)}` }];
  }
  const faults: CatalogueFault[] = [];
  for (const name of names.slice(0, maximumFiles)) {
    const file = join(folder, name);
    const read = await readPlaybook(file, into.origin);
    if (!read.ok) faults.push(...read.faults);
    else if (into.playbooks.has(read.playbook.id)) {
      faults.push({ file, line: 0, message: `the id "${read.playbook.id}" is taken by another playbook` });
    } else into.playbooks.set(read.playbook.id, { ...read, origin: into.origin });
  }
  if (names.length > maximumFiles) {
    faults.push({ file: folder, line: 0, message: `holds more than ${maximumFiles} playbooks; the rest is left out` });
  }
  return faults;
}

/** The probes of a playbook run before anybody approves it: who may write one may run commands. */
function isOpenToAll({ mode }: { mode: number }): boolean {
  return (mode & everybodyMayWrite) !== 0;
}

function openToAll(file: string): CatalogueFault {
  return { file, line: 0, message: `may be written by everybody; run: chmod o-w ${file}` };
}

type Read = ({ ok: true } & Omit<Loaded, 'origin'>) | { ok: false; faults: CatalogueFault[] };

async function readPlaybook(file: string, origin: 'library' | 'user'): Promise<Read> {
  try {
    const found = await stat(file);
    // Reading a pipe would wait for ever.
    if (!found.isFile()) return wrong(file, 'is not a file');
    if (origin === 'user' && isOpenToAll(found)) return { ok: false, faults: [openToAll(file)] };
    if (found.size > maximumFileBytes) return wrong(file, `is larger than ${maximumFileBytes} bytes`);
    return parsePlaybook(file, await readFile(file));
  } catch (error) {
    return wrong(file, `cannot be read: ${messageOf(error)}`);
  }
}

function wrong(file: string, message: string, line = 0): Read {
  return { ok: false, faults: [{ file, line, message }] };
}

/** Parses and judges the text of one file. */
export function parsePlaybook(file: string, bytes: Buffer): Read {
  const lines = new LineCounter();
  const document = parseDocument(bytes.toString('utf8'), { lineCounter: lines, stringKeys: true });
  const [error] = document.errors;
  if (error !== undefined) return wrong(file, error.message.split('\n')[0] ?? '', error.linePos?.[0].line ?? 0);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 50 });
  } catch (failure) {
    return wrong(file, messageOf(failure));
  }
  const parsed = Playbook.safeParse(value);
  const found = parsed.success
    ? lintPlaybook(parsed.data)
    : parsed.error.issues.map(({ path, message }) => ({
        path: path.filter((key) => typeof key !== 'symbol'),
        message,
      }));
  if (parsed.success && found.length === 0) {
    return { ok: true, playbook: parsed.data, digest: createHash('sha256').update(bytes).digest('hex') };
  }
  return {
    ok: false,
    faults: found.map(({ path, message }) => ({
      file,
      line: lineOf(document, lines, path),
      message: path.length === 0 ? message : `${path.join('.')}: ${message}`,
    })),
  };
}

/** The line of the nearest node that exists on the way to `path`. */
function lineOf(document: Document, lines: LineCounter, path: readonly (string | number)[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    const range = node !== null && typeof node === 'object' && 'range' in node ? node.range : undefined;
    if (Array.isArray(range) && typeof range[0] === 'number') return lines.linePos(range[0]).line;
  }
  return 1;
}
