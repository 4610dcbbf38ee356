import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { serverOf, wantedIn } from '#agents/sentinel/probes/mounts.ts';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { describeWith, startDaemon } from '../../../test/parts/daemon.ts';
import { sectionsText } from '../../../test/parts/host-sections.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { startSshd } from '../../../test/parts/sshd.ts';
import { until } from '../../../test/parts/until.ts';
import { check } from './nfs-mount.ts';

kindContract(check, () => ({}));

const fstab = `# <file system> <mount point> <type> <options> <dump> <pass>
UUID=1 / ext4 defaults 0 1
10.0.0.5:/tank/media /mnt/media nfs4 rw,hard,_netdev 0 0
//nas/my\\040files /mnt/files cifs credentials=/root/smb,ro 0 0
10.0.0.5:/tank/rare /mnt/rare nfs noauto,x-systemd.automount 0 0
`;
const mounts = `/dev/sda1 / ext4 rw,relatime 0 0
10.0.0.5:/tank/media /mnt/media nfs4 rw,relatime,vers=4.2,hard 0 0
//nas/my\\040files /mnt/files cifs ro,relatime 0 0
systemd-1 /mnt/rare autofs rw,relatime 0 0
`;
const well = 'point /mnt/media\npoint /mnt/files\nat 2 0 \nat 1 0 ';

async function look(of: { mounts?: string; fstab?: string; probes?: string }, options: object = {}) {
  const text = sectionsText({
    mounts: of.mounts ?? mounts,
    table: of.fstab ?? fstab,
    probes: of.probes ?? well,
    done: '',
  });
  const found = await check.observe(check.options.parse(options), checkContext({ probe: answering(text) }));
  return { found, bad: problems(found) };
}

describe('recorded mounts', () => {
  test('those of fstab are well, one on demand rests', async () => {
    const { found, bad } = await look({});
    expect(bad).toEqual([]);
    expect(found[0]?.summary).toBe('looked at 3 mounts');
    expect(found.find(({ resource }) => resource === '/mnt/rare')?.reading.is).toBe('asleep');
  });

  test('one that is not mounted is missing', async () => {
    const without = mounts.replace(/^10\.0\.0\.5.*\n/m, '');
    expect((await look({ mounts: without, probes: 'point /mnt/files\nat 1 0 ' })).bad).toEqual([
      'critical mount-missing: /mnt/media is not mounted',
    ]);
  });

  test.each([
    ['at 1 137 ', 'critical mount-stale: /mnt/media does not answer: whatever touches it hangs'],
    ['at 1 124 ', 'critical mount-stale: /mnt/media does not answer: whatever touches it hangs'],
    ['', 'critical mount-stale: /mnt/media does not answer: whatever touches it hangs'],
    [
      "at 1 3 stat: cannot read file system information for '/mnt/media': Stale file handle",
      "critical mount-stale: /mnt/media is stale: stat: cannot read file system information for '/mnt/media': Stale file handle",
    ],
  ])('a probe that ends with "%s"', async (probe, expected) => {
    const probes = `point /mnt/media\npoint /mnt/files\n${probe}\nat 2 0 `;
    expect((await look({ probes })).bad).toEqual([expected]);
  });

  test('read-only, from elsewhere, and without its sentinel', async () => {
    const options = {
      mounts: [{ path: '/mnt/files/' }, { path: '/mnt/media', source: '10.0.0.6:/tank/media', sentinel: '.there' }],
    };
    expect((await look({ probes: 'at 1 0 \nat 2 4 ls: cannot access' }, options)).bad).toEqual([
      'critical mount-read-only: /mnt/files is mounted read-only',
      'warning mount-wrong-source: /mnt/media comes from 10.0.0.5:/tank/media, not from 10.0.0.6:/tank/media',
      'critical mount-empty: /mnt/media lacks .there',
    ]);
  });

  test('a bind mount that is empty counts where something has to be in it', async () => {
    const at = (notEmpty: boolean) => look({ probes: 'at 1 5 ' }, { mounts: [{ path: '/mnt/media', notEmpty }] });
    expect((await at(true)).bad).toEqual(['critical mount-empty: /mnt/media is empty']);
    expect((await at(false)).bad).toEqual([]);
  });
});

test('fstab and sources', () => {
  expect(wantedIn(fstab).map(({ path, readOnly }) => [path, readOnly])).toEqual([
    ['/mnt/media', false],
    ['/mnt/files', true],
    ['/mnt/rare', false],
  ]);
  expect(['10.0.0.5:/t', '[fd00::5]:/t', '//nas/x', 'ada@nas:/d', '/dev/sda1', 'nas;rm:/x'].map(serverOf)).toEqual([
    '10.0.0.5',
    'fd00::5',
    'nas',
    'nas',
    undefined,
    undefined,
  ]);
});

describe('this machine', () => {
  test('a mount that answers, one with a file, one that is not there', async () => {
    const options = check.options.parse({
      mounts: [
        { path: '/proc', sentinel: 'self' },
        { path: '/proc/', sentinel: 'self' },
        { path: '/', sentinel: 'never was' },
        { path: '/mnt/nothing here' },
      ],
    });
    expect(problems(await check.observe(options, checkContext()))).toEqual([
      'critical mount-empty: / lacks never was',
      'critical mount-missing: /mnt/nothing here is not mounted',
    ]);
  });
});

/** Calls of looks that hang in a mount. */
function hanging(path: string): number {
  const count = execFileSync('sh', ['-c', 'pgrep -fc -- "^stat -f -c lares-mount %b -- $1"; true', 'sh', path]);
  return Number(count.toString().trim());
}

const canMount = process.getuid?.() === 0 && existsSync('/dev/fuse');

describeWith(canMount ? ['sshfs', 'sshd'] : ['root'], 'sshfs whose server goes silent', () => {
  test('is told as stale within the time of a look, again and again, and leaves one call behind', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lares-mount-'));
    const [served, at] = [join(folder, 'served'), join(folder, 'at here')];
    mkdirSync(served);
    mkdirSync(at);
    writeFileSync(join(served, '.there'), '');
    await using server = await startSshd(['Subsystem sftp internal-sftp']);
    const { port, user, keyFile } = server.target;
    const login = `IdentityFile=${keyFile},StrictHostKeyChecking=no,UserKnownHostsFile=/dev/null`;
    const mount = await startDaemon({
      program: 'sshfs',
      args: ['-f', '-p', String(port), '-o', login, `${user}@127.0.0.1:${served}`, at],
      isReady: () => Promise.resolve(readFileSync('/proc/mounts', 'utf8').includes(at.replace(' ', '\\040'))),
    });
    const options = check.options.parse({ mounts: [{ path: at, sentinel: '.there' }] });
    const look = async () => problems(await check.observe(options, checkContext({ timeoutMs: 10_000 })));
    try {
      expect(await look()).toEqual([]);
      const ssh = execFileSync('pgrep', ['-f', '--', `^ssh .*${keyFile}`], { encoding: 'utf8' }).trim();
      process.kill(Number(ssh), 'SIGSTOP');
      const silent = [expect.stringMatching(/^critical mount-stale: .* does not answer/)];
      expect(await look()).toEqual(silent);
      expect(hanging(at)).toBe(1);
      expect(await look()).toEqual(silent);
      expect(hanging(at)).toBe(1);
      process.kill(Number(ssh), 'SIGCONT');
      await until(() => Promise.resolve(hanging(at) === 0), 'the call to come back');
      expect(await look()).toEqual([]);
    } finally {
      execFileSync('umount', ['-l', at]);
      await mount.kill();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
