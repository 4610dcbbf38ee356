import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { bindShipped } from '#agents/sentinel/registry.ts';
import { planChecks } from '#config/planned-checks.ts';
import { ConfigSchema } from '#config/schema.ts';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { startFakeWazuh, WazuhModel, wazuhPassword } from '../../../test/parts/fake-wazuh.ts';
import { sectionsText } from '../../../test/parts/host-sections.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './wazuh.ts';

process.env['LARES_TEST_WAZUH'] = wazuhPassword;
const password = { env: 'LARES_TEST_WAZUH' };
kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}`, password }));

const now = Date.parse('2026-11-20T12:00:00Z');
const day = 86_400_000;
afterEach(closeHttpAgents);

function watcher(given: object): (at?: number) => Promise<Observation[]> {
  const options = check.options.parse({ password, ...given });
  const context = checkContext();
  return (at = now) => check.observe(options, { ...context, clock: createVirtualClock(at) });
}

function fleet(): WazuhModel {
  const model = new WazuhModel();
  const lastKeepAlive = '2026-11-20T11:59:50Z';
  model.agents = [
    {
      id: '001',
      name: 'web',
      status: 'active',
      lastKeepAlive,
      scores: { cis_debian12: 62 },
      scannedAt: '2026-11-20T08:00:00Z',
    },
    {
      id: '002',
      name: 'db',
      status: 'active',
      lastKeepAlive,
      scores: { cis_debian12: 55 },
      scannedAt: '2026-11-20T08:00:00Z',
    },
  ];
  return model;
}

describe('the manager', () => {
  test('whose daemons run and whose agents report is well, with one login for many looks', async () => {
    const model = fleet();
    await using api = await startFakeWazuh(model);
    const look = watcher({ url: api.url });
    await look();
    const found = await look(now + 60_000);
    expect(problems(found)).toEqual([]);
    expect(found.length).toBe(13);
    expect(found.map(({ summary }) => summary)).toContain('2 of 2 agents report');
    expect(model.logins).toBe(1);
    await look(now + 900_000);
    expect(model.logins).toBe(2);
    model.token = 'jwt-2';
    expect(problems(await look(now + 960_000))).toEqual([]);
    expect(model.logins).toBe(3);
  });

  test('tells daemons that must run, and not those that may rest', async () => {
    const model = fleet();
    model.daemons['wazuh-remoted'] = 'stopped';
    delete model.daemons['wazuh-authd'];
    await using api = await startFakeWazuh(model);
    expect(problems(await watcher({ url: api.url })())).toEqual([
      'critical wazuh-daemon-stopped: wazuh-remoted is stopped',
      'critical wazuh-daemon-stopped: wazuh-authd is not there',
    ]);
  });

  test('tells agents that are silent, but not those that may rest', async () => {
    const model = fleet();
    model.agents.push(
      { id: '003', name: 'pve3', status: 'disconnected', lastKeepAlive: '2026-11-20T03:00:00Z' },
      { id: '004', name: 'nas', status: 'disconnected', lastKeepAlive: '2026-11-20T11:46:00Z' },
    );
    await using api = await startFakeWazuh(model);
    expect(problems(await watcher({ url: api.url })())).toEqual([
      'warning wazuh-agent-disconnected: the agent pve3 reports no more, the last time at 2026-11-20T03:00:00Z',
    ]);
    expect(problems(await watcher({ url: api.url, ignoreAgents: ['pve*'] })())).toEqual([]);
    model.now += 120_000;
    expect(problems(await watcher({ url: api.url })())).toHaveLength(2);
  });

  test.each([false, true])('tells that no agent reports or none is shown, counting itself: %s', async (itself) => {
    const model = fleet();
    model.countsItself = itself;
    await using api = await startFakeWazuh(model);
    const look = watcher({ url: api.url, look: ['agents'] });
    expect(problems(await look())).toEqual([]);
    for (const agent of model.agents) agent.status = 'disconnected';
    expect(problems(await look(now + 60_000))).toEqual(['critical wazuh-agents-inactive: 0 of 2 agents report']);
    const [first] = model.agents;
    if (first !== undefined) first.status = 'active';
    expect(problems(await look(now + 120_000))).toEqual([]);
    model.agents = [];
    const none = 'unknown wazuh-agents-inactive agents: it shows no agent to this user';
    expect(problems(await look(now + 180_000))).toEqual([none]);
  });

  test('tells its own errors of the time since the last look, with the lines as evidence', async () => {
    const model = fleet();
    const error = { tag: 'wazuh-remoted', level: 'error', description: '(1408): Invalid ID 004 for the source ip' };
    model.errors = [{ timestamp: '2026-11-20T11:50:00Z', ...error }];
    await using api = await startFakeWazuh(model);
    const look = watcher({ url: api.url, look: ['errors'] });
    const [, found] = await look();
    expect(problems(found === undefined ? [] : [found])).toEqual([
      'warning wazuh-manager-errors: 1 error of manager in 15m, the last by wazuh-remoted: (1408): Invalid ID 004 for the source ip',
    ]);
    const context = checkContext({ clock: createVirtualClock(now) });
    const evidence = await check.evidence.gather(
      check.options.parse({ url: api.url, password }),
      context,
      found as Observation,
    );
    expect(evidence[0]?.lines[0]).toContain('wazuh-remoted error: (1408)');
    expect(problems(await look(now + 5 * 60_000 + 1_000))).toEqual([]);
  });

  test('that answers 200 with an error in it is unknown in that part', async () => {
    const model = fleet();
    model.partial.set('/manager/status', 2);
    model.partial.set('/agents/summary/status', 1);
    await using api = await startFakeWazuh(model);
    const found = await watcher({ url: api.url, look: ['daemons', 'agents'] })();
    expect(words(found)).toEqual([
      'wazuh-down wazuh ok',
      'wazuh-daemon-stopped manager unknown',
      'wazuh-agents-inactive agents unknown',
    ]);
    expect(problems(found)[0]).toContain('it answered with error 2, "Could not read": Some daemons are not ready');
  });

  test('that refuses the password is unknown, and is not asked again before its lock would end', async () => {
    const model = fleet();
    await using api = await startFakeWazuh(model);
    const look = watcher({ url: api.url, password: { env: 'HOME' } });
    expect(words(await look())).toEqual(['wazuh-down wazuh unknown']);
    await look(now + 60_000);
    expect(model.logins).toBe(1);
    await look(now + 301_000);
    expect(model.logins).toBe(2);
  });

  test('of a cluster is looked at node by node, version 5 only by what it still has', async () => {
    const model = fleet();
    model.nodes = ['master', 'worker'];
    await using api = await startFakeWazuh(model);
    const look = watcher({ url: api.url, look: ['daemons', 'benchmarks', 'files'] });
    const stopped = problems(await look());
    expect(stopped).toEqual([
      'critical wazuh-daemon-stopped: wazuh-clusterd is stopped',
      'critical wazuh-daemon-stopped: wazuh-clusterd is stopped',
    ]);
    model.daemons['wazuh-clusterd'] = 'running';
    model.apiVersion = '5.1.0';
    api.requests.length = 0;
    const found = await look();
    expect(problems(found)).toEqual([
      'unknown wazuh-score-dropped agents: version 5 keeps benchmarks and looks through files in the indexer: leave them out of `look`',
    ]);
    expect(api.requests.filter(({ path }) => /^\/(?:manager|sca|syscheck)/.test(path))).toEqual([]);
  });

  test('of a cluster tells a node that left it, which no list names any more, until a week is over', async () => {
    const model = fleet();
    model.daemons['wazuh-clusterd'] = 'running';
    model.nodes = ['master', 'worker'];
    await using api = await startFakeWazuh(model);
    const look = watcher({ url: api.url, look: ['daemons'] });
    expect(problems(await look())).toEqual([]);
    model.nodes = ['master'];
    expect(problems(await look(now + 600_000))).toEqual([
      'critical wazuh-node-lost: worker left its cluster, it was last seen 10m ago',
    ]);
    expect(problems(await look(now + 8 * day))).toEqual([]);
  });

  test('tells agents that never came and those that are older than it', async () => {
    const model = fleet();
    model.agents.push({ id: '003', name: 'nas', status: 'never_connected', lastKeepAlive: '' });
    model.outdated = ['001', '002'];
    await using api = await startFakeWazuh(model);
    expect(problems(await watcher({ url: api.url, look: ['agents', 'versions'], ignoreAgents: ['db'] })())).toEqual([
      'info wazuh-agent-never-connected: 1 agent registered and never heard of',
      'info wazuh-agents-outdated: 1 agent older than the manager: web (Wazuh v4.9.2)',
    ]);
  });
});

describe('benchmarks and files', () => {
  test('a score that drops by 5 points is a warning until it is back or a week is over', async () => {
    const model = fleet();
    await using api = await startFakeWazuh(model);
    const given = { url: api.url, look: ['benchmarks'] };
    const look = watcher(given);
    expect(problems(await look())).toEqual([]);
    const [web] = model.agents;
    if (web !== undefined) web.scores = { cis_debian12: 57 };
    const dropped = await look(now + day);
    expect(problems(dropped)).toEqual([
      'warning wazuh-score-dropped: web scores 57 of 100 in CIS Debian 12, it was 62',
    ]);
    const evidence = await check.evidence.gather(
      check.options.parse({ ...given, password }),
      checkContext({ clock: createVirtualClock(now + day) }),
      dropped[1] as Observation,
    );
    expect(evidence[0]?.lines).toEqual(['2612 Ensure /tmp is a separate partition']);
    expect(problems(await look(now + 6 * day)).length).toBe(1);
    expect(problems(await look(now + 8 * day))).toEqual([]);
  });

  test('of more agents than can be asked within a minute are asked of some, and the rest is not called well', async () => {
    const model = fleet();
    const [web] = model.agents;
    for (let id = 100; id < 300; id++)
      if (web !== undefined) model.agents.push({ ...web, id: String(id), name: `n${id}` });
    await using api = await startFakeWazuh(model);
    const found = await watcher({ url: api.url, look: ['benchmarks', 'files'] })();
    const rest =
      'agents: 142 agents more than the 60 that one check asks for: split them between two checks by "ignoreAgents"';
    expect(problems(found)).toEqual([`unknown wazuh-score-dropped ${rest}`, `unknown wazuh-file-scan-old ${rest}`]);
    // It refuses more than 300 requests a minute, from all who ask it together.
    expect(api.requests.length).toBeLessThan(150);
  });

  test('files that were not looked through for a day are told', async () => {
    const model = fleet();
    const [, db] = model.agents;
    if (db !== undefined) delete db.scannedAt;
    await using api = await startFakeWazuh(model);
    expect(problems(await watcher({ url: api.url, look: ['files'] })(now + day))).toEqual([
      'warning wazuh-file-scan-old: the files of web were looked through 1d4h ago',
      'warning wazuh-file-scan-old: the files of db were never looked through',
    ]);
  });
});

describe('a manager that was removed while its processes run on', () => {
  const host = { via: 'ssh', address: '10.0.0.7', read: { user: 'lares' } };
  // What the host said for 17 hours: systemd called the unit active and port 55000 answered.
  const packages = sectionsText({
    now: String(now / 1_000),
    pending: '0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.',
    audit: '',
    states: 'ii |bash\nii |wazuh-agent\nrc |wazuh-manager',
    stamps: `${now / 1_000 - 7_200} /var/lib/apt/lists/partial`,
    reboot: 'no',
    done: '',
  });
  const fields = Array.from({ length: 49 }, () => 0).join(' ');
  const processes = sectionsText({
    units: '100 4096',
    uptime: '900000.00 5.0',
    stats: `812 (wazuh-analysisd) S ${fields}`,
    commands: '/proc/812/cmdline:/var/ossec/bin/wazuh-analysisd ',
    lost: 'gone 812 wazuh-manager.service /var/ossec/bin/wazuh-analysisd',
    done: '',
  });

  test('is critical three times over: no agent reports, the package is gone, the program is gone from the disk', async () => {
    const model = fleet();
    for (const agent of model.agents) agent.status = 'disconnected';
    await using api = await startFakeWazuh(model);
    const watch = [{ preset: 'wazuh-manager', url: api.url, password }];
    const config = ConfigSchema.parse({ defaultChecks: false, hosts: { wazuh: { ...host, watch } } });
    const { checks, faults } = await bindShipped(config);
    expect([...planChecks(config).faults, ...faults]).toEqual([]);
    const told: string[] = [];
    for (const { kind, definition, options } of checks) {
      const probe = answering(kind === 'apt-updates' ? packages : processes);
      const context = checkContext({ probe, clock: createVirtualClock(now) });
      told.push(...problems(await definition.observe(options, context)));
    }
    const critical = told.filter((line) => line.startsWith('critical'));
    expect(critical).toEqual(
      expect.arrayContaining([
        'critical wazuh-agents-inactive: 0 of 2 agents report',
        'critical package-removed: wazuh-manager was removed, its configuration is still there; what still runs of it ends with its next restart',
        'critical package-gone: /var/ossec/bin/wazuh-analysisd runs (pid 812) but is no longer on the disk: its package was removed underneath',
      ]),
    );
  });
});
