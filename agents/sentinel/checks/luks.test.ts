import { describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { sectionsText } from '../../../test/parts/host-sections.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { check } from './luks.ts';

kindContract(check, () => ({}));

const mapped = `LVM-2tvLpfaLyDpDmVEbhx8SzkfEaVNqR1hJ pve-root
CRYPT-LUKS2-f7ad3bdd6e0b4a7e9f8d9f0a1b2c3d4e-data data
CRYPT-PLAIN-swap swap`;
const table = `# <target name> <source device> <key file> <options>
data UUID=f7ad3bdd-6e0b-4a7e-9f8d-9f0a1b2c3d4e none luks
backup  /dev/sdb1 /root/key luks,noauto
`;

function look(of: { mapped: string; table?: string }, options: object = {}): Promise<Observation[]> {
  const probe = answering(sectionsText({ mapped: of.mapped, table: of.table ?? table, sys: '', done: '' }));
  return check.observe(check.options.parse(options), checkContext({ probe }));
}

describe('volumes', () => {
  test('of crypttab have to be open, but for those that are opened by hand', async () => {
    const found = await look({ mapped });
    expect(problems(found)).toEqual([]);
    expect(found.map(({ reading }) => reading.is)).toEqual(['state', 'state', 'asleep']);
  });

  test('one that is locked after a reboot is critical at once', async () => {
    const found = await look({ mapped: 'LVM-x pve-root' });
    expect(problems(found)).toEqual([
      'critical volume-locked: data is locked: what is on it is not there until somebody opens it',
    ]);
    expect(found[1]?.holdMs).toBe(0);
  });

  test('named ones go before crypttab; a name of LVM is no encrypted volume', async () => {
    expect(problems(await look({ mapped }, { volumes: ['data', 'pve-root'] }))).toEqual([
      expect.stringContaining('volume-locked: pve-root is locked'),
    ]);
  });
});

test('this machine is looked at without root', async () => {
  const found = await check.observe(check.options.parse({ volumes: ['never-was'] }), checkContext());
  expect(problems(found)).toEqual([expect.stringContaining('never-was is locked')]);
});
