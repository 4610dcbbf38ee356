import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { describeWith } from '../../test/parts/daemon.ts';
import { until } from '../../test/parts/until.ts';
import { createAuthority, hasOpenssl } from '../../test/parts/certificates.ts';
import { ClusterModel } from '../../test/parts/cluster-model.ts';
import { Folder, runCommand } from '../../test/parts/command.ts';
import { proxmoxToken, startFakeProxmox } from '../../test/parts/fake-proxmox.ts';
import { hasSshd, lacksSshd, startSshd } from '../../test/parts/sshd.ts';

const kuma = JSON.stringify({
  monitorList: [
    { id: 1, name: 'Nothing there', type: 'port', hostname: '127.0.0.1', port: 9, active: 1 },
    { id: 2, name: 'Private', type: 'http', url: 'http://127.0.0.1:9/', active: 1, headers: '{"X-Key":"planted"}' },
    { id: 3, name: 'Game', type: 'steam', active: 1 },
  ],
});

const modeOf = (file: string): string => (statSync(file).mode & 0o777).toString(8);

describe('lares init', { timeout: 60_000 }, () => {
  test('--yes writes a configuration that is valid and works, with the secrets in files of their own', async () => {
    using folder = new Folder();
    const at = { cwd: folder.path };
    writeFileSync(join(folder.path, 'kuma.json'), kuma);
    const done = await runCommand(['init', '--yes', '--uptime-kuma', 'kuma.json'], at);
    expect(done).toMatchObject({ status: 0 });
    const text = readFileSync(join(folder.path, 'lares.yaml'), 'utf8');
    expect(text).not.toContain('planted');
    expect(modeOf(join(folder.path, 'lares.yaml'))).toBe('600');
    expect(readFileSync(join(folder.path, 'secrets', 'private-x-key'), 'utf8')).toBe('planted\n');
    expect(modeOf(join(folder.path, 'secrets', 'private-x-key'))).toBe('600');
    expect(done.stdout).toContain('not carried over: Game');
    expect(done.stdout).toContain('ok     configuration');
    expect(await runCommand(['validate'], at)).toMatchObject({ status: 0 });
    const checked = await runCommand(['check', '--json'], at);
    const { observations } = JSON.parse(checked.stdout) as { observations: { check: string; state: string }[] };
    expect(observations.find(({ check }) => check === 'nothing-there')?.state).toBe('critical');
  });

  test('without a terminal and without --yes shows what it would write, and writes nothing', async () => {
    using folder = new Folder();
    const shown = await runCommand(['init'], { cwd: folder.path });
    expect(shown.status).toBe(2);
    expect(shown.stdout).toMatch(/^\[x\] 1 {2}host \S+: this machine/);
    const json = await runCommand(['init', '--json'], { cwd: folder.path });
    expect(json.status).toBe(2);
    expect(JSON.parse(json.stdout)).toMatchObject({ written: null, proposals: [{ number: 1, section: 'hosts' }] });
    expect(existsSync(join(folder.path, 'lares.yaml'))).toBe(false);
  });

  test('replaces nothing unless it is told to', async () => {
    using folder = new Folder();
    const file = join(folder.path, 'lares.yaml');
    writeFileSync(file, 'this: is: broken');
    const refused = await runCommand(['init', '--yes'], { cwd: folder.path });
    expect(refused).toMatchObject({ status: 2, stderr: expect.stringContaining('--force') });
    expect(readFileSync(file, 'utf8')).toBe('this: is: broken');
    expect(await runCommand(['init', '--yes', '--force'], { cwd: folder.path })).toMatchObject({ status: 0 });
    expect(parse(readFileSync(file, 'utf8'))).toMatchObject({ site: 'home' });
  });

  test('names what it cannot read, before it looks at anything', async () => {
    using folder = new Folder();
    for (const argv of [
      ['--ssh', 'nobody'],
      ['--proxmox', 'https://10.0.0.1:8006'],
      ['--gatus', 'none.yml'],
    ]) {
      const refused = await runCommand(['init', '--yes', ...argv], { cwd: folder.path });
      expect(refused).toMatchObject({ status: 2, stderr: expect.stringContaining('Cannot') });
    }
    expect(existsSync(join(folder.path, 'lares.yaml'))).toBe(false);
  });

  test.skipIf(!hasSshd)(`shows the keys of a host, pins them and proves that it can look${lacksSshd}`, async () => {
    using folder = new Folder();
    await using sshd = await startSshd();
    const { address, port, user, hostKeys, keyFile } = sshd.target;
    const argv = [
      'init',
      '--yes',
      '--ssh',
      `${user}@${address}:${port}`,
      '--ssh',
      `${user}@127.0.0.1:9`,
      '--key',
      keyFile,
    ];
    const done = await runCommand(argv, { cwd: folder.path });
    expect(done.stderr).toContain(`it shows ${hostKeys[0]}`);
    expect(done.stdout).toContain('left out');
    const { hosts } = parse(readFileSync(join(folder.path, 'lares.yaml'), 'utf8')) as { hosts: Record<string, object> };
    const remote = Object.values(hosts).find((host) => 'hostKeys' in host);
    expect(remote ?? hosts).toMatchObject({ port, hostKeys, read: { user, keyFile } });
  });

  test.skipIf(!hasOpenssl)(
    'takes a Proxmox cluster with its own certificate: nodes, discovery, and its guests are found',
    async () => {
      using folder = new Folder();
      using authority = createAuthority();
      await using fake = await startFakeProxmox(new ClusterModel({ nodes: 2, guests: 5 }), {
        keys: authority.issueSelfSigned('pve1.lan'),
      });
      writeFileSync(join(folder.path, 'token'), proxmoxToken, { mode: 0o600 });
      const argv = ['init', '--yes', '--proxmox', fake.url, '--token-file', 'token'];
      const done = await runCommand(argv, { cwd: folder.path });
      expect(done.stderr).toMatch(/it shows the certificate (?:[0-9A-F]{2}:){31}/);
      const config: unknown = parse(readFileSync(join(folder.path, 'lares.yaml'), 'utf8'));
      expect(config).toMatchObject({
        hosts: { pve1: { type: 'node', via: 'none' }, pve2: { type: 'node' } },
        discovery: [{ source: 'proxmox', url: fake.url, token: { file: join(folder.path, 'token') } }],
      });
      expect(JSON.stringify(config)).not.toContain('12345678-aaaa');
      const listed = await runCommand(['inventory', '--now', '--json'], { cwd: folder.path });
      const { nodes, fresh } = JSON.parse(listed.stdout) as { nodes: { name: string; on?: string }[]; fresh: string[] };
      expect(fresh).toHaveLength(5);
      expect(nodes.find(({ name }) => name === 'guest-101')).toMatchObject({ on: 'pve2', type: 'guest' });
    },
  );
});

