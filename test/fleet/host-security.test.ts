import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#agents/runtime/clock.ts';
import { createLog } from '#agents/runtime/log.ts';
import type { CheckDefinition, Observation } from '#agents/sentinel/check.ts';
import { check as accounts } from '#agents/sentinel/checks/accounts.ts';
import { check as aptUpdates } from '#agents/sentinel/checks/apt-updates.ts';
import { check as authFailures } from '#agents/sentinel/checks/auth-failures.ts';
import { check as firewall } from '#agents/sentinel/checks/firewall.ts';
import { check as listeningPorts } from '#agents/sentinel/checks/listening-ports.ts';
import { check as suidFiles } from '#agents/sentinel/checks/suid-files.ts';
import { check as systemdTimer } from '#agents/sentinel/checks/systemd-timer.ts';
import { createProbes, type Probes } from '#agents/sentinel/probe.ts';
import { type Config, ConfigSchema } from '#config/schema.ts';
import { checkContext } from '../parts/check-context.ts';
import { namedProblems } from '../parts/problems.ts';
import { until } from '../parts/until.ts';
import type { FleetHost } from './host.ts';
import { Lab, labMissing } from './lab.ts';

const missing = await labMissing();
if (missing !== undefined && process.env['LARES_REQUIRE_PARTS'] === '1')
  throw new Error(`The lab is required: ${missing}`);

/** A package of one file, one configuration file and, when it is said so, a script that fails. */
const buildPackage = `build() {
  rm -rf /tmp/p && mkdir -p /tmp/p/DEBIAN /tmp/p/etc /tmp/p/usr/share/lab
  printf 'Package: %s\\nVersion: %s\\nArchitecture: all\\nMaintainer: lab <lab@example.org>\\nDescription: lab\\n' "$1" "$2" > /tmp/p/DEBIAN/control
  echo "$2" > "/tmp/p/etc/$1.conf"; echo "/etc/$1.conf" > /tmp/p/DEBIAN/conffiles; echo "$2" > "/tmp/p/usr/share/lab/$1"
  [ -z "$3" ] || { printf '#!/bin/sh\\nexit 1\\n' > /tmp/p/DEBIAN/postinst; chmod 755 /tmp/p/DEBIAN/postinst; }
  mkdir -p /srv/repo; dpkg-deb -b /tmp/p "/srv/repo/$1_$2.deb" >/dev/null
}`;

/** A flat repository that calls itself as Debian's security updates do, in place of the ones that no lab reaches. */
const publish = `cd /srv/repo; : > Packages
for deb in *_1.1.deb; do dpkg-deb -f "$deb"; echo "Filename: ./$deb"; echo "Size: $(stat -c %s "$deb")"; echo "SHA256: $(sha256sum "$deb" | cut -d' ' -f1)"; echo; done >> Packages
printf 'Origin: Debian\\nLabel: Debian-Security\\nSuite: oldstable-security\\nVersion: 12\\nCodename: bookworm-security\\nDate: %s\\nSHA256:\\n %s %s Packages\\n' "$(date -Ru)" "$(sha256sum Packages | cut -d' ' -f1)" "$(stat -c %s Packages)" > Release
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*; echo 'deb [trusted=yes] file:/srv/repo ./' > /etc/apt/sources.list; apt-get -q update >/dev/null`;

