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

describeWith(['promtool', 'vmalert'], 'the rules for a homelab', () => {
  test('Prometheus can load them', async () => {
    expect(await succeeds('promtool', 'check', 'rules', 'homelab.rules.yaml')).toContain('13 rules found');
  });

  test('each fires when and only when it says', async () => {
    expect(await succeeds('promtool', 'test', 'rules', 'homelab.promtool.yaml')).toContain('SUCCESS');
  });

  test('vmalert can load them', async () => {
    const file = join(import.meta.dirname, 'homelab.rules.yaml');
    expect(await succeeds('vmalert', `-rule=${file}`, '-dryRun')).not.toContain('error');
  });
});
