import { describe, expect, test } from 'vitest';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { sectionsText } from '../../../test/parts/host-sections.ts';
import { namedProblems } from '../../../test/parts/problems.ts';
import { check } from './apt-updates.ts';

kindContract(check, () => ({}));

const day = 86_400_000;
const now = 1_795_188_000_000;
const perl =
  'Inst perl-base [5.36.0-7+deb12u2] (5.36.0-7+deb12u4 Debian-Security:12/oldstable-security [amd64])\nInst bash [5.2.15-2+b8] (5.2.15-2+b13 Debian:12.15/oldstable [amd64])';

const well = {
  now: String(now / 1_000),
  release: 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm',
  pending: 'Reading package lists...\n0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.',
  held: '',
  audit: '',
  states: 'ii |bash\nii |wazuh-manager\nrc |libold1',
  stamps: `${now / 1_000 - 7_200} /var/lib/apt/lists/partial`,
  valid: '',
  reboot: 'no',
  automatic: 'APT::Periodic "";\nAPT::Periodic::Unattended-Upgrade "1";',
  units:
    'Id=apt-daily-upgrade.service\nActiveState=inactive\nResult=success\n\nId=apt-daily-upgrade.timer\nActiveState=active',
  done: '',
};

function watcher(options: object = {}) {
  const context = checkContext();
  const parsed = check.options.parse(options);
  return (parts: Partial<typeof well> & Record<string, string> = {}, at = now): Promise<Observation[]> => {
    const of: CheckContext = { ...context, clock: { ...context.clock, now: () => at } };
    return check.observe(parsed, { ...of, probe: answering(sectionsText({ ...well, ...parts })) });
  };
}

describe('a patched host', () => {
  test('is well in every part, and says what was looked at', async () => {
    const found = await watcher({ automatic: true, watch: ['wazuh-*'] })();
    expect(namedProblems(found)).toEqual([]);
    expect(found.map(({ condition, summary }) => `${condition}: ${summary}`)).toEqual([
      'security-updates: no security updates pending (0 other updates)',
      'updates-pending: 0 other updates pending',
      'packages-broken: dpkg knows 3 packages and finds no fault',
      'package-removed: wazuh-manager is installed',
      'package-lists-old: the package lists were renewed within a day: what is not known is not counted as pending',
      'reboot-required: no reboot is needed',
      'automatic-updates-failing: the automatic package jobs have not failed',
      'automatic-updates-off: automatic updates are on',
      'release-ended: Debian GNU/Linux 12 (bookworm) gets security updates until 2028-06-30',
    ]);
  });

  test('without apt is unknown', async () => {
    const context = checkContext({ probe: answering(sectionsText({ none: '', done: '' })) });
    expect(namedProblems(await check.observe(check.options.parse({}), context))).toEqual([
      'unknown security-updates packages: there is no apt on this host',
    ]);
  });
});

describe('security updates', () => {
  test('are information, after 3 days a warning, after 14 critical, counted from the first look that saw them', async () => {
    const look = watcher();
    const severity = async (days: number): Promise<string | undefined> =>
      namedProblems(await look({ pending: perl }, now + days * day))[0];
    expect(await severity(0)).toBe('info security-updates packages: 1 security update pending: perl-base');
    expect(await severity(4)).toMatch(/^warning .* for 4 days: perl-base$/);
    expect(await severity(15)).toMatch(/^critical .* for 15 days: perl-base$/);
  });

  test('of a kernel come as a new package', async () => {
    const pending =
      'Inst linux-image-6.1.0-42-amd64 (6.1.159-1 Debian-Security:12/oldstable-security [amd64])\nInst linux-image-amd64 [6.1.148-1] (6.1.159-1 Debian-Security:12/oldstable-security [amd64])';
    expect(namedProblems(await watcher()({ pending }))[0]).toContain(
      '2 security updates pending: linux-image-6.1.0-42-amd64',
    );
  });

  test('are unknown when apt fails, and the database is told when that is why', async () => {
    const context = checkContext();
    const broken = sectionsText({
      ...well,
      pending: { text: "E: Unmet dependencies. Try 'apt --fix-broken install'", code: 100 },
    });
    const found = await check.observe(check.options.parse({}), { ...context, probe: answering(broken) });
    expect(namedProblems(found).slice(0, 2)).toEqual([
      `unknown security-updates packages: "apt-get -s dist-upgrade" ended with status 100: E: Unmet dependencies. Try 'apt --fix-broken install'`,
      'critical packages-broken dpkg: packages have unmet dependencies: nothing can be installed until "apt --fix-broken install"',
    ]);
  });

  test('that are held back are named', async () => {
    const found = await watcher()({ held: 'linux-image-amd64\nwazuh-manager' });
    expect(found.find(({ condition }) => condition === 'updates-pending')?.summary).toBe(
      '0 other updates pending, held back: linux-image-amd64, wazuh-manager',
    );
  });
});

