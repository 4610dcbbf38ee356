import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SshFault, startSshHost } from '../../test/parts/ssh-host.ts';
import { hasSshd, lacksSshd, type Sshd, startSshd } from '../../test/parts/sshd.ts';
import { systemClock } from './clock.ts';
import type { CommandEnd, CommandOptions } from './command.ts';
import { createLog } from './log.ts';
import { createSshPool } from './ssh.ts';
import type { SshTarget } from './ssh-connect.ts';
import { scanHostKey } from './ssh-host-key.ts';

const options = (over: Partial<CommandOptions> = {}): CommandOptions => ({
  timeoutMs: 60_000,
  signal: new AbortController().signal,
  ...over,
});

function openPool() {
  const pool = createSshPool({ log: createLog({ level: 'silent', name: 'test' }), clock: systemClock });
  return { ...pool, [Symbol.asyncDispose]: () => pool.close() };
}

async function once(target: SshTarget, argv: readonly string[], over: Partial<CommandOptions> = {}) {
  await using pool = openPool();
  return await pool.runner(target).run(argv, options(over));
}

const reasonOf = (end: CommandEnd): string => ('reason' in end ? end.reason : end.end);

/** Resolves when the file is there: what the remote side has done so far. */
async function appears(file: string): Promise<void> {
  while (!existsSync(file)) await systemClock.sleep(20);
}

describe.skipIf(!hasSshd)(`against a real OpenSSH server${lacksSshd}`, () => {
  let sshd: Sshd;
  beforeAll(async () => {
    sshd = await startSshd();
  });
  afterAll(async () => sshd[Symbol.asyncDispose]());

  it('keeps exit status and both streams apart', async () => {
    const end = await once(sshd.target, ['sh', '-c', 'echo out; echo err >&2; exit 3']);
    expect(end).toEqual({ end: 'exited', code: 3, output: { stdout: 'out\n', stderr: 'err\n', truncated: false } });
  });

  it('a command that kills itself is killed, not failed', async () => {
    const ended = await once(sshd.target, ['sh', '-c', 'kill -KILL $$']);
    // A login shell that stays above its command, as dash does, reports the signal in its own exit status.
    const asStatus = ended.end === 'exited' && ended.code === 137;
    expect(asStatus || (ended.end === 'killed' && ended.signal === 'SIGKILL')).toBe(true);
  });

  it('any argument arrives byte for byte', async () => {
    await using pool = openPool();
    const runner = pool.runner(sshd.target);
    const argument = fc.string({ unit: 'grapheme', maxLength: 60 }).map((text) => text.replaceAll('\0', ''));
    const nasty = fc.constantFrom("'", '"', '$(id)', '`id`', '\\', '\n', '!', '*', '~', '-n', '', ';', '&', '\r', '\t');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(argument, nasty), { minLength: 1, maxLength: 8 }), async (values) => {
        const end = await runner.run(['printf', '%s\\0', ...values], options());
        expect(end).toMatchObject({ end: 'exited', code: 0 });
        // A lone surrogate has no UTF-8 form; what a process is given is U+FFFD.
        const expected = values.map((value) => `${value.toWellFormed()}\0`).join('');
        expect('output' in end && end.output.stdout).toBe(expected);
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  it('thirty commands at once share one connection and all of them run', async () => {
    await using pool = openPool();
    const runner = pool.runner(sshd.target);
    const ends = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        runner.run(['sh', '-c', 'echo "$SSH_CONNECTION" "$0"', String(index)], options()),
      ),
    );
    const lines = ends.map((end) => ('output' in end ? end.output.stdout.trim() : reasonOf(end)));
    expect(lines.map((line) => line.split(' ').at(-1))).toEqual(
      Array.from({ length: 30 }, (_, index) => String(index)),
    );
    expect(new Set(lines.map((line) => line.split(' ')[1])).size).toBe(1);
  });

  it('a flood of output is cut in the middle and costs no memory', async () => {
    const end = await once(sshd.target, ['sh', '-c', 'echo first; yes | head -c 20000000; echo last'], {
      maximumOutputBytes: 4_000,
    });
    const output = 'output' in end ? end.output : undefined;
    expect(output?.truncated).toBe(true);
    expect(output?.stdout.length).toBeLessThan(5_000);
    expect(output?.stdout.startsWith('first\n')).toBe(true);
    expect(output?.stdout.endsWith('last\n')).toBe(true);
  });

  it('an end of its own time is timed out, with what came so far', async () => {
    const end = await once(sshd.target, ['sh', '-c', 'echo begun; exec sleep 20'], { timeoutMs: 6_000 });
    expect(end).toMatchObject({ end: 'timed-out', afterMs: 6_000, output: { stdout: 'begun\n' } });
  });

  it('an aborted command rejects with the reason and leaves the connection to the others', async () => {
    await using pool = openPool();
    const runner = pool.runner(sshd.target);
    const controller = new AbortController();
    const flag = join(sshd.folder, 'aborted-begun');
    const ended = runner.run(['sh', '-c', ': >"$0"; exec sleep 20', flag], options({ signal: controller.signal }));
    const other = runner.run(['sh', '-c', 'sleep 1; echo other'], options());
    await appears(flag);
    controller.abort(new Error('frozen'));
    await expect(ended).rejects.toThrow('frozen');
    expect(await other).toMatchObject({ end: 'exited', output: { stdout: 'other\n' } });
  });

  it('a connection that dies under a command makes it lost, never failed', async () => {
    await using pool = openPool();
    const flag = join(sshd.folder, 'lost-begun');
    const ended = pool.runner(sshd.target).run(['sh', '-c', ': >"$0"; exec sleep 20', flag], options());
    await appears(flag);
    sshd.killSessions();
    expect(await ended).toMatchObject({ end: 'lost' });
    expect(await pool.runner(sshd.target).run(['true'], options())).toMatchObject({ end: 'exited', code: 0 });
  });

  it('a background child that holds the streams does not hold the command', async () => {
    const end = await once(sshd.target, ['sh', '-c', 'sleep 15 & echo done']);
    expect(end).toMatchObject({ end: 'exited', code: 0, output: { stdout: 'done\n' } });
  });

  it('without a pinned key nothing is sent, and the reason says what to write', async () => {
    const end = await once({ ...sshd.target, hostKeys: [] }, ['true']);
    expect(end.end).toBe('unreachable');
    expect(reasonOf(end)).toContain(`hostKeys: ["${sshd.target.hostKeys[0]}"]`);
  });

  it('a wrong login key is unreachable and is not tried again at once', async () => {
    const other = join(sshd.folder, 'stranger');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', other]);
    await using pool = openPool();
    const runner = pool.runner({ ...sshd.target, keyFile: other });
    expect(reasonOf(await runner.run(['true'], options()))).toContain('authentication');
    execFileSync('cp', [sshd.keyFile, other]);
    expect((await runner.run(['true'], options())).end).toBe('unreachable');
  });

  it('an encrypted key opens with its passphrase file, and a missing passphrase names the file only', async () => {
    const keyFile = join(sshd.folder, 'encrypted');
    const passphraseFile = join(sshd.folder, 'passphrase');
    writeFileSync(passphraseFile, 'correct horse\n');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'correct horse', '-f', keyFile]);
    const allowed = join(sshd.folder, 'authorized_keys');
    writeFileSync(allowed, readFileSync(allowed, 'utf8') + readFileSync(`${keyFile}.pub`, 'utf8'));
    expect(await once({ ...sshd.target, keyFile, passphraseFile }, ['true'])).toMatchObject({ end: 'exited', code: 0 });
    expect(reasonOf(await once({ ...sshd.target, keyFile }, ['true']))).toContain(keyFile);
  });

  it('scanning tells the fingerprint that pinning wants', async () => {
    expect(await scanHostKey('127.0.0.1', sshd.target.port, AbortSignal.timeout(20_000))).toEqual(sshd.target.hostKeys);
  });
});

