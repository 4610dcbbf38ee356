import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { describeWith, programPath } from '../../test/parts/daemon.ts';

const run = promisify(execFile);

/** What a program says when it ends well; rejects with its words when it does not. */
async function succeeds(program: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await run(programPath(program) ?? program, args, { cwd: import.meta.dirname });
  return `${stdout}${stderr}`;
}

const shipped = { homelab: '13 rules found', lares: '12 rules found' };

describeWith(['promtool', 'vmalert'], 'the alert rules that ship', () => {
  test.each(Object.entries(shipped))('Prometheus can load those of %s', async (name, found) => {
    expect(await succeeds('promtool', 'check', 'rules', `${name}.rules.yaml`)).toContain(found);
  });

  test.each(Object.keys(shipped))('each of %s fires when and only when it says', async (name) => {
    expect(await succeeds('promtool', 'test', 'rules', `${name}.promtool.yaml`)).toContain('SUCCESS');
  });

  test.each(Object.keys(shipped))('vmalert can load those of %s', async (name) => {
    const file = join(import.meta.dirname, `${name}.rules.yaml`);
    expect(await succeeds('vmalert', `-rule=${file}`, '-dryRun')).not.toContain('error');
  });
});
