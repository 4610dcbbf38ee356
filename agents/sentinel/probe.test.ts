import { describe, expect, test } from 'vitest';
import { systemClock } from '#agents/runtime/clock.ts';
import { createLog } from '#agents/runtime/log.ts';
import { ConfigSchema } from '#config/schema.ts';
import { hasSshd, startSshd } from '../../test/parts/sshd.ts';
import { createProbes } from './probe.ts';

const log = createLog({ level: 'silent', name: 'test' });
const signal = new AbortController().signal;
const command = { timeoutMs: 10_000, signal };

function probesFor(hosts: object) {
  return createProbes({ config: ConfigSchema.parse({ hosts }), clock: systemClock, log });
}

describe('a probe', () => {
  test('of this machine runs here', async () => {
    const probes = probesFor({ here: { via: 'local' } });
    expect(await probes.runnerFor('here').run(['echo', 'hello'], command)).toMatchObject({
      end: 'exited',
      output: { stdout: 'hello\n' },
    });
    await probes.close();
  });

  test('of a host without a read login says what to configure, even when it may act there', async () => {
    const probes = probesFor({ web: { act: { user: 'root' } } });
    expect(await probes.runnerFor('web').run(['true'], command)).toEqual({
      end: 'unreachable',
      reason: 'host "web" has no read login: set hosts.web.read.user and read.keyFile',
    });
    await probes.close();
  });

  test('of a host that is not configured is unreachable', async () => {
    const probes = probesFor({});
    expect(await probes.runnerFor('nowhere').run(['true'], command)).toMatchObject({ end: 'unreachable' });
    await probes.close();
  });
});

describe.skipIf(!hasSshd)('a probe over SSH (needs openssh-server)', () => {
  test('runs in the C locale and ends on the host itself when its time is up', async () => {
    await using server = await startSshd();
    const { address, port, user, hostKeys, keyFile } = server.target;
    const probes = probesFor({ web: { address, port, hostKeys, read: { user, keyFile } } });
    const runner = probes.runnerFor('web');
    expect(await runner.run(['sh', '-c', 'echo "$LC_ALL" "$1"', 'sh', `a 'b' $(id)`], command)).toMatchObject({
      end: 'exited',
      code: 0,
      output: { stdout: `C a 'b' $(id)\n` },
    });
    expect(await runner.run(['sleep', '30'], { ...command, timeoutMs: 1_000 })).toMatchObject({ end: 'timed-out' });
    await probes.close();
  });
});