describe('trouble', () => {
  test.each<[string, Partial<typeof well>, string[]]>([
    [
      'a half-configured package',
      { states: 'ii |bash\niF |nginx' },
      ['critical packages-broken dpkg: 1 package not fully installed: nginx'],
    ],
    [
      'a package to be reinstalled',
      { states: 'iHR|nginx' },
      ['critical packages-broken dpkg: 1 package not fully installed: nginx'],
    ],
    [
      'lists of 9 days',
      { stamps: `${now / 1_000 - 9 * 86_400} /x` },
      [
        'warning package-lists-old package lists: the package lists were renewed 9 days ago: what is not known is not counted as pending',
      ],
    ],
    [
      'a repository that is no longer renewed',
      { valid: '/var/lib/apt/lists/repo.example_dists_stable_InRelease:Valid-Until: Wed, 04 Nov 2026 00:00:00 UTC' },
      [
        'warning package-lists-old repo.example_dists_stable: the list of repo.example_dists_stable ended 16 days ago and was not renewed',
      ],
    ],
    [
      'a reboot since yesterday',
      { reboot: `required ${now / 1_000 - 90_000}\nlibc6\nlinux-image-6.1.0-42-amd64` },
      [
        'info reboot-required system: a reboot is needed since 1 day to finish updates (libc6, linux-image-6.1.0-42-amd64)',
      ],
    ],
    [
      'a reboot since a fortnight',
      { reboot: `required ${now / 1_000 - 14 * 86_400}` },
      ['warning reboot-required system: a reboot is needed since 14 days to finish updates'],
    ],
    [
      'automatic updates that fail',
      { units: 'Id=apt-daily-upgrade.service\nActiveState=failed\nResult=exit-code' },
      ['warning automatic-updates-failing automatic updates: apt-daily-upgrade.service failed'],
    ],
    [
      'an ended release',
      { release: 'PRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\nID=debian\nVERSION_ID="11"' },
      ['warning release-ended release: Debian GNU/Linux 11 (bullseye) got security updates until 2026-08-31'],
    ],
  ])('%s', async (_name, parts, problems) => {
    expect(namedProblems(await watcher()(parts))).toEqual(problems);
  });

  test('services that use replaced files, and a kernel that is not the running one', async () => {
    const services =
      'NEEDRESTART-VER: 3.6\nNEEDRESTART-KCUR: 6.1.0-40-amd64\nNEEDRESTART-KEXP: 6.1.0-42-amd64\nNEEDRESTART-KSTA: 3\nNEEDRESTART-SVC: cron.service\nNEEDRESTART-SVC: ssh.service';
    expect(namedProblems(await watcher()({ services }))).toEqual([
      'info reboot-required system: a reboot is needed to finish updates (kernel)',
      'info services-outdated services: 2 services still use replaced files until restarted: cron.service, ssh.service',
    ]);
  });

  test('a kernel that needrestart cannot read is none', async () => {
    expect(namedProblems(await watcher()({ services: 'NEEDRESTART-VER: 3.6\nNEEDRESTART-KSTA: 0' }))).toEqual([]);
  });

  test('automatic updates that are off, where they are wanted', async () => {
    const automatic = 'APT::Periodic "";';
    expect(namedProblems(await watcher()({ automatic }))).toEqual([]);
    expect(namedProblems(await watcher({ automatic: true })({ automatic }))).toEqual([
      'warning automatic-updates-off automatic updates: automatic updates are off: APT::Periodic::Unattended-Upgrade is not 1',
    ]);
  });
});

describe('a watched package', () => {
  test('that was removed with its configuration left is critical while its process may run on', async () => {
    expect(namedProblems(await watcher({ watch: ['wazuh-*'] })({ states: 'rc |wazuh-manager' }))).toEqual([
      'critical package-removed wazuh-manager: wazuh-manager was removed, its configuration is still there; what still runs of it ends with its next restart',
    ]);
  });

  test('that was purged is missed when it had been there, or was named in full', async () => {
    const look = watcher({ watch: ['wazuh-*'] });
    await look();
    expect(namedProblems(await look({ states: 'ii |bash' }))).toHaveLength(1);
    expect(namedProblems(await watcher({ watch: ['crowdsec'] })())).toEqual([
      'critical package-removed crowdsec: crowdsec was removed; what still runs of it ends with its next restart',
    ]);
  });
});

describeWith(['apt-get', 'dpkg-query'], 'this machine', () => {
  test('is looked at as a whole', async () => {
    const found = await check.observe(check.options.parse({}), checkContext());
    expect(found.map(({ condition }) => condition)).toEqual(
      expect.arrayContaining([
        'security-updates',
        'packages-broken',
        'package-lists-old',
        'reboot-required',
        'release-ended',
      ]),
    );
  });
});
