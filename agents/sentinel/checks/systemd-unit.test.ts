import { describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { answering, checkContext, ending } from '../../../test/parts/check-context.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { check } from './systemd-unit.ts';

kindContract(check, () => ({}));

interface FakeUnit {
  id: string;
  load?: string;
  active?: string;
  sub?: string;
  result?: string;
  type?: string;
  restarts?: number;
  status?: number;
  triggers?: string;
}

function block(unit: FakeUnit): string {
  const { id, load = 'loaded', active = 'active', sub = 'running', result = 'success', type = 'simple' } = unit;
  const lines = [
    `Type=${type}`,
    `NRestarts=${unit.restarts ?? 0}`,
    `Result=${result}`,
    `ExecMainStatus=${unit.status ?? 0}`,
  ];
  return [
    ...lines,
    `Id=${id}`,
    `LoadState=${load}`,
    `ActiveState=${active}`,
    `SubState=${sub}`,
    `Triggers=${unit.triggers ?? ''}`,
  ].join('\n');
}

function output(parts: Record<string, readonly FakeUnit[] | string>): string {
  return Object.entries(parts)
    .map(([name, part]) => {
      const text = typeof part === 'string' ? part : part.map(block).join('\n\n');
      return `\n@@${name}\n${text}\n\n@@end ${name} 0\n`;
    })
    .join('');
}

function watcher(options: object = {}) {
  const context = checkContext();
  const parsed = check.options.parse(options);
  return (stdout: string, now = 0): Promise<Observation[]> =>
    check.observe(parsed, { ...context, probe: answering(stdout), clock: { ...context.clock, now: () => now } });
}

const nginx: FakeUnit = { id: 'nginx.service' };
const broken: FakeUnit = { id: 'a.service', active: 'failed', sub: 'failed', result: 'exit-code', status: 3 };

describe('all units', () => {
  test('a healthy host says how many it looked at', async () => {
    const [observation, ...others] = await watcher()(output({ units: [nginx], failed: [] }));
    expect(observation).toMatchObject({ resource: 'units', summary: 'looked at 1 service, 0 units failed' });
    expect(others).toEqual([]);
  });

  test('failed ones of any kind are problems with their result', async () => {
    const failed = [broken, { id: 'srv.mount', active: 'failed', sub: 'failed', result: 'timeout' }];
    expect(problems(await watcher()(output({ units: [nginx, broken], failed })))).toEqual([
      'warning unit-failed: a.service is failed (exit-code, status 3)',
      'warning unit-failed: srv.mount is failed (timeout)',
    ]);
  });

  test('one that runs on after its package was removed is critical, one that is merely named by others is none', async () => {
    const removed: FakeUnit = { id: 'wazuh-manager.service', load: 'not-found' };
    const wanted: FakeUnit = { id: 'plymouth.service', load: 'not-found', active: 'inactive', sub: 'dead' };
    const text = 'wazuh-manager.service runs but its unit is no longer there: it will not start again';
    const all = output({ units: [nginx, removed, wanted], failed: [] });
    expect(problems(await watcher()(all))).toEqual([`critical unit-removed: ${text}`]);
    expect(problems(await watcher({ ignore: ['wazuh-*'] })(all))).toEqual([]);
    expect(problems(await watcher({ units: ['wazuh-manager'] })(output({ units: [removed] })))).toEqual([
      `critical unit-failed: ${text}`,
    ]);
  });

  test('ignored ones and those that fail in every container are none', async () => {
    const failed = [broken, { id: 'sys-kernel-debug.mount', active: 'failed', sub: 'failed' }];
    const parts = { units: [nginx], failed };
    expect(problems(await watcher({ ignore: ['a.*'] })(output({ container: 'lxc', ...parts })))).toEqual([]);
    expect(problems(await watcher()(output(parts)))).toHaveLength(2);
  });
});

describe('named units', () => {
  test.each<[FakeUnit, string[]]>([
    [nginx, []],
    [{ ...nginx, active: 'inactive', sub: 'dead' }, ['critical unit-failed: nginx.service is inactive']],
    [{ ...nginx, active: 'failed', result: 'oom-kill' }, ['critical unit-failed: nginx.service is failed (oom-kill)']],
    [{ ...nginx, load: 'masked', active: 'inactive' }, ['critical unit-failed: nginx.service is masked']],
    [{ ...nginx, active: 'inactive', type: 'oneshot' }, []],
  ])('%j', async (unit, expected) => {
    expect(problems(await watcher({ units: ['nginx'] })(output({ units: [unit] })))).toEqual(expected);
  });

  test('one that never was is unknown, one that was removed is critical', async () => {
    const look = watcher({ units: ['nginx'] });
    const gone = output({ units: [{ id: 'nginx.service', load: 'not-found', active: 'inactive', sub: 'dead' }] });
    expect(problems(await look(gone))).toEqual([
      'unknown unit-failed nginx.service: there is no unit "nginx.service": check its name',
    ]);
    await look(output({ units: [nginx] }));
    expect(problems(await look(gone))).toEqual(['critical unit-failed: nginx.service was removed']);
  });

  test('a timer is as well as the last end of what it starts', async () => {
    const timer = { id: 'backup.timer', sub: 'waiting', triggers: 'backup.service' };
    const look = watcher({ units: ['backup.timer'] });
    const job = { id: 'backup.service', type: 'oneshot', active: 'inactive', sub: 'dead' };
    expect(problems(await look(output({ units: [timer], triggered: [job] })))).toEqual([]);
    const failed = { ...job, active: 'failed', result: 'exit-code', status: 2 };
    expect(problems(await look(output({ units: [timer], triggered: [failed] })))).toEqual([
      'critical unit-failed: backup.timer starts backup.service, which is failed (exit-code, status 2)',
    ]);
  });

  test('an alias is known by the name that was asked for', async () => {
    const [observation] = await watcher({ units: ['sshd'] })(output({ units: [{ id: 'ssh.service' }] }));
    expect(observation).toMatchObject({ resource: 'sshd.service', labels: { unit: 'sshd.service' } });
  });

  test.each(['-rf', '--help'])('a name such as %s reaches systemctl behind --', async (name) => {
    const argvs: (readonly string[])[] = [];
    const context = checkContext();
    const probe = {
      run: (argv: readonly string[]) => {
        argvs.push(argv);
        return context.probe.run(argv, { timeoutMs: 5_000, signal: context.signal });
      },
    };
    await check.observe(check.options.parse({ units: [name] }), { ...context, probe });
    expect(argvs[0]?.slice(3)).toEqual(['sh', `${name}.service`]);
    expect(argvs[0]?.[2]).toContain('show -- "$@"');
  });

  test.each(['a b', '$(id)', 'a;b', '*', 'a/b', ''])('%j is not a name', (name) => {
    expect(check.options.safeParse({ units: [name] }).success).toBe(false);
  });
});

describe('a unit that starts again and again', () => {
  const at = (restarts: number, more: Partial<FakeUnit> = {}) =>
    output({ units: [{ ...nginx, restarts, ...more }], failed: [] });

  test('is told by its counter while it is active, and also after a person restarted it', async () => {
    const look = watcher();
    expect(problems(await look(at(7), 0))).toEqual([]);
    expect(problems(await look(at(9), 60_000))).toEqual([]);
    const found = await look(at(1), 120_000);
    expect(problems(found)).toEqual([
      'critical unit-restarting: nginx.service started again 3 times within 10 minutes',
    ]);
    expect(found.find(({ condition }) => condition === 'unit-restarting')).toMatchObject({ holdMs: 0 });
    expect(problems(await look(at(1), 800_000))).toEqual([]);
  });

  test('and waits for its next start is a problem that has to last', async () => {
    const [, restarting] = await watcher()(
      at(0, { active: 'activating', sub: 'auto-restart', result: 'exit-code', status: 1 }),
    );
    expect(restarting).toMatchObject({ condition: 'unit-restarting', reading: { ok: false } });
    expect(restarting?.holdMs).toBeUndefined();
  });
});

describe('a host', () => {
  test('without systemd has no units', async () => {
    expect(await watcher()(output({ none: '' }))).toEqual([]);
  });

  test('that cannot be reached is unknown as a whole', async () => {
    const probe = ending({ end: 'unreachable', reason: 'no login within 10s' });
    const found = await check.observe(check.options.parse({}), checkContext({ probe }));
    expect(problems(found)).toEqual(['unknown unit-failed units: no login within 10s']);
  });

  test('whose systemd does not answer is unknown', async () => {
    const stdout = '\n@@units\n\n@@end units 1\n';
    const probe = answering(stdout, { stderr: 'Failed to connect to bus: Connection refused' });
    const found = await check.observe(check.options.parse({}), checkContext({ probe }));
    expect(problems(found)[0]).toMatch(
      /^unknown unit-failed units: "systemctl show" ended with status 1: Failed to connect to bus/,
    );
  });
});
