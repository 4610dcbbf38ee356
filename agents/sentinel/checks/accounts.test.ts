import { describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { sectionsText } from '../../../test/parts/host-sections.ts';
import { namedProblems } from '../../../test/parts/problems.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './accounts.ts';

kindContract(check, () => ({}));

const hour = 3_600_000;
const sum = 'c'.repeat(64);
const laptop = 'SHA256:iPmJEgcmyHM3cRDvwUSpHGpKyuwwwvGyHKcFxoKNWrI';
const stranger = 'SHA256:uNiVztksCsDhcc0u9e8BrKJUtLGUJxh1hgyC9nrPqVg';

const well = {
  passwd:
    'root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\nalice:x:1000:1000::/home/alice:/bin/bash',
  group: 'root:x:0:\nsudo:x:27:alice\ndocker:x:998:\nalice:x:1000:',
  passwords: 'root L 2026-11-20 0 99999 7 -1\nwww-data L 2026-11-20 0 99999 7 -1\nalice P 2026-11-20 0 99999 7 -1',
  modes: '440:root:/etc/sudoers\n440:root:/etc/sudoers.d/alice',
  sums: `${sum}  /etc/sudoers\n${sum}  /etc/sudoers.d/alice`,
  keys: `/home/alice/.ssh/authorized_keys\n256 ${laptop} alice@laptop (ED25519)`,
  done: '',
};

function watcher(options: object = {}) {
  const context = checkContext();
  const parsed = check.options.parse(options);
  return (parts: Record<string, string | { text: string; code: number }> = {}, now = 0): Promise<Observation[]> =>
    check.observe(parsed, {
      ...context,
      probe: answering(sectionsText({ ...well, ...parts })),
      clock: { ...context.clock, now: () => now },
    });
}

describe('accounts', () => {
  test('as they were at the first look are well, and counted', async () => {
    const found = await watcher()();
    expect(namedProblems(found)).toEqual([]);
    expect(found[0]?.summary).toBe('3 accounts, 2 of them can log in');
  });

  test.each<[string, Record<string, string>, string[]]>([
    [
      'a new user',
      { passwd: `${well.passwd}\nmallory:x:1001:1001::/home/m:/bin/bash` },
      ['warning account-changed mallory: account mallory is new (uid and shell 1001 /bin/bash)'],
    ],
    [
      'a new account of a package',
      { passwd: `${well.passwd}\nmosquitto:x:110:115::/var/lib/mosquitto:/usr/sbin/nologin` },
      ['info account-changed mosquitto: account mosquitto is new (uid and shell 110 /usr/sbin/nologin)'],
    ],
    [
      'a service that got a shell',
      { passwd: well.passwd.replace('/usr/sbin/nologin', '/bin/bash') },
      ['warning account-changed www-data: account www-data changed from 33 /usr/sbin/nologin to 33 /bin/bash'],
    ],
    [
      'a member of docker',
      { group: well.group.replace('docker:x:998:', 'docker:x:998:alice') },
      ['warning group-changed docker/alice: alice is newly in group docker'],
    ],
    [
      'a first group',
      { passwd: well.passwd.replace('alice:x:1000:1000', 'alice:x:1000:998') },
      ['warning group-changed docker/alice: alice is newly in group docker'],
    ],
    [
      'a key',
      { keys: `${well.keys}\n3072 ${stranger} no comment (RSA)` },
      [
        `warning authorized-key-changed /home/alice/.ssh/authorized_keys ${stranger}: key ${stranger} (RSA 3072) may log in by /home/alice/.ssh/authorized_keys`,
      ],
    ],
    [
      'a rule of sudo',
      { sums: well.sums.replace(`${sum}  /etc/sudoers.d`, `${'d'.repeat(64)}  /etc/sudoers.d`) },
      ['warning sudoers-changed /etc/sudoers.d/alice: /etc/sudoers.d/alice changed (mode 440, owner root)'],
    ],
    [
      'rules of sudo that anybody may write',
      { modes: well.modes.replace('440:root:/etc/sudoers\n', '666:root:/etc/sudoers\n') },
      ['critical sudoers-changed /etc/sudoers: /etc/sudoers changed (mode 666, owner root)'],
    ],
  ])('%s is told, until it is undone', async (_name, parts, problems) => {
    const look = watcher();
    await look();
    expect(namedProblems(await look(parts, hour))).toEqual(problems);
    expect(namedProblems(await look({}, 2 * hour))).toEqual([]);
  });

  test('a change that stays for a day is usual', async () => {
    const look = watcher();
    await look();
    const passwd = `${well.passwd}\nbob:x:1001:1001::/home/bob:/bin/bash`;
    await look({ passwd }, hour);
    expect(namedProblems(await look({ passwd }, 25 * hour))).toEqual([]);
  });

  test('a second root is critical for as long as it is there', async () => {
    const look = watcher();
    const passwd = `${well.passwd}\ntoor:x:0:0::/root:/bin/sh`;
    await look({ passwd });
    expect(namedProblems(await look({ passwd }, 9_000 * hour))).toEqual([
      'critical root-twin toor: toor has uid 0: it is root by another name',
    ]);
  });

  test('without a password are critical where they can log in; those that never expire are told on request', async () => {
    const passwords = well.passwords.replace('alice P', 'alice NP').replace('www-data L', 'www-data NP');
    expect(namedProblems(await watcher()({ passwords }))).toEqual([
      'critical password-empty passwords: without a password: alice',
    ]);
    expect(namedProblems(await watcher({ expiry: true })())).toEqual([
      'info password-never-expires passwords: passwords that never expire: alice',
    ]);
  });
});

describe('a login without rights', () => {
  const refused = (text: string) => ({ text, code: 1 });
  const blind = {
    passwords: refused('passwd: Permission denied.'),
    modes: { text: '440:root:/etc/sudoers\nfind: ‘/etc/sudoers.d’: Permission denied', code: 1 },
    sums: refused('sha256sum: /etc/sudoers: Permission denied'),
    keys: refused('find: ‘/root’: Permission denied'),
  };

  test('is told what it cannot see and what to do; the rest is compared', async () => {
    const look = watcher();
    expect(namedProblems(await look(blind)).map((text) => text.split(':', 1)[0])).toEqual([
      'unknown password-empty passwords',
      'unknown sudoers-changed sudoers',
      'unknown authorized-key-changed keys',
    ]);
    expect(namedProblems(await look({ ...blind, group: well.group.replace('998:', '998:alice') }, hour))[0]).toContain(
      'docker',
    );
  });

  test('loses sight without a false alarm', async () => {
    const look = watcher();
    await look();
    expect(namedProblems(await look(blind, hour)).filter((text) => !text.startsWith('unknown'))).toEqual([]);
    await look(blind, 40 * hour);
    expect(namedProblems(await look({}, 41 * hour))).toEqual([]);
  });

  test('leaves out what it is told to', async () => {
    expect(namedProblems(await watcher({ off: ['passwords', 'sudoers', 'keys'] })(blind))).toEqual([]);
  });
});

describeWith(['ssh-keygen', 'passwd'], 'this machine', () => {
  test('is read as a whole', async () => {
    const found = await check.observe(check.options.parse({}), checkContext());
    expect(found[0]?.summary).toMatch(/^\d+ accounts, \d+ of them can log in$/);
  });
});
