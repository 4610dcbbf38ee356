import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadCatalogue } from './catalogue.ts';
import { checkParameters } from './parameters.ts';

const valid = `schema: lares.playbook/1
id: mine
title: Mine {unit}
about: x
risk: low
parameters:
  unit: { type: unit, from: unit, description: x }
steps:
  - id: a
    use: systemd-restart
    with: { unit: '{unit}' }
`;

describe('the catalogue', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lares-playbooks-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);

  it('every playbook that ships is valid and has a digest', async () => {
    const catalogue = await loadCatalogue();
    expect(catalogue.all().map(({ id }) => id)).toEqual([
      'delete-old-files',
      'free-disk-space',
      'reload-nginx',
      'reset-and-start-unit',
      'restart-docker-container',
      'restart-systemd-unit',
    ]);
    for (const { id } of catalogue.all()) expect(catalogue.digestOf(id)).toMatch(/^[0-9a-f]{64}$/);
    expect(catalogue.faults).toEqual([]);
  });

  it('a finding finds the playbooks that answer it, with the values of its labels', async () => {
    const catalogue = await loadCatalogue();
    const ids = (labels: Record<string, string>) => catalogue.candidates(labels).map(({ playbook }) => playbook.id);
    expect(ids({ alertname: 'unit-failed', unit: 'nginx.service' })).toEqual([
      'reset-and-start-unit',
      'restart-systemd-unit',
    ]);
    expect(ids({ alertname: 'http-down', unit: 'nginx' })).toEqual(['restart-systemd-unit']);
    expect(ids({ alertname: 'http-down' })).toEqual([]);
    expect(ids({ alertname: 'container-unhealthy', container: 'web' })).toEqual(['restart-docker-container']);
    expect(ids({ alertname: 'unit-failed', unit: 'x; rm -rf /' })).toEqual([]);
    const [disk] = catalogue.candidates({ alertname: 'filesystem-full', path: '/var' });
    expect(disk).toMatchObject({ parameters: { path: '/var', 'journal-megabytes': 200 }, missing: [] });
    expect(disk && checkParameters(disk.playbook, disk.parameters).ok).toBe(true);
  });

  it('the own folder adds playbooks and replaces none that ships', async () => {
    write('a.yaml', valid);
    write('b.yaml', valid.replace('id: mine', 'id: restart-systemd-unit'));
    const catalogue = await loadCatalogue(folder);
    expect(catalogue.get('mine')?.title).toBe('Mine {unit}');
    expect(catalogue.get('restart-systemd-unit')?.title).toBe('Restart {unit}');
    expect(catalogue.faults).toEqual([
      { file: join(folder, 'b.yaml'), line: 0, message: 'the id "restart-systemd-unit" is taken by another playbook' },
    ]);
  });

  it.each([
    ['an unknown key', valid.replace('risk: low', 'risk: low\nrisks: high'), /risks/, 1],
    ['a wrong risk', valid.replace('risk: low', 'risk: none'), /risk/, 5],
    ['an unknown step kind', valid.replace('systemd-restart', 'shell'), /Cannot use step kind "shell"/, 9],
    ['a value in a script', valid.replace(/use:[^]*/, "argv: [sh, -c, 'echo {unit}']\n"), /script/, 9],
    ['broken YAML', `${valid}\n  - [`, /./, 12],
    ['a parameter that is not declared', valid.replace("unit: '{unit}'", "unit: '{other}'"), /other/, 9],
  ])('%s is a fault with its line', async (...[, text, message, line]) => {
    write('a.yaml', text);
    const catalogue = await loadCatalogue(folder);
    expect(catalogue.get('mine')).toBeUndefined();
    expect(catalogue.faults[0]?.message).toMatch(message);
    expect(catalogue.faults[0]?.line).toBeGreaterThanOrEqual(line);
  });

  it('a huge file, a bomb of aliases and a missing folder are faults, not failures', async () => {
    write('huge.yaml', `${valid}#${'x'.repeat(70_000)}`);
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]'];
    for (const [index, name] of 'bcdefghi'.split('').entries()) {
      const before = 'abcdefgh'[index] ?? 'a';
      bomb.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(',')}]`);
    }
    write('bomb.yaml', bomb.join('\n'));
    const catalogue = await loadCatalogue(folder);
    expect(catalogue.faults.map(({ message }) => message).join('\n')).toMatch(/alias[^]*larger than/i);
    expect((await loadCatalogue(join(folder, 'missing'))).faults[0]?.message).toContain('cannot be read');
  });

  it('what everybody may write is no playbook', async () => {
    write('mine.yaml', valid);
    chmodSync(join(folder, 'mine.yaml'), 0o666);
    const catalogue = await loadCatalogue(folder);
    expect(catalogue.get('mine')).toBeUndefined();
    expect(catalogue.faults[0]?.message).toContain('may be written by everybody');
    chmodSync(join(folder, 'mine.yaml'), 0o640);
    expect((await loadCatalogue(folder)).get('mine')?.id).toBe('mine');
    chmodSync(folder, 0o777);
    expect((await loadCatalogue(folder)).get('mine')).toBeUndefined();
  });

  it('a pipe among the playbooks holds nobody up', async () => {
    write('mine.yaml', valid);
    execFileSync('mkfifo', [join(folder, 'a.yaml')]);
    const catalogue = await loadCatalogue(folder);
    expect(catalogue.faults.map(({ message }) => message)).toEqual(['is not a file']);
    expect(catalogue.get('mine')?.id).toBe('mine');
  });

  it('a hostile label does not hold up the process, whatever expression answers it', async () => {
    write('mine.yaml', `${valid}answers:\n  - { alertname: odd, unit: '(\\w+\\s?)+' }\n`);
    const catalogue = await loadCatalogue(folder);
    expect(catalogue.faults).toEqual([]);
    const start = performance.now();
    expect(catalogue.candidates({ alertname: 'odd', unit: `${'a'.repeat(80)}!` })).toEqual([]);
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});
