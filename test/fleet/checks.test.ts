import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#agents/runtime/clock.ts';
import { createLog } from '#agents/runtime/log.ts';
import type { CheckContext, CheckDefinition, Observation } from '#agents/sentinel/check.ts';
import { check as dockerContainer } from '#agents/sentinel/checks/docker-container.ts';
import { check as hostResources } from '#agents/sentinel/checks/host-resources.ts';
import { check as systemdUnit } from '#agents/sentinel/checks/systemd-unit.ts';
import { check as tcp } from '#agents/sentinel/checks/tcp.ts';
import { createProbes, type Probes } from '#agents/sentinel/probe.ts';
import { type Config, ConfigSchema } from '#config/schema.ts';
import { checkContext } from '../parts/check-context.ts';
import { until } from '../parts/until.ts';
import type { FleetHost } from './host.ts';
import { Lab, labMissing } from './lab.ts';

const missing = await labMissing();
if (missing !== undefined && process.env['LARES_REQUIRE_PARTS'] === '1')
  throw new Error(`The lab is required: ${missing}`);

/** The socket of the dockerd that has a file of this name in its `/run`, seen from outside its container. */
function dockerSocket(marker: string): string {
  const pid = readdirSync('/proc').find((entry) => {
    const comm = `/proc/${entry}/comm`;
    const isDocker = /^\d+$/.test(entry) && existsSync(comm) && readFileSync(comm, 'utf8') === 'dockerd\n';
    return isDocker && existsSync(`/proc/${entry}/root/run/${marker}`);
  });
  return `/proc/${pid}/root/run/docker.sock`;
}

function loopOf(observations: readonly Observation[]): Observation {
  const found = observations.find(({ resource }) => resource === 'loop');
  if (found === undefined) throw new Error('the loop is missing');
  return found;
}

