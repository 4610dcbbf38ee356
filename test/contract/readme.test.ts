import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bindIntakes } from '#agents/sentinel/foreign/bind.ts';
import { bindShipped, kindNames } from '#agents/sentinel/registry.ts';
import { shippedGuardians } from '#config/guardian.ts';
import { loadConfig } from '#config/load.ts';
import { Presets } from '#config/preset.ts';
import { loadCatalogue } from '#playbooks/catalogue.ts';
import { Folder, runCommand } from '../parts/command.ts';

const root = join(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const readme = read('README.md');
/** Stands in the text for what each reader fills in. */
const fingerprint = `SHA256:${'A'.repeat(43)}`;

interface Block {
  file: string;
  line: number;
  yaml: string;
}

/** The fenced blocks of a page, without the indentation of the list that they stand in. */
function blocksOf(file: string): Block[] {
  const text = read(file);
  return [...text.matchAll(/^( *)```yaml\n([\s\S]*?)^\1```$/gm)].map(({ index, 1: indent = '', 2: body = '' }) => ({
    file,
    line: text.slice(0, index).split('\n').length,
    yaml: body.replaceAll(new RegExp(`^${indent}`, 'gm'), '').replace('SHA256:...', fingerprint),
  }));
}

/** The names in code font in the row of the table that begins so. */
function namesIn(row: string): string[] {
  const line = readme.split('\n').find((text) => text.startsWith(`| ${row} |`)) ?? '';
  return [...line.matchAll(/`([a-z-]+)`/g)].map(([, name = '']) => name);
}

const blocks = ['README.md', '.github/deployment.md'].flatMap(blocksOf);
// The configurations of other programs are no business of ours; those with a name of theirs say whose they are.
const snippets = blocks.filter(
  ({ yaml }) => !/^(?:scrape_configs:|# (?:prometheus|alertmanager|gatus) ?\S*\.ya?ml$)/m.test(yaml),
);

test('the pages hold configurations', () => {
  expect(snippets.filter(({ file }) => file === 'README.md').length).toBeGreaterThanOrEqual(2);
});

test.each(snippets)('the configuration at $file:$line is valid', async ({ yaml }) => {
  using folder = new Folder();
  const file = join(folder.path, 'lares.yaml');
  writeFileSync(file, yaml);
  const { config } = await loadConfig(file);
  expect((await bindShipped(config)).faults).toEqual([]);
  expect((await bindIntakes(config)).faults).toEqual([]);
});

describe('the tables of the README', () => {
  test('count the kinds, presets and guardians that ship', async () => {
    const [kinds, presets, guardians] = [await kindNames(), new Presets().names(), shippedGuardians()];
    const row = readme.split('\n').find((line) => line.startsWith('| checks |')) ?? '';
    const numbers = [...row.matchAll(/(\d+) (?:kinds|presets|guardians)/g)].map(([, number]) => Number(number));
    expect(numbers).toEqual([kinds.length, presets.length, guardians.size]);
  });

  test('name every playbook that ships, and no other', async () => {
    const ships = (await loadCatalogue()).all().map(({ id }) => id);
    expect(namesIn('playbooks').toSorted()).toEqual(ships.toSorted());
  });

  test('name every command of the help, and no other', async () => {
    using folder = new Folder();
    const { stdout } = await runCommand(['--help'], { cwd: folder.path });
    const listed = [...stdout.matchAll(/^ {2}([a-z]+)(?= \[options\])/gm)].map(([, name = '']) => name);
    const [, table = ''] = /^## Commands\n([\s\S]*?)^## /m.exec(readme.replace(/^Exit status/m, '## ')) ?? [];
    const first = [...table.matchAll(/^\| (`[^|]*) \|/gm)].map(([, cell = '']) => cell);
    const named = first.flatMap((cell) => [...cell.matchAll(/`(?:lares )?([a-z]+)/g)].map(([, name = '']) => name));
    expect([...new Set(named)].toSorted()).toEqual(listed.toSorted());
  });

  test('tell each exit status as the help does', async () => {
    using folder = new Folder();
    const { stdout } = await runCommand(['--help'], { cwd: folder.path });
    const [, ofHelp = ''] = /^Exit status:\n([\s\S]*?)\n\n/m.exec(stdout) ?? [];
    const statuses = [...ofHelp.matchAll(/^ {2}(\d+) /gm)].map(([, status = '']) => status);
    const paragraph = /^Exit status:[\s\S]*?\n\n/m.exec(readme)?.[0] ?? '';
    expect([...paragraph.matchAll(/`(\d+)`/g)].map(([, status = '']) => status)).toEqual(statuses);
  });
});

test('every file that a page points to is there', () => {
  const pages = ['README.md', 'AGENTS.md', '.github/deployment.md', '.github/contributing.md', 'CHANGELOG.md'];
  const targets = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\(([^)#]+)\)/g)].map(([, target = '']) => ({ page, target })),
  );
  const isBroken = ({ page, target }: { page: string; target: string }): boolean =>
    !/^https?:/.test(target) && !existsSync(join(root, page, '..', target));
  expect(targets.filter(isBroken)).toEqual([]);
});
