import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Folder, runCommand, RunningCommand } from '../parts/command.ts';

test.concurrent('the demo fixes its service within a minute, says so as JSON and leaves nothing behind', async () => {
  using folder = new Folder();
  const startedAt = Date.now();
  const { status, stdout } = await runCommand(['demo', '--yes', '--json'], inside(folder));
  expect(Date.now() - startedAt).toBeLessThan(60_000);
  expect({ status, verdict: JSON.parse(stdout) as unknown }).toMatchObject({
    status: 0,
    verdict: { verdict: { outcome: 'fixed', checks: [{ ok: true }] } },
  });
  expect(leftIn(folder)).toEqual({ files: [], processes: [] });
});

test.concurrent('a person who pipes the approval in sees the exact commands first, and then the same loop', async () => {
  using folder = new Folder();
  await using demo = new RunningCommand(['demo'], inside(folder));
  await demo.says(/approve 1/);
  await demo.says(/sha256 [0-9a-f]{64}/);
  expect(demo.stdout).toContain('systemctl restart shop.service');
  expect(demo.stdout).not.toContain('Run started');
  demo.type('approve 1');
  expect(await demo.ended()).toBe(0);
  expect(demo.stdout).toMatch(/Approved by .+[\s\S]+fixed[\s\S]+the verdict is "fixed"/);
  expect(leftIn(folder)).toEqual({ files: [], processes: [] });
});

test.concurrent('where nobody can type, it says so at once instead of waiting for an approval', async () => {
  using folder = new Folder();
  const { status, stderr } = await runCommand(['demo'], inside(folder));
  expect({ status, stderr }).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('lares demo --yes') as string,
  });
});

test.concurrent('Ctrl-C in the middle ends it, and leaves nothing behind either', async () => {
  using folder = new Folder();
  await using demo = new RunningCommand(['demo'], inside(folder));
  await demo.says(/Now the shop is killed/);
  demo.child.kill('SIGINT');
  expect(await demo.ended()).toBe(1);
  expect(demo.stdout).toContain('nothing is left behind');
  expect(leftIn(folder)).toEqual({ files: [], processes: [] });
});

/** Temporary files go into the folder, so that what is left can be told from what others do. */
function inside(folder: Folder): { cwd: string; env: NodeJS.ProcessEnv } {
  return { cwd: folder.path, env: { TMPDIR: folder.path } };
}

function leftIn(folder: Folder): { files: string[]; processes: string[] } {
  const processes = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && environmentOf(pid).includes(folder.path));
  return { files: readdirSync(folder.path), processes };
}

/** Empty for a process that has ended meanwhile, or is another user's. */
function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch {
    return '';
  }
}
