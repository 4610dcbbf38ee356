import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { type FakeContainer, inspected, startDockerEngine } from '../../../test/parts/docker-engine.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { badOnes } from '../../../test/parts/problems.ts';
import { check } from './docker-container.ts';

kindContract(check, () => ({ socket: '/nowhere/docker.sock', containers: ['web'] }));

/** Looks at an engine, again and again with the memory of the looks before. */
function watcher(socket: string | undefined, more: object = {}, replaced: Partial<CheckContext> = {}) {
  const context = checkContext(replaced);
  const options = check.options.parse({ socket, ...more });
  return {
    context,
    options,
    look: (now?: number) =>
      check.observe(options, now === undefined ? context : { ...context, clock: { ...context.clock, now: () => now } }),
  };
}

describe('the engine of this machine', () => {
  test('whose socket was named and is not there is unknown', async () => {
    expect(badOnes(await watcher('/nowhere/docker.sock').look())).toEqual(['unknown container-down containers']);
  });

  test('that is not there is unknown when containers are expected, or were seen', async () => {
    expect(badOnes(await watcher('/nowhere/docker.sock', { containers: ['web'] }).look())).toEqual([
      'unknown container-down containers',
    ]);
    let socket: string;
    let watch;
    {
      await using engine = await startDockerEngine([{ name: 'web' }]);
      socket = engine.socketPath;
      watch = watcher(socket);
      expect(badOnes(await watch.look())).toEqual([]);
    }
    expect(badOnes(await watch.look())).toEqual(['unknown container-down containers']);
  });

  test.each(['error', 'garbage'] as const)('that answers with an %s is unknown', async (fault) => {
    await using engine = await startDockerEngine([{ name: 'web' }]);
    engine.fault = fault;
    const [observation] = await watcher(engine.socketPath).look();
    expect(observation?.reading.is).toBe('unknown');
    // oxlint-disable-next-line no-control-regex -- none must be left
    expect(observation?.summary).not.toMatch(/[\u0000-\u001f]/);
  });

  test('that hangs ends with the look', async () => {
    await using engine = await startDockerEngine();
    engine.fault = 'hang';
    const stopping = new AbortController();
    const looking = watcher(engine.socketPath, {}, { signal: stopping.signal }).look();
    stopping.abort(new Error('stopped'));
    await expect(looking).rejects.toThrow('stopped');
  });

  test('whose containers go between list and question has just none', async () => {
    await using engine = await startDockerEngine([{ name: 'web' }]);
    engine.fault = 'vanish';
    expect(badOnes(await watcher(engine.socketPath).look())).toEqual([]);
  });
});

