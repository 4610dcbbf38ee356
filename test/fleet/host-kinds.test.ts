import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#agents/runtime/clock.ts';
import { createLog } from '#agents/runtime/log.ts';
import { HostChanges } from '#agents/sentinel/changes.ts';
import type { CheckContext, CheckDefinition } from '#agents/sentinel/check.ts';
import { check as file } from '#agents/sentinel/checks/file.ts';
import { check as journalPattern } from '#agents/sentinel/checks/journal-pattern.ts';
import { check as luks } from '#agents/sentinel/checks/luks.ts';
import { check as nfsMount } from '#agents/sentinel/checks/nfs-mount.ts';
import { check as process_ } from '#agents/sentinel/checks/process.ts';
import { createProbes, type Probes } from '#agents/sentinel/probe.ts';
import { type Config, ConfigSchema } from '#config/schema.ts';
import { checkContext } from '../parts/check-context.ts';
import { problems } from '../parts/problems.ts';
import { until } from '../parts/until.ts';
import type { FleetHost } from './host.ts';
import { Lab, labMissing } from './lab.ts';

const missing = await labMissing();
if (missing !== undefined && process.env['LARES_REQUIRE_PARTS'] === '1')
  throw new Error(`The lab is required: ${missing}`);

/** The kinds that read journals, processes, files and mounts, over SSH with a login without power, at a real systemd. */
describe.skipIf(missing !== undefined)(
  `what runs and lies on real hosts${missing === undefined ? '' : ` (SKIPPED: ${missing})`}`,
  () => {
    let lab: Lab;
    let host: FleetHost;
    let probes: Probes;
    let config: Config;

    beforeAll(async () => {
      lab = await Lab.open();
      const [booted] = await lab.boot({ name: 'plain', number: 23 });
      if (booted === undefined) throw new Error('the host did not boot');
      host = booted;
      const at = { address: host.address, hostKeys: [await host.hostKey()] };
      config = ConfigSchema.parse({
        hosts: {
          plain: { ...at, read: { user: 'lares', keyFile: lab.keyFile } },
          power: { ...at, read: { user: 'root', keyFile: lab.keyFile } },
        },
      });
      probes = createProbes({ config, clock: systemClock, log: createLog({ level: 'silent', name: 'test' }) });
    }, 240_000);
    afterAll(async () => {
      await probes?.close();
      await lab?.[Symbol.asyncDispose]();
    }, 60_000);

    function contextOf(name: 'plain' | 'power'): CheckContext {
      const hostConfig = config.hosts[name];
      if (hostConfig === undefined) throw new Error('not configured');
      return checkContext({ host: { name, config: hostConfig }, probe: probes.runnerFor(name) });
    }

    function watcher(kind: CheckDefinition, name: 'plain' | 'power', options: object) {
      const context = contextOf(name);
      const parsed = kind.options.parse(options);
      return async (): Promise<string[]> => problems(await kind.observe(parsed, context));
    }

    test('a login that may not read the journal says so; in the group it counts each line once', async () => {
      const options = {
        pattern: 'the gate is (stuck|open)',
        units: ['gate*'],
        within: '5m',
        lines: { warning: 1, critical: 3 },
      };
      expect(await watcher(journalPattern, 'plain', options)()).toEqual([expect.stringContaining('systemd-journal')]);
      const look = watcher(journalPattern, 'power', options);
      expect(await look()).toEqual([]);
      const say = (text: string) =>
        host.run(`systemd-run --wait --quiet --description=gate --unit=gate-$RANDOM echo '${text}'`);
      await say('the gate is stuck');
      await until(async () => (await look()).length === 1, 'the line');
      expect(await look()).toEqual([
        expect.stringMatching(/^warning log-lines: 1 line of gate\* .*the gate is stuck$/),
      ]);
      await host.run('journalctl --rotate');
      await say('the gate is open');
      await say('the gate is stuck');
      await until(async () => (await look()).join().startsWith('critical'), 'three lines');
      expect((await look()).join()).toMatch(/^critical log-lines: 3 lines/);
    });

    test('the first line after those of other programs counts too', async () => {
      const look = watcher(journalPattern, 'power', { pattern: 'nobody', identifiers: ['caller'] });
      expect(await look()).toEqual([]);
      await host.run("echo 'nobody answers' | systemd-cat -t caller");
      await until(async () => (await look()).length === 1, 'the line');
    });

    test('what systemd says of a unit counts as a line of the unit', async () => {
      const look = watcher(journalPattern, 'power', { pattern: 'Main process exited', units: ['doomed'] });
      await look();
      await host.run('systemd-run --quiet --unit=doomed sh -c "exit 3"; sleep 0.5');
      await until(async () => (await look()).length === 1, 'the line of systemd');
      expect((await look()).join()).toMatch(/doomed\.service: Main process exited, code=exited, status=3/);
    });

    test('a program whose file was removed underneath is seen without power, with its unit', async () => {
      const look = watcher(process_, 'plain', {});
      expect(await look()).toEqual([]);
      await host.run('cp /bin/sleep /opt/doomed; systemd-run --quiet --unit=zombie-package /opt/doomed 300; sleep 0.3');
      const named = watcher(process_, 'plain', { name: 'doomed', atMost: 1, memory: { warning: 500 } });
      expect(await named()).toEqual([]);
      await host.run('rm /opt/doomed');
      const gone = expect.stringMatching(/^critical package-gone: \/opt\/doomed runs/);
      expect(await look()).toEqual([gone]);
      expect(await watcher(process_, 'power', {})()).toEqual([gone]);
      await host.run('systemctl stop zombie-package');
      expect(await look()).toEqual([]);
      expect(await named()).toEqual([expect.stringMatching(/^critical process-missing: 0 of doomed run/)]);
    });

    test('files and mounts', async () => {
      await host.run(
        'mkdir -p /srv/backup /srv/empty; touch -d "2 days ago" /srv/backup/db.gz; mount --bind /srv/empty /srv/empty',
      );
      expect(await watcher(file, 'plain', { path: '/srv/backup/*.gz', newest: '26h' })()).toEqual([
        expect.stringMatching(/^critical file-old: the newest of \/srv\/backup\/\*\.gz is 2d/),
      ]);
      expect(await watcher(file, 'plain', { path: '/root/secret' })()).toEqual([expect.stringMatching(/^unknown/)]);
      expect(await watcher(file, 'power', { path: '/root/secret' })()).toEqual([expect.stringMatching(/^critical/)]);
      expect(await watcher(nfsMount, 'plain', { mounts: [{ path: '/srv/empty', notEmpty: true }] })()).toEqual([
        'critical mount-empty: /srv/empty is empty',
      ]);
      expect(await watcher(luks, 'plain', {})()).toEqual([]);
    });

    test('what changed is told: a unit that failed, a file below /etc, a package, and not our own login', async () => {
      await host.run('echo 1 >/etc/lares-test.conf; systemd-run --quiet --unit=broken sh -c "exit 7"; sleep 0.5');
      await host.run('date "+%F %T upgrade libssl3:amd64 3.0.11 3.0.13" >>/var/log/dpkg.log');
      const [power, plain] = await Promise.all(
        (['power', 'plain'] as const).map((name) =>
          new HostChanges().before(Date.now(), contextOf(name), new AbortController().signal),
        ),
      );
      const lines = power?.flatMap((one) => one.lines).join('\n');
      expect(lines).toMatch(/failed.*broken\.service|broken\.service failed/);
      expect(lines).not.toMatch(/units started: systemd-/);
      expect(lines).toContain('/etc/lares-test.conf');
      expect(lines).toMatch(/libssl3/);
      expect(lines).toMatch(/the system booted/);
      expect(lines).not.toMatch(/root logged in/);
      // Without the journal what files tell is still there.
      expect(plain?.flatMap((one) => one.lines).join('\n')).toContain('/etc/lares-test.conf');
    });
  },
);
