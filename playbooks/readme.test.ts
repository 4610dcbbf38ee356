import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadCatalogue, parsePlaybook } from './catalogue.ts';
import { commandsOf } from './step-kinds.ts';
import type { Playbook } from './playbook.ts';
import { renderArgv } from './render.ts';

const guide = readFileSync(join(import.meta.dirname, 'README.md'), 'utf8');

function block(language: string): string {
  return new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(guide)?.[1] ?? '';
}

/** Commands as sudoers(5) writes them, without the folder of the program. */
function allowedBySudo(): string[] {
  return block('sudoers')
    .split('\n')
    .flatMap((line) => /NOPASSWD: (.*)/.exec(line)?.[1]?.split(', ') ?? [])
    .map((command) => command.replaceAll(/\\(.)/g, '$1').replace(/^\/usr\/s?bin\//, ''))
    .toSorted();
}

/** What a playbook runs as root, with the values of the guide. */
function rootCommands(playbook: Playbook): string[] {
  const values = { unit: 'shop.service', container: 'shop', path: '/srv/cache', days: 30, 'journal-megabytes': 200 };
  const probes = [...playbook.preconditions, ...playbook.condition, ...playbook.verification];
  return [...playbook.steps.flatMap(commandsOf), ...probes]
    .filter(({ sudo }) => sudo)
    .map(({ argv }) => renderArgv(argv, values).join(' '));
}

test('the example of the guide is a playbook', () => {
  expect(parsePlaybook('README.md', Buffer.from(block('yaml')))).toMatchObject({ ok: true });
});

test('the sudoers lines of the guide are what the playbooks that ship run as root, and nothing else', async () => {
  const commands = (await loadCatalogue()).all().flatMap(rootCommands);
  expect(allowedBySudo()).toEqual([...new Set(commands)].toSorted());
});
