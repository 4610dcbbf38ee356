import { expect, test } from 'vitest';
import type { PlannedProbe } from '#bus/messages/plan.ts';
import { judge, lookAt } from './probe.ts';
import type { Reach } from './reach.ts';

const probe: PlannedProbe = {
  id: 'p',
  host: 'web',
  argv: ['cat', '/state'],
  sudo: false,
  timeoutMs: 1_000,
  success: [0],
  states: 'well',
};
const said = (stdout: string) => ({
  end: 'exited' as const,
  code: 0,
  output: { stdout, stderr: '', truncated: false },
});

test('a host that answers so that an expression runs astray is not known to be well', () => {
  const start = performance.now();
  const seen = judge({ ...probe, matches: String.raw`^(\s*ok\s*)+$` }, said(`${' ok'.repeat(60)}!`));
  expect(seen).toMatchObject({ holds: 'unknown', said: 'its expression takes too long on what came' });
  expect(judge({ ...probe, matchesNot: '^(a+)+$' }, said(`${'a'.repeat(60)}!`)).holds).toBe('unknown');
  expect(performance.now() - start).toBeLessThan(10_000);
});

test('an expression must match, and the other must not', () => {
  expect(judge({ ...probe, matches: '^ok$' }, said('ok\n')).holds).toBe('yes');
  expect(judge({ ...probe, matches: '^ok$', matchesNot: 'k' }, said('ok')).holds).toBe('no');
  expect(judge({ ...probe, matchesNot: 'bad' }, said('bad')).holds).toBe('no');
});

test('what sudo did not run says nothing, and what it ran does', () => {
  const bySudo = { ...probe, sudo: true, success: [1] };
  const ended = (stderr: string) => ({
    end: 'exited' as const,
    code: 1,
    output: { stdout: '', stderr, truncated: false },
  });
  const warning = 'sudo: unable to resolve host web: Name or service not known\n';
  for (const words of [
    'sudo: a password is required\n',
    `${warning}sudo: a password is required\n`,
    'sudo: docker: command not found\n',
    'sudo-rs: interactive authentication is required\n',
  ]) {
    expect(judge(bySudo, ended(words)).holds).toBe('unknown');
    expect(judge({ ...bySudo, sudo: false }, ended(words)).holds).toBe('yes');
  }
  expect(judge(bySudo, ended(warning)).holds).toBe('yes');
  expect(judge(bySudo, ended(`${warning}cat: /state: No such file\n`)).holds).toBe('yes');
});

test('a look that sudo refuses names the line of sudoers that would allow it, for the login of the plan', async () => {
  const reach: Pick<Reach, 'runner'> = {
    runner: () => ({
      run: async (argv) => {
        const isRefused = argv.includes('sudo');
        const output = { stdout: '/usr/bin/cat\n', stderr: '', truncated: false };
        if (!isRefused) return { end: 'exited', code: 0, output };
        return { end: 'exited', code: 1, output: { ...output, stdout: '', stderr: 'sudo: a password is required\n' } };
      },
    }),
  };
  const host = { host: 'p', transport: 'ssh' as const, address: 'p', port: 22, user: 'lares', hostKeys: [] };
  const argv = ['timeout', '15', 'sudo', '-n', 'cat', '/a=b'];
  const by = { reach, signal: new AbortController().signal };
  const [seen] = await lookAt([{ ...probe, host: 'p', sudo: true, argv }], [host], by);
  expect(seen).toMatchObject({
    holds: 'unknown',
    said: String.raw`sudo: a password is required; to allow it, add to sudoers: lares ALL=(root) NOPASSWD: /usr/bin/cat /a\=b`,
  });
});