/** Kinds of patches and security, over SSH as an ordinary user and with the sudoers lines that their options name. */
describe.skipIf(missing !== undefined)(
  `patches and security of a real host${missing === undefined ? '' : ` (SKIPPED: ${missing})`}`,
  () => {
    let lab: Lab;
    let host: FleetHost;
    let probes: Probes;
    let config: Config;

    beforeAll(async () => {
      lab = await Lab.open();
      const [first] = await lab.boot({ name: 'secure', number: 31 });
      if (first === undefined) throw new Error('the host did not boot');
      host = first;
      const read = { user: 'lares', keyFile: lab.keyFile };
      config = ConfigSchema.parse({
        hosts: { secure: { address: host.address, hostKeys: [await host.hostKey()], read } },
      });
      connect();
    }, 240_000);
    afterAll(async () => {
      await probes?.close();
      await lab?.[Symbol.asyncDispose]();
    }, 60_000);

    /** A login has the groups that it had when it began. */
    function connect(): void {
      probes = createProbes({ config, clock: systemClock, log: createLog({ level: 'silent', name: 'test' }) });
    }

    function watcher(kind: CheckDefinition, options: Record<string, unknown> = {}) {
      const hostConfig = config.hosts['secure'];
      if (hostConfig === undefined) throw new Error('not configured');
      const memory = checkContext().memory;
      const context = () =>
        checkContext({ host: { name: 'secure', config: hostConfig }, probe: probes.runnerFor('secure'), memory });
      const parsed = kind.options.parse(options);
      return {
        look: () => kind.observe(parsed, context()),
        problems: async () => namedProblems(await kind.observe(parsed, context())),
        evidence: async (observation: Observation | undefined) =>
          observation === undefined ? [] : kind.evidence.gather(parsed, context(), observation),
      };
    }

    /** The commands of an option's description, as a person copies them into sudoers. */
    async function allow(kind: CheckDefinition): Promise<void> {
      const described = kind.options.shape['sudo']?.description ?? '';
      const commands = [...described.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '').slice(1);
      for (const command of commands) {
        const [program = '', ...rest] = command.split(' ');
        const path = (await host.run(`command -v ${program} || true`)).trim();
        if (path === '') continue;
        const line = `lares ALL=(root) NOPASSWD: ${[path, ...rest].join(' ')}`;
        await host.run(
          `cat >> /etc/sudoers.d/kinds <<'END'\n${line}\nEND\nchmod 440 /etc/sudoers.d/kinds; visudo -cqf /etc/sudoers.d/kinds`,
        );
      }
    }

    test('security updates of a real repository are pending until they are installed', async () => {
      await host.run(
        `${buildPackage}; build lab-tool 1.0; build lab-tool 1.1; dpkg -i /srv/repo/lab-tool_1.0.deb; ${publish}`,
      );
      const { problems, look, evidence } = watcher(aptUpdates, { watch: ['lab-tool'] });
      const before = await look();
      expect(namedProblems(before)).toEqual(['info security-updates packages: 1 security update pending: lab-tool']);
      const lines = (await evidence(before[0])).flatMap((one) => one.lines);
      expect(lines).toContain('Inst lab-tool [1.0] (1.1 Debian-Security:12/oldstable-security [all])');
      await host.run('apt-mark hold lab-tool');
      const held = (await look()).find(({ condition }) => condition === 'updates-pending');
      expect(held?.summary).toContain('held back: lab-tool');
      await host.run('apt-mark unhold lab-tool; DEBIAN_FRONTEND=noninteractive apt-get -qy upgrade');
      expect(await problems()).toEqual([]);
    });

    test('a removed package whose configuration is left, a half-configured one and a needed reboot are told', async () => {
      const { problems } = watcher(aptUpdates, { watch: ['lab-*'] });
      expect(await problems()).toEqual([]);
      await host.run('apt-get -qy remove lab-tool; touch /run/reboot-required; echo libc6 > /run/reboot-required.pkgs');
      await host.run(`${buildPackage}; build lab-broken 1.0 fails; dpkg -i /srv/repo/lab-broken_1.0.deb || true`);
      expect(await problems()).toEqual([
        'critical packages-broken dpkg: 1 package not fully installed: lab-broken',
        'critical package-removed lab-tool: lab-tool was removed, its configuration is still there; what still runs of it ends with its next restart',
        'info reboot-required system: a reboot is needed to finish updates (libc6)',
      ]);
      await host.run('dpkg -P lab-broken; rm /run/reboot-required*; dpkg -i /srv/repo/lab-tool_1.1.deb');
      expect(await problems()).toEqual([]);
    });

    test('a door that somebody opens is told, with its program where sudo is allowed', async () => {
      await allow(listeningPorts);
      const plain = watcher(listeningPorts);
      const asRoot = watcher(listeningPorts, { sudo: true });
      expect(await plain.problems()).toEqual([]);
      expect(await asRoot.problems()).toEqual([]);
      await host.run('systemd-run -q --unit=door /usr/sbin/sshd -D -p 2222');
      await until(async () => (await plain.problems()).some((text) => text.includes('2222/tcp')), 'the new port');
      const found = (await asRoot.look()).find(({ resource }) => resource === '2222/tcp');
      expect(found).toMatchObject({ condition: 'port-new', labels: { port: '2222', process: 'sshd' } });
      expect((await asRoot.evidence(found)).flatMap(({ lines }) => lines).join('\n')).toContain('door.service');
      await host.run('systemctl stop door');
      expect(await asRoot.problems()).toEqual([]);
    });

    test('a new user, member, key and rule of sudo are told with the sudoers lines of the option, and who did it', async () => {
      const blind = watcher(accounts);
      expect((await blind.problems()).map((text) => text.split(' ', 2)[1])).toEqual([
        'password-empty',
        'sudoers-changed',
        'authorized-key-changed',
      ]);
      await allow(accounts);
      const { problems, look, evidence } = watcher(accounts, { sudo: true });
      expect(await problems()).toEqual([]);
      await host.run(
        `useradd -m -s /bin/bash -G sudo mallory; mkdir -p /home/mallory/.ssh; ssh-keygen -q -t ed25519 -N '' -f /tmp/key -C 'x (RSA)'; cp /tmp/key.pub /home/mallory/.ssh/authorized_keys; chown -R mallory /home/mallory; echo '# x' > /etc/sudoers.d/extra`,
      );
      const found = await look();
      expect(namedProblems(found).map((text) => text.replace(/SHA256:[\w+/]+/g, 'KEY'))).toEqual([
        'warning group-changed sudo/mallory: mallory is newly in group sudo',
        expect.stringMatching(
          /^warning account-changed mallory: account mallory is new \(uid and shell \d+ \/bin\/bash\)$/,
        ),
        'warning sudoers-changed /etc/sudoers.d/extra: /etc/sudoers.d/extra is new (mode 644, owner root)',
        'warning authorized-key-changed /home/mallory/.ssh/authorized_keys KEY: key KEY (ED25519 256) may log in by /home/mallory/.ssh/authorized_keys',
      ]);
      const titles = (await evidence(found.find(({ condition }) => condition === 'account-changed'))).map(
        ({ title }) => title,
      );
      expect(titles).toContain('The files');
      await host.run('passwd -q -d mallory; rm /etc/sudoers.d/extra');
      expect(await problems()).toContain('critical password-empty passwords: without a password: mallory');
    });

    test('guesses at a real sshd are counted by address, and a login after them is told', async () => {
      const { problems } = watcher(authFailures);
      expect((await problems())[0]).toMatch(
        /^unknown login-failures .*add the read login to the group systemd-journal$/,
      );
      await host.run('usermod -aG systemd-journal lares');
      await probes.close();
      connect();
      expect(await problems()).toEqual([]);
      const ssh = 'ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o LogLevel=ERROR';
      await host.run(`for i in $(seq 12); do ${ssh} oracle@127.0.0.1 true; done; true`);
      await until(
        async () => (await problems()).some((text) => text.startsWith('warning login-failures 127.0.0.1')),
        'the guesses',
      );
      await host.run(`${ssh} -i /tmp/key mallory@127.0.0.1 true`);
      let found: string[] = [];
      await until(async () => (found = await problems()).length > 1, 'the login');
      expect(found).toContain(
        'warning login-after-failures 127.0.0.1 mallory: mallory logged in to sshd from 127.0.0.1 by publickey after 12 failures of that address',
      );
    });

    test('a timer that is stopped, or that is overdue, is told', async () => {
      await host.run(
        `printf '[Timer]\\nOnCalendar=hourly\\n[Install]\\nWantedBy=timers.target\\n' > /etc/systemd/system/job.timer; printf '[Service]\\nType=oneshot\\nExecStart=/bin/true\\n' > /etc/systemd/system/job.service; systemctl daemon-reload; systemctl -q enable --now job.timer; systemctl start job.service`,
      );
      const { problems } = watcher(systemdTimer);
      const named = watcher(systemdTimer, { timers: { 'job.timer': '2h', 'gone.timer': '1d' } });
      expect(await problems()).toEqual([]);
      expect(await named.problems()).toEqual([
        'critical timer-missed job.timer: job.timer has not started since it is known',
        'unknown timer-missed gone.timer: there is no timer "gone.timer" loaded: check its name',
      ]);
      await host.run('systemctl stop job.timer');
      expect(await problems()).toEqual([
        'warning timer-inactive job.timer: job.timer is enabled and not active: it starts nothing',
      ]);
    });

    test('a program with the rights of root is told as an ordinary user sees it', async () => {
      const { problems } = watcher(suidFiles);
      expect(await problems()).toEqual([]);
      await host.run('cp /bin/true /usr/local/bin/helper; chmod 4755 /usr/local/bin/helper');
      expect(await problems()).toEqual([
        expect.stringMatching(
          /^critical suid-file-changed \/usr\/local\/bin\/helper: .* is new \(4755 root:root \w+\), of no package$/,
        ),
      ]);
    });

    test('a host without a firewall is told', async () => {
      expect(await watcher(firewall).problems()).toEqual(['critical firewall-off firewall: this host has no firewall']);
    });
  },
);
