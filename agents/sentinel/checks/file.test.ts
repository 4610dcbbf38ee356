import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { CommandRunner } from '#agents/runtime/command.ts';
import { localRunner } from '#agents/runtime/local-command.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { check } from './file.ts';

kindContract(check, () => ({ path: '/etc/hosts' }));

const folder = mkdtempSync(join(tmpdir(), 'lares-file-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, of: { text?: string; ageSeconds?: number } = {}): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, of.text ?? 'x');
  const at = Date.now() / 1_000 - (of.ageSeconds ?? 0);
  utimesSync(path, at, at);
  return path;
}

async function observe(
  path: string,
  options: object = {},
  context: CheckContext = checkContext(),
): Promise<Observation[]> {
  return await check.observe(check.options.parse({ path, ...options }), context);
}
const look = async (path: string, options: object = {}) => problems(await observe(path, options));

describe('one file', () => {
  test('there, not there, and there although it should not be', async () => {
    const path = file('here');
    expect(await look(path)).toEqual([]);
    expect(await look(`${path}.not`)).toEqual([`critical file-missing: ${path}.not is not there`]);
    expect(await look(path, { exists: 'no' })).toEqual([`critical file-present: ${path} is there and should not be`]);
    expect(await look(`${path}.not`, { exists: 'no' })).toEqual([]);
  });

  test('size, owner and permissions', async () => {
    const path = file('owned', { text: 'x'.repeat(2_048) });
    chmodSync(path, 0o640);
    expect(await look(path, { sizeAtLeast: 2_048, sizeAtMost: 2_048, mode: '640' })).toEqual([]);
    expect(await look(path, { sizeAtLeast: 4_096, mode: '0600', owner: 'nobody' })).toEqual([
      `critical file-small: ${path} has 2.0 KiB (at least 4.0 KiB)`,
      expect.stringMatching(/^warning file-mode-wrong: .* 640, not nobody 0600$/),
    ]);
  });

  test('content is searched and never shown', async () => {
    const path = file('secret.conf', { text: 'mode: live\npassword: hunter2\n' });
    expect(await look(path, { matches: '^mode: live$' })).toEqual([]);
    const found = await observe(path, { matchesNot: 'password' });
    expect(problems(found)).toEqual([`critical file-content-wrong: ${path} matches /password/`]);
    const options = check.options.parse({ path, matchesNot: 'password' });
    const [first] = found;
    const evidence = first === undefined ? [] : await check.evidence.gather(options, checkContext(), first);
    expect(evidence[0]?.lines[0]).toContain('secret.conf');
    expect(JSON.stringify([found, evidence])).not.toContain('hunter2');
  });

  test('a sum and a text of one file are both looked at', async () => {
    const path = file('both', { text: 'one' });
    const sum = '7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed';
    expect(await look(path, { sha256: sum, matches: 'one', unchanged: true })).toEqual([]);
    expect(await look(path, { sha256: sum, matches: 'two', unchanged: true })).toEqual([
      `critical file-content-wrong: ${path} does not match /two/`,
    ]);
    expect(await look(path, { sha256: '0'.repeat(64), matchesNot: 'one' })).toEqual([
      `critical file-content-wrong: ${path} matches /one/`,
      expect.stringContaining('critical file-sum-wrong: '),
    ]);
  });

  test('a sum, and a change until it is accepted', async () => {
    const path = file('binary', { text: 'one' });
    const sum = '7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed';
    expect(await look(path, { sha256: sum })).toEqual([]);
    let now = Date.now();
    const base = checkContext();
    const context = { ...base, clock: { ...base.clock, now: () => now } };
    const again = async () => problems(await observe(path, { unchanged: true }, context));
    expect(await again()).toEqual([]);
    writeFileSync(path, 'two');
    expect(await look(path, { sha256: sum })).toHaveLength(1);
    expect(await again()).toEqual([expect.stringContaining(`warning file-changed: changed: ${path}`)]);
    now += 3_600_000;
    expect(await again()).toHaveLength(1);
    now += 24 * 3_600_000;
    expect(await again()).toEqual([]);
    expect(await again()).toEqual([]);
  });

  test('a symbolic link is not followed out, unless it stands for its target', async () => {
    const path = join(folder, 'link');
    symlinkSync('/etc/passwd', path);
    expect(await look(path, { matches: 'root' })).toEqual([
      expect.stringContaining('a symbolic link, which is not followed'),
    ]);
    expect(await look(path, { matches: 'root', follow: true })).toEqual([]);
  });
});

describe('many files', () => {
  test('the newest of a backup, how many, and what waits too long', async () => {
    for (const [n, age] of [10, 100_000, 200_000].entries()) file(`backups/db ${n}.gz`, { ageSeconds: age });
    const glob = join(folder, 'backups/db *.gz');
    expect(await look(glob, { newest: '1h', countAtLeast: 3, countAtMost: 3 })).toEqual([]);
    expect(await look(glob, { oldest: '1d', countAtLeast: 4 })).toEqual([
      `warning file-count-wrong: 3 files of ${glob}, fewer than 4`,
      expect.stringMatching(/^critical file-waiting: the oldest of .* is 2d7h/),
    ]);
    const old = join(folder, 'backups/db 2*');
    expect((await look(old, { newest: '26h' })).join()).toMatch(
      /^critical file-old: the newest of .* \(at most 1d2h\)$/,
    );
    const limits = (given: object) =>
      observe(old, { newest: given }).then((found) => found.find(({ condition }) => condition === 'file-old')?.reading);
    const day = 86_400;
    expect(await limits({ warning: '1d', critical: '2d' })).toMatchObject({
      warning: { trigger: day },
      critical: { trigger: 2 * day },
    });
    expect(await limits({ warning: '1d' })).not.toHaveProperty('critical');
    expect(check.options.safeParse({ path: old, newest: {} }).success).toBe(false);
  });

  test('names that a shell or a parser could take for something else', async () => {
    for (const name of ['odd/$(touch x)', 'odd/-rf', 'odd/a\n@@end listing 0\n', 'odd/`id`;']) file(name);
    const found = await observe(join(folder, 'odd/*'), { countAtLeast: 4, countAtMost: 4 });
    expect(problems(found)).toEqual([]);
    expect(await look(join(folder, '$(touch /tmp/never)'))).toHaveLength(1);
  });
});

test.skipIf(process.getuid?.() !== 0)(
  'a folder that may not be entered hides its files: unknown, not missing',
  async () => {
    const path = file('closed/inside');
    chmodSync(join(folder, 'closed'), 0o700);
    chmodSync(folder, 0o755);
    const probe: CommandRunner = {
      run: (argv, of) =>
        localRunner.run(['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', ...argv], of),
    };
    for (const one of [path, join(folder, 'closed/*')]) {
      const found = problems(await observe(one, {}, checkContext({ probe })));
      expect(found).toEqual([expect.stringMatching(/^unknown .*Permission denied/)]);
    }
  },
);
