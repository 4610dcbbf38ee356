import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { faultsOfArgv } from '#playbooks/render.ts';
import { stepKinds } from '#playbooks/step-kinds.ts';

const folder = join(import.meta.dirname, '../../playbooks/steps');
const files = readdirSync(folder).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'));

/** Options that fill every text with a parameter: the most that a playbook can put into a step. */
const examples: Record<string, Record<string, unknown>> = {
  'apt-clean': {},
  'delete-old-files': { path: '{path}', days: '{number}' },
  'docker-restart': { container: '{container}' },
  'journal-vacuum': { megabytes: '{number}' },
  'nginx-reload': {},
  'systemd-reset-and-start': { unit: '{unit}' },
  'systemd-restart': { unit: '{unit}', onlyIfRunning: true },
  'wait-for': { for: { state: 'unit-active', unit: '{unit}' }, within: '10s' },
};

describe('step kinds', () => {
  it('the folder is the registry and the file name is the kind', () => {
    expect([...stepKinds.keys()].toSorted()).toEqual(files.map((name) => name.replace('.ts', '')).toSorted());
  });

  it.each([...stepKinds.values()])('$kind renders commands that pass the rules of a playbook', (kind) => {
    const rendered = kind.render(examples[kind.kind]);
    expect(rendered.ok && rendered.commands.length).toBeGreaterThan(0);
    for (const command of rendered.ok ? rendered.commands : []) {
      expect(faultsOfArgv(command.argv, () => true)).toEqual([]);
      expect(command.timeoutMs).toBeGreaterThan(0);
    }
  });

  it.each([...stepKinds.values()])('$kind describes itself and refuses options that it does not have', (kind) => {
    expect(kind.about).toMatch(/^[A-Z].*\.$/);
    expect(kind.render({ ...examples[kind.kind], surprise: true }).ok).toBe(false);
  });

  it.each([...stepKinds.values()])('$kind renders the same commands each time', (kind) => {
    expect(kind.render(examples[kind.kind])).toEqual(kind.render(examples[kind.kind]));
  });
});