/** The kinds that look at hosts, over SSH with a login without power, at real systemd, disks and Docker. */
describe.skipIf(missing !== undefined)(
  `checks on real hosts${missing === undefined ? '' : ` (SKIPPED: ${missing})`}`,
  () => {
    let lab: Lab;
    let plain: FleetHost;
    let docker: FleetHost;
    let probes: Probes;
    let config: Config;

    beforeAll(async () => {
      lab = await Lab.open();
      const booted = await lab.boot(
        { name: 'plain', number: 21, disk: '64M' },
        { name: 'docker', number: 22, services: true, nesting: true },
      );
      const [first, second] = booted;
      if (first === undefined || second === undefined) throw new Error('the hosts did not boot');
      [plain, docker] = [first, second];
      const hosts: Record<string, object> = {};
      for (const host of booted) {
        const read = { user: host.name === 'docker' ? 'root' : 'lares', keyFile: lab.keyFile };
        hosts[host.name] = { address: host.address, hostKeys: [await host.hostKey()], read };
      }
      config = ConfigSchema.parse({ hosts });
      probes = createProbes({ config, clock: systemClock, log: createLog({ level: 'silent', name: 'test' }) });
    }, 240_000);
    afterAll(async () => {
      await probes?.close();
      await lab?.[Symbol.asyncDispose]();
    }, 60_000);

    function watcher(
      kind: CheckDefinition,
      host: FleetHost,
      options: { via?: 'local'; [option: string]: unknown } = {},
    ) {
      const { via, ...own } = options;
      const hostConfig = config.hosts[host.name];
      if (hostConfig === undefined) throw new Error('not configured');
      const context: CheckContext = checkContext({
        host: { name: host.name, config: { ...hostConfig, ...(via !== undefined && { via }) } },
        probe: probes.runnerFor(host.name),
      });
      const parsed = kind.options.parse(own);
      return {
        look: () => kind.observe(parsed, context),
        evidence: (observation: Observation) => kind.evidence.gather(parsed, context, observation),
      };
    }

    function bad(observations: readonly Observation[]): string[] {
      return observations.flatMap(({ condition, resource, reading }) => {
        if (reading.is === 'unknown') return [`unknown ${condition} ${resource}: ${reading.reason}`];
        if (reading.is === 'state') return reading.ok ? [] : [`${condition} ${resource}`];
        if (reading.is === 'asleep') return [`asleep ${condition} ${resource}`];
        const { warning, value } = reading;
        const isBad =
          warning !== undefined && (reading.bad === 'above' ? value >= warning.trigger : value <= warning.trigger);
        return isBad ? [`${condition} ${resource}`] : [];
      });
    }

    test('a fresh host is well, and its port answers', async () => {
      expect(bad(await watcher(systemdUnit, plain).look())).toEqual([]);
      expect(
        bad(await watcher(hostResources, plain).look()).filter((text) => !text.includes('security-updates')),
      ).toEqual([]);
      const ssh = watcher(tcp, plain, { address: plain.address, port: 22, expect: '^SSH-2', condition: 'port-closed' });
      expect(bad(await ssh.look())).toEqual([]);
    });

    test('a disk that fills is told, and so is the folder that fills it', async () => {
      const { look, evidence } = watcher(hostResources, plain);
      await plain.run('mkdir -p /var/fat; dd if=/dev/zero of=/var/fat/file bs=1M count=60; true');
      const found = (await look()).find(({ condition }) => condition === 'filesystem-full');
      expect(found && bad([found])).toEqual(['filesystem-full /']);
      const titles = found === undefined ? [] : (await evidence(found)).map(({ title }) => title);
      expect(titles).toContain('Largest folders (KiB)');
      await plain.run('rm -rf /var/fat');
      expect(bad(await look()).filter((text) => text.startsWith('filesystem'))).toEqual([]);
    });

    test('a unit that fails is told with its status and the end of its journal', async () => {
      await plain.run('systemd-run --unit=doomed sh -c "echo I am done for; exit 3"; sleep 1; true');
      await until(
        async () => (await plain.run('systemctl is-failed doomed || true')).trim() === 'failed',
        'the failure',
      );
      const { look, evidence } = watcher(systemdUnit, plain);
      const found = (await look()).find(({ resource }) => resource === 'doomed.service');
      expect(found?.summary).toBe('doomed.service is failed (exit-code, status 3)');
      const lines = found === undefined ? [] : (await evidence(found)).flatMap((one) => one.lines);
      expect(lines).toContain('Result=exit-code');
      await plain.run('systemctl reset-failed doomed');
      expect(bad(await look())).toEqual([]);
    });

    test('a service that runs on after its unit was removed', async () => {
      const { look } = watcher(systemdUnit, plain);
      const unit = String.raw`[Service]\nExecStart=/bin/sleep 600\n`;
      await plain.run(
        `printf '${unit}' >/etc/systemd/system/gone.service; systemctl daemon-reload; systemctl start gone`,
      );
      expect(bad(await look())).toEqual([]);
      await plain.run('rm /etc/systemd/system/gone.service; systemctl daemon-reload');
      expect(bad(await look())).toEqual(['unit-removed gone.service']);
      await plain.run('systemctl stop gone');
      expect(bad(await look())).toEqual([]);
    });

    test('a unit that starts again and again is told while it is active', async () => {
      const { look } = watcher(systemdUnit, plain);
      await look();
      await plain.run(
        'systemd-run --unit=flap -p Restart=always -p RestartSec=100ms -p StartLimitIntervalSec=0 sleep 0.2',
      );
      let found: string[] = [];
      const isSeen = async (): Promise<boolean> => (found = bad(await look())).includes('unit-restarting flap.service');
      await until(isSeen, 'the loop', 30_000);
      expect(found).toEqual(['unit-restarting flap.service']);
      await plain.run('systemctl stop flap');
    });

    test('a named unit that stops, and one that never was', async () => {
      const { look } = watcher(systemdUnit, plain, { units: ['cron', 'never-was'] });
      const before = bad(await look());
      expect(before).toEqual([
        'unknown unit-failed never-was.service: there is no unit "never-was.service": check its name',
      ]);
      await plain.run('systemctl stop cron');
      expect(bad(await look())).toContain('unit-failed cron.service');
      await plain.run('systemctl start cron');
      expect(bad(await look())).toEqual(before);
    });

    test('a cut host is down until it is back', async () => {
      const reach = watcher(tcp, plain, {
        address: plain.address,
        port: 22,
        condition: 'host-down',
        giveUpAfter: '2s',
      });
      await plain.fault('cut');
      expect(bad(await reach.look())).toEqual([`host-down ${plain.address}:22`]);
      await plain.heal();
      expect(bad(await reach.look())).toEqual([]);
    });

    test('containers of a real engine: stopped, unhealthy, looping; by its command and by its socket', async () => {
      await docker.run('systemctl is-active docker || systemctl start docker');
      await until(
        async () => (await docker.run('docker info >/dev/null 2>&1 && echo up || true')).includes('up'),
        'dockerd',
        60_000,
      );
      await docker.run(
        'mkdir -p /tmp/bb/bin && cp /bin/busybox /tmp/bb/bin && ln -sf busybox /tmp/bb/bin/sh && tar -C /tmp/bb -c . | docker import - bb:1',
      );
      const run = 'docker run -d --network none';
      await docker.run(`${run} --name web --restart unless-stopped bb:1 /bin/busybox sleep 1000`);
      await docker.run(
        `${run} --name sick --health-cmd 'exit 1' --health-interval 1s --health-retries 1 bb:1 /bin/busybox sleep 1000`,
      );
      const { look, evidence } = watcher(dockerContainer, docker);
      await look();
      await until(async () => bad(await look()).includes('container-unhealthy sick'), 'the health check', 30_000);
      await docker.run(`${run} --name loop --restart always bb:1 /bin/busybox sh -c "/bin/busybox echo dying; exit 7"`);
      await until(async () => bad(await look()).includes('container-restarting loop'), 'the loop', 30_000);
      await docker.run('docker stop -t 1 web');
      const found = await look();
      const stopped = found.find(({ condition, resource }) => condition === 'container-down' && resource === 'web');
      expect(stopped?.summary).toMatch(/^web was stopped by hand \(exited with (?:137|143)\)$/);
      const loop = found.find(({ condition }) => condition === 'container-restarting');
      const lines = loop === undefined ? [] : (await evidence(loop)).flatMap((one) => one.lines);
      expect(lines.some((line) => line.endsWith('dying'))).toBe(true);

      // The same engine at its socket, as a sentinel on that host would ask it.
      const marker = `lares-${randomUUID()}`;
      await docker.run(`touch /run/${marker}`);
      const atSocket = watcher(dockerContainer, docker, { socket: dockerSocket(marker), via: 'local' });
      const asked = await atSocket.look();
      expect(asked.map(({ resource }) => resource)).toEqual(expect.arrayContaining(['web', 'sick', 'loop']));
      const sick = asked.find(({ condition }) => condition === 'container-unhealthy');
      expect(sick?.reading).toMatchObject({ is: 'state', ok: false });
      const log = (await atSocket.evidence(loopOf(asked))).flatMap((one) => one.lines);
      expect(log.some((line) => line.endsWith('Z dying'))).toBe(true);
    });
  },
);
