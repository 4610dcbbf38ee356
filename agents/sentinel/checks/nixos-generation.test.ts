import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { FakeCommands } from '../../../test/parts/fake-commands.ts';
import { sectionsText } from '../../../test/parts/host-sections.ts';
import { namedProblems } from '../../../test/parts/problems.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './nixos-generation.ts';

kindContract(check, () => ({}));

/** 2026-11-20T12:00:00Z. */
const now = 1_795_176_000;
const day = 86_400;

/** As nixos-rebuild-ng prints it. */
const generations = JSON.stringify([
  {
    generation: 412,
    date: '2026-11-14 08:02:11',
    nixosVersion: '25.11.20261112.abcdef0',
    kernelVersion: '6.12.58',
    configurationRevision: '',
    specialisations: [],
    current: true,
  },
  {
    generation: 411,
    date: '2026-11-07 08:01:50',
    nixosVersion: '25.11.20261105.1234567',
    kernelVersion: '6.12.57',
    current: false,
  },
]);

const store = '/nix/store/0123456789abcdfghijklmnpqrsvwxyz';
const well = {
  clock: `${now}\n+0100`,
  release: 'ID=nixos\nPRETTY_NAME="NixOS 25.11 (Xantusia)"\nVERSION_ID="25.11"\nSUPPORT_END="2027-06-30"',
  links: [
    `/run/current-system/kernel ${store}-linux-6.12.58/bzImage`,
    `/run/current-system/initrd ${store}-initrd/initrd`,
    `/run/booted-system/kernel ${store}-linux-6.12.58/bzImage`,
    `/run/booted-system/initrd ${store}-initrd/initrd`,
    `current ${store}-nixos-system`,
    `profile ${store}-nixos-system`,
    `made ${now - 6 * day}`,
  ].join('\n'),
  generations,
  unit: `Result=success\nExecMainStatus=0\nActiveState=inactive\nLoadState=loaded\nExecMainExitTimestamp=@${now - 6 * day}`,
  done: '',
};

async function look(parts: Record<string, string> = {}, options: object = {}) {
  const probe = answering(sectionsText({ ...well, ...parts }));
  return check.observe(check.options.parse(options), checkContext({ probe }));
}

function dayAt(date: string): string {
  return generations.replace('2026-11-14', date);
}

describe('a NixOS host', () => {
  test('that was updated this week is well, and says when', async () => {
    const found = await look();
    expect(namedProblems(found)).toEqual([]);
    expect(found[0]?.summary).toBe('last updated 6 days ago (generation 412)');
  });

  test.each([
    ['2026-11-11', ['warning nixos-outdated generation: last updated 9 days ago (generation 412)']],
    ['2026-11-04', ['critical nixos-outdated generation: last updated 16 days ago (generation 412)']],
  ])('last updated on %s is outdated', async (date, problems) => {
    expect(namedProblems(await look({ generations: dayAt(date), unit: '' }))).toEqual(problems);
  });

  test('an update that changed nothing makes no generation and counts, by its unit or by its metric', async () => {
    const old = dayAt('2026-10-01');
    expect(namedProblems(await look({ generations: old }))).toEqual([]);
    const metrics = `nixos_autoupdate_system_last_success{hostname="plane"} ${now - day}\nnixos_autoupdate_system_status{hostname="plane"} 1`;
    expect(namedProblems(await look({ generations: old, unit: '', metrics }))).toEqual([]);
  });

  test('the time of a generation is the local time of the host', async () => {
    const [age] = await look({ unit: '', links: '' });
    if (age?.reading.is !== 'level') throw new Error('no level');
    expect(age.reading.value * day).toBeCloseTo(now - Date.parse('2026-11-14T07:02:11Z') / 1_000, 0);
  });

  test('without the list the link of the profile says its age; without both it is unknown', async () => {
    const broken = { generations: 'error: no such file', unit: '' };
    expect((await look(broken))[0]?.summary).toBe('last updated 6 days ago');
    expect(namedProblems(await look({ ...broken, links: '' }))[0]).toMatch(/^unknown nixos-outdated generation/);
  });

  test('whose update failed is told, by its unit or by its metric', async () => {
    const unit = `Result=exit-code\nExecMainStatus=1\nActiveState=failed\nExecMainExitTimestamp=@${now}`;
    expect(namedProblems(await look({ unit }))).toEqual([
      'warning nixos-update-failed nixos-upgrade.service: nixos-upgrade.service ended with exit-code',
    ]);
    expect(namedProblems(await look({ metrics: 'nixos_autoupdate_system_status{hostname="x"} 0' }))).toHaveLength(1);
  });

  test('that booted another kernel needs a reboot', async () => {
    const links = well.links.replace('/run/booted-system/kernel /nix', '/run/booted-system/kernel /other');
    expect(namedProblems(await look({ links }))).toEqual([
      'info reboot-required system: a reboot is needed to use the new kernel',
    ]);
  });

  test('that runs a system only on trial is told', async () => {
    const links = well.links.replace(`profile ${store}`, 'profile /nix/store/other');
    expect(namedProblems(await look({ links }))[0]).toMatch(/^info generation-not-active/);
  });

  test('whose release has ended is told', async () => {
    const release = well.release.replace('2027-06-30', '2026-06-30');
    expect(namedProblems(await look({ release }))).toEqual([
      'warning release-ended release: NixOS 25.11 (Xantusia) got security updates until 2026-06-30',
    ]);
  });

  test('that is none is unknown', async () => {
    const probe = answering(sectionsText({ none: '', done: '' }));
    expect(namedProblems(await check.observe(check.options.parse({}), checkContext({ probe })))).toEqual([
      'unknown nixos-outdated generation: this host is no NixOS',
    ]);
  });
});

describe('the script, with a nixos-rebuild that says what the real one says', () => {
  let fakes: FakeCommands | undefined;
  let folder: string | undefined;
  afterEach(() => {
    fakes?.[Symbol.dispose]();
    if (folder !== undefined) rmSync(folder, { recursive: true });
  });

  test('reads generations, the unit and the first bytes of secrets', async () => {
    folder = mkdtempSync(join(tmpdir(), 'lares-nixos-'));
    const locked = join(folder, 'locked secret');
    const open = join(folder, 'open');
    writeFileSync(locked, '\0GITCRYPT\0\x01\x02\x03');
    writeFileSync(open, 'password');
    const missing = join(folder, 'missing');
    fakes = new FakeCommands({
      'nixos-rebuild': { stdout: generations, stderr: 'warning: Nix search path entry does not exist\n' },
      systemctl: { stdout: well.unit },
    });
    const options = check.options.parse({ secrets: [locked, open, missing] });
    const context = checkContext({ probe: fakes.probe });
    const found = await check.observe(options, context);
    const said = namedProblems(found).filter((text) => text.includes('secret'));
    expect(said).toEqual([
      `critical secret-locked ${locked}: ${locked} is locked by git-crypt: whatever reads it gets ciphertext`,
      `unknown secret-locked ${missing}: the file is empty, missing or not readable for the login`,
    ]);
    expect(found[0]?.summary).toContain('generation 412');
    const evidence = await check.evidence.gather(options, context, found[0] ?? fail());
    expect(evidence.flatMap(({ lines }) => lines)).toContain(
      '412 2026-11-14 08:02:11 25.11.20261112.abcdef0 kernel 6.12.58 (current)',
    );
  });
});

function fail(): never {
  throw new Error('nothing was observed');
}
