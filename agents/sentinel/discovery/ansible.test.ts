import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Folder } from '../../../test/parts/command.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { discover, thingsOf } from '../../../test/parts/discovery-context.ts';
import { expandRange, hostsOfText } from '../probes/ansible-inventory.ts';
import { source } from './ansible.ts';

const ini = `
# the fleet
localhost ansible_connection=local

[web]
web[01:03].example.org ansible_user=deploy
shop ansible_host=192.168.1.20 ansible_port=2222 note="a = b # c"   # the shop

[db]
db-[a:c]

[debian:children]
web
db

[debian:vars]
ansible_user=root
ansible_ssh_pass=planted

[web:vars]
http_port=80
`;

const yaml = `
all:
  vars:
    ansible_user: lares
  children:
    nodes:
      hosts:
        pve1: { ansible_host: 192.168.1.11 }
        pve[2:3]:
    guests:
      children:
        infra:
          hosts:
            dns1:
              ansible_host: "{{ lookup('env', 'X') }}"
              ansible_user: dns
`;

/** Names, groups, address and login, however it was read. */
async function rows(path: string, run: boolean): Promise<unknown[]> {
  const things = thingsOf(await discover(source, { inventory: path, run }));
  return things
    .map(({ name, address, labels }) => [name, address, labels?.['groups'], labels?.['user'], labels?.['port']])
    .toSorted((a, b) => String(a[0]).localeCompare(String(b[0])));
}

const iniRows = [
  ...['a', 'b', 'c'].map((letter) => [`db-${letter}`, undefined, 'db,debian', 'root', undefined]),
  ['shop', '192.168.1.20', 'debian,web', 'root', '2222'],
  ...['01', '02', '03'].map((number) => [`web${number}.example.org`, undefined, 'debian,web', 'deploy', undefined]),
];
const yamlRows = [
  ['dns1', undefined, 'guests,infra', 'dns', undefined],
  ['pve1', '192.168.1.11', 'nodes', 'lares', undefined],
  ['pve2', undefined, 'nodes', 'lares', undefined],
  ['pve3', undefined, 'nodes', 'lares', undefined],
];

describe.each([
  { format: 'INI', file: 'hosts', text: ini, expected: iniRows },
  { format: 'YAML', file: 'hosts.yml', text: yaml, expected: yamlRows },
])('an inventory in $format', ({ file, text, expected }) => {
  test('is read without Ansible: groups, ranges, variables of groups, and no secret', async () => {
    using folder = new Folder();
    const path = join(folder.path, file);
    writeFileSync(path, text);
    expect(await rows(path, false)).toEqual(expected);
    expect(JSON.stringify(await discover(source, { inventory: path, run: false }))).not.toContain('planted');
  });

  describeWith(['ansible-inventory'], 'with Ansible', () => {
    test('is what ansible-inventory says', async () => {
      using folder = new Folder();
      const path = join(folder.path, file);
      writeFileSync(path, text);
      expect(await rows(path, true)).toEqual(expected);
      expect(await discover(source, { inventory: path })).toMatchObject({ notes: [] });
    }, 30_000);
  });
});

describeWith(['ansible-inventory'], 'ansible-inventory', () => {
  test('reads a folder with group_vars', async () => {
    using folder = new Folder();
    mkdirSync(join(folder.path, 'group_vars'));
    writeFileSync(join(folder.path, 'hosts'), '[web]\na\n');
    writeFileSync(join(folder.path, 'group_vars', 'web.yml'), 'ansible_host: 10.1.1.1\nansible_become_pass: planted\n');
    const answer = await discover(source, { inventory: folder.path });
    expect(thingsOf(answer)).toMatchObject([{ name: 'a', address: '10.1.1.1' }]);
    expect(JSON.stringify(answer)).not.toContain('planted');
  }, 30_000);

  test('that cannot read a vault leaves it to our own reading', async () => {
    using folder = new Folder();
    mkdirSync(join(folder.path, 'group_vars'));
    const path = join(folder.path, 'hosts');
    writeFileSync(path, '[web]\na ansible_host=10.1.1.1\n');
    writeFileSync(join(folder.path, 'group_vars', 'web.yml'), '$ANSIBLE_VAULT;1.1;AES256\n6162\n');
    const answer = await discover(source, { inventory: path });
    expect(thingsOf(answer)).toMatchObject([{ name: 'a', address: '10.1.1.1' }]);
    expect(answer).toMatchObject({ notes: [expect.stringContaining('read without Ansible')] });
  }, 30_000);
});

test('an inventory that is not there says nothing, and is no list of hosts', async () => {
  expect(await discover(source, { inventory: '/nowhere/a,b' })).toMatchObject({ is: 'silent' });
});

test('ranges go by numbers with their zeros, by letters, in steps, and several at once', () => {
  expect(expandRange('web[08:10]')).toEqual(['web08', 'web09', 'web10']);
  expect(expandRange('db-[a:c].lan')).toEqual(['db-a.lan', 'db-b.lan', 'db-c.lan']);
  expect(expandRange('n[1:9:4]')).toEqual(['n1', 'n5', 'n9']);
  expect(expandRange('r[1:2]-[a:b]')).toEqual(['r1-a', 'r1-b', 'r2-a', 'r2-b']);
  expect(expandRange('x[5:1]')).toEqual(['x[5:1]']);
  expect(expandRange('big[0:99999999]').length).toBeLessThanOrEqual(2_000);
});

test('no text makes the reader throw or grow without bound', () => {
  const word = fc.constantFrom(
    '[web]',
    '[web:children]',
    '[a:vars]',
    'all:',
    '  hosts:',
    'a[1:999999]',
    'x=1',
    '"',
    '\n',
    '{{',
    '&a',
    '*a',
    ': ',
  );
  const text = fc.oneof(
    fc.string({ maxLength: 300 }),
    fc.array(word, { maxLength: 40 }).map((words) => words.join(' ')),
  );
  const lines = fc.array(word, { maxLength: 40 }).map((words) => words.join('\n'));
  fc.assert(
    fc.property(fc.oneof(text, lines), (input) => {
      expect((hostsOfText(input) ?? []).length).toBeLessThanOrEqual(2_000);
    }),
  );
});
