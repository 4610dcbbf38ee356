import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { parseLvmReport } from '#agents/sentinel/probes/lvm.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { FakeCommands } from '../../../test/parts/fake-commands.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { check } from './lvm.ts';

kindContract(check, () => ({}));

/** lvm2 2.03.16 with a warning before it and one within. */
function report(kind: 'vg' | 'lv' | 'pv', rows: readonly object[]): string {
  const lines = rows.map((row) => `                  ${JSON.stringify(row)}`).join(',\n');
  return `  WARNING: PV /dev/sdz in VG x is using an old PV header.
  {
      "report": [
  WARNING: Couldn't find device with uuid jIkrqw-pQnq-L26j-fj6b-TDmT-0pcA-o1VKyW.
          {
              "${kind}": [
${lines}
              ]
          }
      ]
  }
`;
}

const group = { vg_name: 'pve', vg_size: '500000000000', vg_free: '17179869184', vg_missing_pv_count: '0' };
const disk = { pv_name: '/dev/sda3', vg_name: 'pve', pv_missing: '' };
const root = volume('root', '-wi-ao----', {});

function volume(name: string, attributes: string, of: { data?: string; metadata?: string; health?: string }): object {
  return {
    vg_name: 'pve',
    lv_name: name,
    lv_attr: attributes,
    lv_size: '107374182400',
    data_percent: of.data ?? '',
    metadata_percent: of.metadata ?? '',
    lv_health_status: of.health ?? '',
    origin: '',
  };
}

async function look(
  of: { groups?: object[]; volumes?: object[]; disks?: object[] },
  options: object = {},
): Promise<Observation[]> {
  using fakes = new FakeCommands({
    vgs: { stdout: report('vg', of.groups ?? [group]) },
    lvs: { stdout: report('lv', of.volumes ?? [root]) },
    pvs: { stdout: report('pv', of.disks ?? [disk]), code: 0 },
  });
  return await check.observe(check.options.parse(options), checkContext({ probe: fakes.probe }));
}

describe('recorded reports', () => {
  test('a healthy host says what was looked at and how much is free', async () => {
    const found = await look({});
    expect(problems(found)).toEqual([]);
    expect(found[0]?.summary).toBe('looked at 1 volume group and 1 volume');
    expect(found.find(({ condition }) => condition === 'lvm-group-full')?.reading).toMatchObject({ value: 16 });
  });

  test.each([
    ['79.99', '20.10', []],
    ['80.00', '20.10', ['warning lvm-pool-full: thin pool pve/data is 80.0 % full (100 GiB)']],
    ['95.20', '20.10', ['critical lvm-pool-full: thin pool pve/data is 95.2 % full (100 GiB)']],
    ['10.00', '81.00', ['critical lvm-pool-metadata-full: metadata of thin pool pve/data is 81.0 % full (100 GiB)']],
  ])('a thin pool with %s %% data and %s %% metadata', async (data, metadata, expected) => {
    const volumes = [root, volume('data', 'twi-aotz--', { data, metadata })];
    expect(problems(await look({ volumes }))).toEqual(expected);
  });

  test('thin volumes fill by themselves and mean nothing; a snapshot that fills is lost', async () => {
    const thin = volume('vm-101-disk-0', 'Vwi-aotz--', { data: '99.00' });
    const snapshot = volume('snap', 'swi-a-s---', { data: '96.00' });
    const invalid = volume('dead', 'swi-I-s---', { data: '100.00' });
    expect(problems(await look({ volumes: [thin, snapshot, invalid] }))).toEqual([
      'critical lvm-snapshot-full: snapshot pve/snap is 96.0 % full (100 GiB)',
      'critical lvm-snapshot-full: snapshot pve/dead is 100.0 % full (100 GiB)',
      'warning lvm-volume-unhealthy: pve/dead is an invalid snapshot: its space ran out',
    ]);
    expect(problems(await look({ volumes: [snapshot] }, { ignore: ['pve/snap*'] }))).toEqual([]);
  });

  test('what lvm2 calls sick is critical, a group that is wanted and gone too', async () => {
    const sick = volume('raid', 'rwi-aor-p-', { health: 'partial' });
    expect(problems(await look({ volumes: [sick] }, { groups: ['pve', 'backup'] }))).toEqual([
      'critical lvm-group-missing: volume group backup is not there',
      'critical lvm-volume-unhealthy: pve/raid is partial',
    ]);
  });

  test('space of a group counts where it is asked for', async () => {
    expect(problems(await look({}, { free: 20 }))).toEqual([
      'warning lvm-group-full: volume group pve has 16 GiB of 466 GiB free',
    ]);
  });

  test('an ordinary user learns nothing and is told what to allow', async () => {
    const refusal = '  WARNING: Running as a non-root user. Functionality may be unavailable.\n';
    using fakes = new FakeCommands();
    for (const name of ['vgs', 'lvs', 'pvs']) {
      fakes.set(name, { stdout: report(name === 'vgs' ? 'vg' : 'lv', []), stderr: refusal, code: 5 });
    }
    fakes.set('sudo', `shift; exec "${fakes.folder}/as-root-$1"`);
    for (const [name, kind] of [
      ['vgs', 'vg'],
      ['lvs', 'lv'],
      ['pvs', 'pv'],
    ] as const) {
      fakes.set(`as-root-${name}`, { stdout: report(kind, kind === 'vg' ? [group] : kind === 'lv' ? [root] : [disk]) });
    }
    const context = checkContext({ probe: fakes.probe });
    expect(problems(await check.observe(check.options.parse({}), context)).join()).toMatch(
      /^unknown .*only root may read the volumes: set "sudo: true"/,
    );
    expect(problems(await check.observe(check.options.parse({ sudo: true }), context))).toEqual([]);
  });
});

test('no text makes the parser throw', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      expect(parseLvmReport(text)?.volumes ?? []).toEqual([]);
      expect(parseLvmReport(`  {\n${text}`)?.volumes ?? []).toEqual([]);
    }),
  );
});

const isRoot = process.getuid?.() === 0;

describeWith(isRoot ? ['vgcreate', 'losetup'] : ['root'], 'lvm2 on loop devices', () => {
  const name = `lares-test-${process.pid}`;
  const loops: string[] = [];
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'lares-lvm-'));
    for (const file of ['a', 'b']) {
      const path = join(folder, file);
      writeFileSync(path, '');
      truncateSync(path, 64 * 1_048_576);
      loops.push(execFileSync('losetup', ['-f', '--show', path], { encoding: 'utf8' }).trim());
    }
    execFileSync('vgcreate', ['--yes', name, ...loops], { stdio: 'pipe', env: quiet });
  });

  afterAll(() => {
    for (const loop of loops) execFileSync('losetup', ['-d', loop], { stdio: 'pipe' });
    rmSync(folder, { recursive: true, force: true });
  });

  const quiet = { ...process.env, LVM_SUPPRESS_FD_WARNINGS: '1' };

  test('a group is well until one of its disks is gone', async () => {
    const options = check.options.parse({ groups: [name] });
    const before = await check.observe(options, checkContext());
    expect(problems(before)).toEqual([]);
    expect(before.find(({ condition }) => condition === 'lvm-disk-missing')?.summary).toBe(
      `all 2 physical volumes of ${name} are there`,
    );
    const gone = loops.pop() ?? '';
    execFileSync('losetup', ['-d', gone], { stdio: 'pipe' });
    expect(problems(await check.observe(options, checkContext()))).toEqual([
      `critical lvm-disk-missing: 1 of 2 physical volumes of ${name} missing: [unknown]`,
    ]);
  });
});
