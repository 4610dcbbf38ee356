import { afterAll, beforeAll, expect, test } from 'vitest';
import { localRunner } from '#agents/runtime/local-command.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { check } from '#agents/sentinel/checks/docker-container.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { type Dockerd, startDockerd } from '../../../test/parts/dockerd.ts';
import { faultsOf } from '../../../test/parts/kind-contract.ts';
import { badOnes } from '../../../test/parts/problems.ts';
import { oneOf } from '../../../test/parts/readings.ts';
import { until } from '../../../test/parts/until.ts';

const alone = ['run', '-d', '--network', 'none'];
const sleeping = ['bb:1', '/bin/sh', '-c', 'echo up; trap "exit 143" TERM; while :; do sleep 1; done'];

describeWith(['dockerd', 'docker', 'busybox'], 'a real Docker engine', () => {
  let engine: Dockerd;
  beforeAll(async () => {
    engine = await startDockerd();
    const health = ['--health-cmd', '/bin/false', '--health-interval', '1s', '--health-retries', '1'];
    await engine.docker(...alone, '--name', 'web', '--restart', 'unless-stopped', ...sleeping);
    await engine.docker(...alone, '--name', 'gone', '--restart', 'always', ...sleeping);
    await engine.docker(...alone, '--name', 'sick', ...health, ...sleeping);
    await engine.docker(...alone, '--name', 'job', 'bb:1', '/bin/true');
    await engine.docker(...alone, '--name', 'nodetool', '--label', 'com.nodetool.managed=true', ...sleeping);
    await engine.docker(...alone, '--name', 'loop', '--restart', 'always', 'bb:1', '/bin/false');
  }, 60_000);
  afterAll(() => engine[Symbol.asyncDispose](), 60_000);

  /** By the socket of this machine, and by the command as it is run on another. */
  test.each(['local', 'ssh'] as const)('is read as it is, by its socket and by its command (%s)', async (via) => {
    const remote = { host: { name: 'box', config: { via } }, probe: localRunner } as unknown as Partial<CheckContext>;
    const context = checkContext(via === 'ssh' ? remote : {});
    const options = check.options.parse({ socket: engine.socketPath, imageAgeAtMost: '90d' });
    const look = async (): Promise<Observation[]> => {
      const found = await check.observe(options, context);
      expect(faultsOf(found)).toEqual([]);
      return found;
    };
    let found = await look();
    await until(async () => {
      found = await look();
      const sick = oneOf(found, 'container-unhealthy', 'sick');
      return sick !== undefined && badOnes(found).includes('critical container-restarting loop');
    }, 'the unhealthy one and the loop');
    expect(badOnes(found).toSorted()).toEqual([
      'critical container-restarting loop',
      'critical container-unhealthy sick',
    ]);
    expect(oneOf(found, 'container-down', 'loop')).toBeDefined();
    expect(oneOf(found, 'container-down', 'job')?.summary).toBe('job has ended with 0 and is not to be started again');
    expect(oneOf(found, 'container-image-old', 'web')?.summary).toMatch(/built 0 days ago/);
    const web = oneOf(found, 'container-down', 'web');
    const evidence = web === undefined ? [] : await check.evidence.gather(options, context, web);
    expect(evidence.at(-1)?.lines.at(-1)).toMatch(/^20\S+Z up$/);
  });

  test('that loses containers: one rests, one was stopped by hand, one is gone', async () => {
    const context = checkContext();
    const options = check.options.parse({ socket: engine.socketPath, ignore: ['loop', 'sick'] });
    await check.observe(options, context);
    await engine.docker('stop', '-t', '5', 'nodetool', 'web');
    await engine.docker('rm', '-f', 'gone');
    const found = await check.observe(options, context);
    expect(badOnes(found)).toEqual(['warning container-down web', 'warning container-removed gone']);
    expect(oneOf(found, 'container-down', 'nodetool')?.reading.is).toBe('asleep');
    expect(oneOf(found, 'container-down', 'web')?.summary).toContain('stopped by hand');
  });
});