describe('a container', () => {
  test.each<[string, Partial<FakeContainer>, string[]]>([
    ['runs', { status: 'running' }, []],
    ['was paused', { status: 'paused' }, ['warning container-down web']],
    ['is dead', { status: 'dead' }, ['critical container-down web']],
    ['did its work and is not to start again', { status: 'exited', exitCode: 0, policy: 'no' }, []],
    ['did its work under on-failure', { status: 'exited', exitCode: 0, policy: 'on-failure' }, []],
    ['failed once', { status: 'exited', exitCode: 1, policy: 'no' }, ['warning container-down web']],
    ['failed too often', { status: 'exited', exitCode: 1, policy: 'on-failure' }, ['critical container-down web']],
    [
      'was stopped by hand',
      { status: 'exited', exitCode: 137, policy: 'unless-stopped' },
      ['warning container-down web'],
    ],
    ['cannot start', { status: 'exited', exitCode: 127, policy: 'always' }, ['critical container-down web']],
    ['is unhealthy', { health: 'unhealthy' }, ['critical container-unhealthy web']],
    ['starts', { health: 'starting' }, []],
    ['ran out of memory and runs', { outOfMemory: true }, ['warning container-out-of-memory web']],
  ])('that %s', async (_name, later, problems) => {
    await using engine = await startDockerEngine([{ name: 'web' }]);
    const { look } = watcher(engine.socketPath);
    expect(badOnes(await look())).toEqual([]);
    engine.containers = [{ name: 'web', ...later }];
    expect(badOnes(await look())).toEqual(problems);
  });

  test('that stood still at the first look is not news, unless it is named', async () => {
    await using engine = await startDockerEngine([{ name: 'old', status: 'exited', exitCode: 1 }]);
    expect(badOnes(await watcher(engine.socketPath).look())).toEqual([]);
    expect(badOnes(await watcher(engine.socketPath, { containers: ['old', 'gone'] }).look())).toEqual([
      'critical container-down old',
      'critical container-down gone',
    ]);
  });

  test('that is on demand or ignored may stop', async () => {
    await using engine = await startDockerEngine([{ name: 'render-1' }, { name: 'ci-7' }]);
    const { look } = watcher(engine.socketPath, { onDemand: ['render-*'], ignore: ['ci-*'] });
    await look();
    engine.containers = [
      { name: 'render-1', status: 'exited', exitCode: 143 },
      { name: 'ci-7', status: 'dead' },
    ];
    const found = await look();
    expect(badOnes(found)).toEqual([]);
    expect(found.find(({ resource }) => resource === 'render-1')?.reading.is).toBe('asleep');
    engine.containers = [{ name: 'render-1', status: 'exited', exitCode: 1 }];
    expect(badOnes(await look())).toEqual(['warning container-down render-1']);
  });

  test('that NodeTool manages may sleep, and only a crash is a problem', async () => {
    await using engine = await startDockerEngine([{ name: 'nodetool', isOnDemand: true }]);
    const { look } = watcher(engine.socketPath);
    await look();
    engine.containers = [{ name: 'nodetool', isOnDemand: true, status: 'exited', exitCode: 143, policy: 'always' }];
    const found = await look();
    expect(found.find(({ resource }) => resource === 'nodetool')?.reading.is).toBe('asleep');
    engine.containers = [{ name: 'nodetool', isOnDemand: true, status: 'dead' }];
    expect(badOnes(await look())).toEqual(['critical container-down nodetool']);
  });

  test('that was to be kept running and is gone is told for a day; one that is made anew is not', async () => {
    const kept: FakeContainer = { name: 'web', policy: 'unless-stopped' };
    await using engine = await startDockerEngine([kept, { name: 'job' }, { ...kept, name: 'api' }]);
    const { look } = watcher(engine.socketPath);
    await look(0);
    engine.containers = [];
    expect(badOnes(await look(60_000))).toEqual(['warning container-removed api', 'warning container-removed web']);
    engine.containers = [kept];
    expect(badOnes(await look(120_000))).toEqual(['warning container-removed api']);
    expect(badOnes(await look(120_000 + 86_400_000))).toEqual([]);
  });

  test('that runs an old image is a warning when a limit is set; an image without a date is not', async () => {
    await using engine = await startDockerEngine([{ name: 'web' }]);
    const { look } = watcher(engine.socketPath, { imageAgeAtMost: '90d' });
    const levels = async (at: number) =>
      (await look(at)).flatMap(({ reading }) =>
        reading.is === 'level' ? [reading.value, reading.warning?.trigger] : [],
      );
    expect(await levels(Date.parse('2026-11-20T00:00:00Z'))).toEqual([expect.closeTo(100, 3), 90]);
    engine.imageBuiltAt = '0001-01-01T00:00:00Z';
    expect(await levels(Date.parse('2026-11-20T00:00:00Z'))).toEqual([]);
  });

  test('whose image nobody mends any more is information, whatever its registry and tag', async () => {
    await using engine = await startDockerEngine([
      { name: 'games', image: 'lscr.io/linuxserver/emulatorjs:latest' },
      { name: 'logs', image: 'grafana/promtail:3.5.1@sha256:00' },
      { name: 'resting', image: 'grafana/promtail', status: 'exited' },
      { name: 'web', image: 'registry.lan:5000/me/promtail-ui' },
    ]);
    const found = (await watcher(engine.socketPath).look()).filter((one) => one.condition === 'software-end-of-life');
    expect(found.map(({ resource, reading }) => [resource, reading])).toEqual([
      ['games', { is: 'state', ok: false, severity: 'info' }],
      ['logs', { is: 'state', ok: false, severity: 'info' }],
    ]);
  });

  test('in a crash loop is seen although the engine says that it runs', async () => {
    await using engine = await startDockerEngine([{ name: 'web', policy: 'always' }]);
    const { look } = watcher(engine.socketPath);
    await look(0);
    engine.containers = [{ name: 'web', policy: 'always', restarts: 2, status: 'restarting', exitCode: 1 }];
    const [, , restarting] = await look(60_000);
    expect(restarting).toMatchObject({ condition: 'container-restarting', reading: { ok: false } });
    expect(restarting?.holdMs).toBeUndefined();
    engine.containers = [{ name: 'web', policy: 'always', restarts: 3 }];
    const [, , loop] = await look(120_000);
    expect(loop).toMatchObject({ condition: 'container-restarting', reading: { ok: false }, holdMs: 0 });
    expect(loop?.summary).toBe('web started again 3 times within 10 minutes');
    expect(badOnes(await look(120_000 + 600_000))).toEqual([]);
  });

  test('gives its log, its exit status and its memory as evidence, and no environment', async () => {
    await using engine = await startDockerEngine([{ name: 'web' }]);
    const watch = watcher(engine.socketPath);
    await watch.look();
    engine.containers = [
      {
        name: 'web',
        status: 'exited',
        exitCode: 137,
        outOfMemory: true,
        policy: 'always',
        log: [
          { stream: 'stdout', text: '2026-11-20T03:00:00Z starting\n' },
          { stream: 'stderr', text: `2026-11-20T03:00:01Z \u001b[31m<b>fatal</b>${'x'.repeat(10_000)}\n` },
        ],
      },
    ];
    const observation = (await watch.look()).find(({ resource }) => resource === 'web');
    expect(observation).toMatchObject({ summary: 'web exited with 137 (out of memory)', labels: { container: 'web' } });
    const evidence = (observation && (await check.evidence.gather(watch.options, watch.context, observation))) ?? [];
    expect(evidence[0]?.lines).toContain('status exited, exit status 137 (out of memory)');
    expect(evidence[1]?.lines[0]).toBe('2026-11-20T03:00:00Z starting');
    expect(evidence[1]?.lines[1]).toMatch(/^2026-11-20T03:00:01Z {2}\[31m<b>fatal<\/b>x+…$/);
    expect(JSON.stringify(evidence)).not.toContain('planted');
  });
});

describe('the docker command of another host', () => {
  const remote = { host: { name: 'web', config: { via: 'ssh' } } } as unknown as Partial<CheckContext>;
  const line = (container: FakeContainer): string => JSON.stringify(inspected(container, 'a'.repeat(64)));

  function lookAt(stdout: string, of: { stderr?: string } = {}): Promise<Observation[]> {
    return watcher(undefined, {}, { ...remote, probe: answering(stdout, of) }).look();
  }

  test('lists what it inspects', async () => {
    const found = await lookAt(`\n@@containers\n${line({ name: 'web', health: 'unhealthy' })}\n\n@@end containers 0\n`);
    expect(badOnes(found)).toEqual(['critical container-unhealthy web']);
  });

  test('that is not installed is no problem', async () => {
    expect(await lookAt('\n@@absent\n\n@@end absent 0\n')).toEqual([]);
  });

  test('that loses one container between list and question shows the others', async () => {
    const text = `\n@@containers\n${line({ name: 'web' })}\n\n@@end containers 1\n`;
    expect(badOnes(await lookAt(text, { stderr: 'Error: No such container: b' }))).toEqual([]);
    expect(badOnes(await lookAt(text, { stderr: 'Error response from daemon' }))).toEqual([
      'unknown container-down containers',
    ]);
  });

  test('without permission says what to do', async () => {
    const stderr =
      'permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock';
    const [observation] = await lookAt('\n@@failed\n\n@@end failed 0\n', { stderr });
    expect(observation?.reading).toMatchObject({ is: 'unknown', reason: expect.stringContaining('group docker') });
  });

  test('is really run: without an engine there is nothing to look at', async () => {
    const context = checkContext({ ...remote, memory: checkContext().memory });
    const found = await check.observe(check.options.parse({ socket: join('/', 'unused') }), context);
    expect(badOnes(found).filter((text) => !text.startsWith('unknown'))).toEqual([]);
  });
});
