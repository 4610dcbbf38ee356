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

test('a fault of one entry hides none of the others', async () => {
  using folder = new Folder();
  const config = [
    'presets: own',
    'hosts: { here: { via: local, watch: [{ preset: mine, url: "http://x" }, { preset: "../x" }] } }',
    'intake:',
    '  a: { kind: wazuh, maximumOpen: 0 }',
    '  b: { kind: wazuhh }',
    'discovery:',
    '  - { source: docker, ignore: [[]] }',
    '  - { source: dockr, id: second }',
  ];
  writeFileSync(join(folder.path, 'lares.yaml'), config.join('\n'));
  const told = async (): Promise<string> => (await runCommand(['validate'], { cwd: folder.path })).stderr;
  expect(await told()).toMatch(/lares\.yaml:1:1 presets: is no folder that can be read: ".*own" \(ENOENT\)/);
  mkdirSync(join(folder.path, 'own'));
  const mine = 'preset: mine\ntitle: Mine\nabout: x\nparameters: { url: { type: url, about: x } }\nchecks:\n';
  writeFileSync(
    join(folder.path, 'own', 'mine.yaml'),
    `${mine}  - { suffix: a, kind: http, url: '{ulr}', needs: [url] }\n`,
  );
  const faults = (await told()).trim().split('\n');
  expect(faults.map((line) => line.replace(/^.*lares\.yaml:/, ''))).toEqual([
    expect.stringMatching(/^2:40 .*mine\.yaml" is wrong at checks\.0: names no parameter: "ulr"$/),
    expect.stringMatching(/^2:\d+ hosts\.here\.watch\[1\]\.preset: there is no preset "\.\.\/x"/),
    '4:21 intake.a.maximumOpen: must be >=1',
    expect.stringMatching(/^5:8 intake\.b\.kind: .*did you mean "wazuh"/),
    '7:32 discovery[0].ignore[0]: must be a text or a whole number',
    expect.stringMatching(/^8:7 discovery\[1\]\.source: .*did you mean "docker"/),
  ]);
});