describe.skipIf(!hasSshd)(`odd servers${lacksSshd}`, () => {
  it('a host whose key changed gets nothing, and says both keys', async () => {
    await using sshd = await startSshd();
    const before = sshd.target;
    await sshd.changeHostKey();
    const end = await once(before, ['sh', '-c', ': >"$0"', join(sshd.folder, 'touched')]);
    expect(end.end).toBe('unreachable');
    expect(reasonOf(end)).toContain(`shows ${sshd.target.hostKeys[0]}, pinned is ${before.hostKeys[0]}`);
    expect(existsSync(join(sshd.folder, 'touched'))).toBe(false);
  });

  it('a server that allows two sessions still runs twelve commands, two at a time', async () => {
    await using sshd = await startSshd(['MaxSessions 2']);
    await using pool = openPool();
    const runner = pool.runner(sshd.target);
    const ends = await Promise.all(Array.from({ length: 12 }, () => runner.run(['sleep', '0.1'], options())));
    expect(ends.map((end) => end.end)).toEqual(Array.from({ length: 12 }, () => 'exited'));
  });

  it('a port where nobody listens, and one where nobody speaks, are unreachable', async () => {
    await using sshd = await startSshd();
    const silent = createServer((socket) => socket.on('error', () => socket.destroy()));
    const { promise, resolve } = Promise.withResolvers<void>();
    silent.listen(0, '127.0.0.1', resolve);
    await promise;
    const address = silent.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    const mute = await once({ ...sshd.target, port }, ['true'], { timeoutMs: 1_500 });
    expect(mute.end).toBe('unreachable');
    silent.close();
    expect(reasonOf(await once({ ...sshd.target, port: 1 }, ['true']))).toContain('ECONNREFUSED');
    await expect(scanHostKey('127.0.0.1', 1, AbortSignal.timeout(20_000))).rejects.toThrow('ECONNREFUSED');
  });
});

describe('a server with faults (tier 2)', () => {
  it('each fault is told as what it is', async () => {
    await using host = await startSshHost();
    const endOf = async (fault: SshFault, argv = ['true']): Promise<CommandEnd> => {
      host.fault = fault;
      // Long enough for a login on a busy machine.
      return await once(host.target, argv, { timeoutMs: 5_000 });
    };
    expect(await endOf('none', ['echo', 'a b'])).toMatchObject({ end: 'exited', code: 0, output: { stdout: 'a b\n' } });
    expect(host.received).toEqual(["echo 'a b'"]);
    expect((await endOf('closes-after-login')).end).toBe('unreachable');
    expect(reasonOf(await endOf('refuses-logins'))).toContain('authentication');
    expect((await endOf('refuses-channels')).end).toBe('unreachable');
    expect(await endOf('hangs')).toMatchObject({ end: 'timed-out' });
    expect((await endOf('drops-in-command', ['sleep', '5'])).end).toBe('lost');
    expect((await endOf('no-exit-status')).end).toBe('lost');
    expect(host.received).toHaveLength(4);
  });

  it('a hundred commands cost one connection and one login', async () => {
    await using host = await startSshHost();
    await using pool = openPool();
    const runner = pool.runner(host.target);
    const ends = await Promise.all(Array.from({ length: 100 }, () => runner.run(['true'], options())));
    expect(ends.every(({ end }) => end === 'exited')).toBe(true);
    expect(host.connections()).toBe(1);
  });
});
