import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Folder, runCommand } from '../../test/parts/command.ts';

test('a wrong playbook of the person is named by file and line', async () => {
  using folder = new Folder();
  writeFileSync(join(folder.path, 'lares.yaml'), 'hosts: { here: { via: local } }\nremediation: { playbooks: own }\n');
  mkdirSync(join(folder.path, 'own'));
  const playbook =
    'schema: lares.playbook/1\nid: own\ntitle: Own\nabout: x\nrisk: low\nsteps:\n  - { id: a, argv: [sh, -c, "echo {x}"] }\n';
  writeFileSync(join(folder.path, 'own', 'mine.yaml'), playbook);
  const { status, stderr } = await runCommand(['validate'], { cwd: folder.path });
  expect(status).toBe(2);
  expect(stderr).toMatch(/own\/mine\.yaml:7:1 .*"\{x\}" is not a parameter/);
  writeFileSync(join(folder.path, 'own', 'mine.yaml'), playbook.replace('{x}', 'x'));
  expect(await runCommand(['validate'], { cwd: folder.path })).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('7 playbooks') as string,
  });
});
