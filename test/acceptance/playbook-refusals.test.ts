import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { commandLineOf } from '#agents/runtime/shell.ts';
import { sudoersRule } from '#agents/runtime/sudoers.ts';
import { until } from '../parts/until.ts';
import { approveAsked, type Asked } from './asked.ts';
import type { Play } from './play.ts';
import { story } from './stage.ts';

const logins = ['root', 'lares'] as const;

/** A playbook of a person with one step that takes longer than its time. */
function slowPlaybook(argv: readonly string[]): string {
  return stringify({
    schema: 'lares.playbook/1',
    id: 'slow',
    title: 'Take too long',
    about: 'Made by hand.',
    risk: 'low',
    steps: [{ id: 'act', argv, timeout: '2s' }],
  });
}

/** All characters that systemd allows in the name of a unit (systemd.unit(5)). */
const oddUnits = [String.raw`odd:na_me-1.2\x2dx.service`, String.raw`odd@in\x2dst:1_x.y.service`];

/** What means something in sudoers, in patterns or in both. */
const oddArguments = [
  ['--format={{if .State.Health}}{{.State.Health.Status}}{{end}}', 'a'],
  ['a,b:c=d#e', '#1000', 'ALL,', '!'],
  ['*', '?', '[a-z]', '[!x]', '{}', '+', ';'],
  [String.raw`in\x2dst:1_x.y.service`, String.raw`\*`, String.raw`\\`],
  ['^.*$'],
  ['^', 'a$'],
  ['  two  blanks ', '\ttab\t', 'end'],
  ['"quoted"', "'single'", '$(id)', '`id`', '%h', '@x'],
  ['ä€😀'],
];

