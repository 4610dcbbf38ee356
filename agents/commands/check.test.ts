import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Folder, runCommand } from '../../test/parts/command.ts';
import { freePort } from '../../test/parts/free-port.ts';

async function checked(guardian: string, hosts: object) {
  using folder = new Folder();
  writeFileSync(join(folder.path, 'lares.yaml'), JSON.stringify({ state: 'state', hosts }));
  return await runCommand(['check', guardian], { cwd: folder.path });
}

test('a host that does not answer is unknown, and not without what a guardian looks for there', async () => {
  const hostKeys = [`SHA256:${'A'.repeat(43)}`];
  const read = { user: 'lares', keyFile: '/nowhere/key' };
  const web = { address: '127.0.0.1', port: await freePort(), hostKeys, read };
  const { status, stdout } = await checked('node-health', { web });
  expect(status).toBe(3);
  expect(stdout).toMatch(/^unknown +web-zfs/m);
  expect(stdout).not.toMatch(/^absent/m);
});

test('what a host that answers has none of is absent, and no failure', async () => {
  const { stdout } = await checked('patch-compliance', { here: { via: 'local' } });
  expect(stdout).toMatch(/^absent +here-generation .*no NixOS/m);
});

test('what is wrong is printed last', async () => {
  using folder = new Folder();
  const checks = [
    { id: 'first', kind: 'file', host: 'here', path: '/nowhere/at/all' },
    { id: 'second', kind: 'file', host: 'here', path: folder.path },
  ];
  writeFileSync(join(folder.path, 'lares.yaml'), JSON.stringify({ hosts: { here: { via: 'local' } }, checks }));
  const { status, stdout } = await runCommand(['check'], { cwd: folder.path });
  expect(status).toBe(1);
  expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^(?:critical|warning) +first /);
});