describe('lares import', { timeout: 30_000 }, () => {
  test('prints checks, and on the side what is not carried over and where secrets go', async () => {
    using folder = new Folder();
    writeFileSync(join(folder.path, 'kuma.json'), kuma);
    const done = await runCommand(['import', 'uptime-kuma', 'kuma.json'], { cwd: folder.path });
    expect(done.status).toBe(0);
    expect(parse(done.stdout)).toMatchObject({ checks: [{ id: 'nothing-there', kind: 'tcp' }, { id: 'private' }] });
    expect(done.stderr).toContain('not carried over: Game: there is no kind of check for a "steam" monitor');
    expect(done.stderr).toContain('secrets/private-x-key');
    expect(done.stdout + done.stderr).not.toContain('planted');
    const json = await runCommand(['import', 'uptime-kuma', 'kuma.json', '--json'], { cwd: folder.path });
    expect(JSON.parse(json.stdout)).toMatchObject({
      left: [{ entry: 'Game' }],
      secrets: [{ file: 'secrets/private-x-key' }],
    });
    expect(json.stdout).not.toContain('planted');
  });

  test.each([
    ['a format that there is not', ['import', 'nagios', 'kuma.json']],
    ['a file that is not there', ['import', 'gatus', 'none.yml']],
    ['a file that is something else', ['import', 'prometheus-rules', 'kuma.json']],
  ])('refuses %s', async (_what, argv) => {
    using folder = new Folder();
    writeFileSync(join(folder.path, 'kuma.json'), kuma);
    expect(await runCommand(argv, { cwd: folder.path })).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('Cannot import'),
    });
  });
});

describeWith(['script'], 'lares init at a terminal', () => {
  test.each(['\u0003', '\u0004', 'q\r'])(
    'writes nothing for who leaves with %j',
    async (keys) => {
      using folder = new Folder();
      const program = `"${process.execPath}" "${join(import.meta.dirname, '../main.ts')}" init`;
      const terminal = spawn('script', ['-qec', program, '/dev/null'], { cwd: folder.path, stdio: 'pipe' });
      let shown = '';
      terminal.stdout.on('data', (bytes: Buffer) => (shown += bytes.toString()));
      await until(() => shown.includes('q to leave'), 'the question');
      terminal.stdin.write(keys);
      const [status] = (await once(terminal, 'close')) as [number];
      expect([status, shown]).toEqual([130, expect.stringContaining('Nothing was written.')]);
      expect(shown).not.toContain('bug');
      expect(existsSync(join(folder.path, 'lares.yaml'))).toBe(false);
    },
    30_000,
  );
});