story('on a real host', (stage) => {
  const run = (script: string): Promise<string> => stage.host.run(script);

  /** What runs there with exactly this command line. */
  const running = async (command: string): Promise<string> => await run(`pgrep -xf '${command}' || true`);

  async function ask(play: Play, argv: readonly string[]): Promise<Asked> {
    const folder = join(play.lares.folder, 'own');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'slow.yaml'), slowPlaybook(argv));
    return approveAsked(play.lares, 'slow', []);
  }

  const own = { remediation: { playbooks: 'own' } };

  describe.each(logins)('as %s', (login) => {
    const options = { actAs: login, host: { sudo: login !== 'root' } };

    test('protected units are refused by every name that they have', async () => {
      await using play = await stage.play(options);
      await play.start();
      await run(`
printf '[Service]\nExecStart=/bin/sleep 1000\n[Install]\nAlias=ssh-other.service\n' > /etc/systemd/system/plain.service
ln -sf /lib/systemd/system/ssh.service /etc/systemd/system/back-door.service; systemctl daemon-reload`);
      for (const unit of ['ssh', 'ssh.service', 'sshd', 'ssh.socket', 'dbus', 'systemd-journald', 'back-door']) {
        const { plan } = await approveAsked(play.lares, 'restart-systemd-unit', [`unit=${unit}`]);
        expect({ unit, plan }).toMatchObject({
          plan: { status: 'refused', reason: expect.stringMatching(/protected/) as unknown },
        });
      }
      for (const unit of ['poweroff.target', '../ssh', 'a b', '*', 'ssh@.service', '-.mount', '--now']) {
        const { plan } = await approveAsked(play.lares, 'restart-systemd-unit', [`unit=${unit}`]);
        expect({ unit, status: plan.status }).toEqual({ unit, status: 'refused' });
      }
    });

    test('a unit that is not there, whose restart would end with 5, is refused before anything runs', async () => {
      await using play = await stage.play(options);
      await play.start();
      await expect(run('systemctl restart nowhere.service')).rejects.toThrow(/not found/);
      for (const playbook of ['restart-systemd-unit', 'reset-and-start-unit']) {
        const { plan, run: ended } = await approveAsked(play.lares, playbook, ['unit=nowhere']);
        expect({ playbook, plan, ended }).toMatchObject({
          plan: {
            status: 'refused',
            reason: expect.stringMatching(/nowhere\.service is known to systemd \(not-found\)$/) as unknown,
          },
          ended: undefined,
        });
      }
    });

    test('a unit with every odd character of its name is restarted, and no other', async () => {
      const file = (unit: string): string => unit.replace(/@[^.]*.*\.service$/, '@.service');
      for (const unit of oddUnits) {
        await run(`
printf '[Service]\nExecStart=/bin/sleep infinity\n' > '/etc/systemd/system/${file(unit)}'
systemctl daemon-reload; systemctl restart '${unit}'`);
      }
      await using play = await stage.play(options);
      await play.start();
      const pid = (unit: string): Promise<string> => run(`systemctl show -P MainPID -- '${unit}'`);
      for (const unit of oddUnits) {
        const [before, others] = [await pid(unit), await Promise.all(oddUnits.map(pid))];
        const { run: ended } = await approveAsked(play.lares, 'restart-systemd-unit', [`unit=${unit}`]);
        expect(ended).toMatchObject({ end: 'succeeded' });
        expect(await pid(unit)).not.toBe(before);
        expect((await Promise.all(oddUnits.map(pid))).filter((now) => others.includes(now))).toHaveLength(1);
      }
    });
  });

  test('as root a step whose time is up leaves nothing, not even a child in a session of its own', async () => {
    await using play = await stage.play({ config: own });
    await play.start();
    const { run: ended } = await ask(play, ['sh', '-c', 'trap "" TERM; setsid sleep 4001 & sleep 4002']);
    expect(ended).toMatchObject({ end: 'timed-out' });
    expect(ended?.steps[0]?.output).toContain('nothing of it runs any more');
    expect(await running('sleep 400[12]')).toBe('');
  });

  describe('by sudo', () => {
    const bySudo = { actAs: 'lares', host: { sudo: true }, config: own } as const;
    beforeAll(async () => {
      await run(`
printf '#!/usr/bin/perl\n$SIG{TERM} = $SIG{HUP} = "IGNORE"; sleep 9 while 1;\n' > /usr/local/bin/stubborn
chmod +x /usr/local/bin/stubborn
echo 'lares ALL=(root) NOPASSWD: /usr/bin/sleep 4004, /usr/local/bin/stubborn for ever
lares ALL=(root) TIMEOUT=4 NOPASSWD: /usr/local/bin/stubborn for long' > /etc/sudoers.d/lares-slow
chmod 440 /etc/sudoers.d/*; visudo -c`);
    });

    test('a step whose time is up is ended by sudo, which passes the signal on', async () => {
      await using play = await stage.play(bySudo);
      await play.start();
      const { run: ended } = await ask(play, ['sleep', '4004']);
      expect(ended).toMatchObject({ end: 'timed-out' });
      expect(ended?.steps[0]?.output).toContain('nothing of it runs any more');
      expect(await running('sleep 4004')).toBe('');
    });

    test('one that ignores the signal is ended by the time limit in sudoers', async () => {
      await using play = await stage.play(bySudo);
      await play.start();
      const { run: ended } = await ask(play, ['stubborn', 'for', 'long']);
      expect(ended).toMatchObject({ end: 'timed-out' });
      expect(ended?.steps[0]?.output).toContain('nothing of it runs any more');
      expect(await running('.*perl .*stubborn for long')).toBe('');
    });

    test('without a limit it is told as still running, holds its host, and frees it when it has ended', async () => {
      await using play = await stage.play(bySudo);
      await play.start();
      const { run: ended } = await ask(play, ['stubborn', 'for', 'ever']);
      expect(ended).toMatchObject({ end: 'unknown' });
      expect(ended?.steps[0]?.output).toMatch(/^it did not end within 2s; STILL RUNNING:\n/);
      expect(ended?.steps[0]?.output).toMatch(/perl .*stubborn for ever/);
      const other = await approveAsked(play.lares, 'restart-systemd-unit', [`unit=${play.unit}`]);
      expect(other.run).toMatchObject({ end: 'refused', reason: expect.stringContaining('is held by run') as unknown });
      await run('pkill -KILL -xf ".*perl .*stubborn for ever"');
      const isFree = async (): Promise<boolean> =>
        (await approveAsked(play.lares, 'restart-systemd-unit', [`unit=${play.unit}`])).run?.end === 'succeeded';
      await until(isFree, 'the host to be free', 60_000);
    }, 180_000);

    test('what lost its sudo is still known by its command line', async () => {
      await using play = await stage.play(bySudo);
      await play.start();
      const asked = ask(play, ['stubborn', 'for', 'ever']);
      await until(async () => (await running('.*perl .*stubborn for ever')) !== '', 'the step', 30_000);
      await run('pkill -KILL -x sudo; pkill -KILL -x timeout; true');
      const { run: ended } = await asked;
      await run('pkill -KILL -xf ".*perl .*stubborn for ever"; true');
      expect(ended).toMatchObject({ end: 'unknown' });
      expect(ended?.steps[0]?.output).toContain('stubborn for ever');
    }, 180_000);

    test('where the processes of root are hidden, nothing is taken for ended', async () => {
      await using play = await stage.play(bySudo);
      await play.start();
      await run('mount -o remount,hidepid=2 /proc');
      try {
        const { run: ended } = await ask(play, ['stubborn', 'for', 'ever']);
        expect(ended).toMatchObject({ end: 'unknown' });
        expect(ended?.steps[0]?.output).toContain('whether it still runs is not known');
      } finally {
        await run('mount -o remount,hidepid=0 /proc; pkill -KILL -xf ".*perl .*stubborn for ever"; true');
      }
    });

    test('what sudo does not allow is said with the line that allows it, and nothing runs until it stands there', async () => {
      await using play = await stage.play(bySudo);
      await play.start();
      const { run: refused } = await ask(play, ['sleep', '0.25']);
      const rule = 'lares ALL=(root) NOPASSWD: /usr/bin/sleep 0.25';
      expect(refused).toMatchObject({
        end: 'refused',
        reason: `nothing ran: it never started: sudo: a password is required; to allow it, add to sudoers: ${rule}`,
      });
      await run(`echo '${rule}' > /etc/sudoers.d/lares-said; chmod 440 /etc/sudoers.d/lares-said; visudo -c`);
      expect((await ask(play, ['sleep', '0.25'])).run).toMatchObject({ end: 'succeeded' });
      expect((await ask(play, ['sleep', '0.5'])).run).toMatchObject({ end: 'refused' });
      const { plan } = await approveAsked(play.lares, 'restart-docker-container', ['container=shop']);
      // It has no docker, so no line can be named.
      const reason = 'precondition: cannot look on web whether the container shop exists: sudo: a password is required';
      expect(plan).toMatchObject({ status: 'refused', reason });
    });
  });

  test('a line for sudoers allows its command, whatever characters that has, and no other', async () => {
    const commands = oddArguments.map((rest) => ['/usr/bin/echo', ...rest]);
    const rules = commands.map((argv) => sudoersRule('nobody', argv)).join('\n');
    await run(`cat > /etc/sudoers.d/odd <<'END'\n${rules}\nEND\nchmod 440 /etc/sudoers.d/odd; visudo -c`);
    const allowed = async (argv: readonly string[]): Promise<boolean> =>
      (await run(`sudo -l -U nobody -- ${commandLineOf(argv)} >/dev/null 2>&1 && echo yes || true`)) !== '';
    try {
      for (const argv of commands) {
        expect([argv, await allowed(argv)]).toEqual([argv, true]);
        for (const other of [
          [...argv, 'more'],
          [...argv.slice(0, -1), `${argv.at(-1)}x`],
          ['/usr/bin/printf', 'x'],
        ]) {
          expect([other, await allowed(other)]).toEqual([other, false]);
        }
      }
    } finally {
      await run('rm /etc/sudoers.d/odd');
    }
  });
});
