import { execFileSync } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { firstPacket, identification, packetOf, readOffers, wireInteger } from '#agents/sentinel/probes/ssh-wire.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { freePort } from '../../../test/parts/free-port.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { hasSshd, lacksSshd, startSshd } from '../../../test/parts/sshd.ts';
import { startSshHost } from '../../../test/parts/ssh-host.ts';
import { until } from '../../../test/parts/until.ts';
import { startTcpTarget } from '../../../test/parts/tcp-target.ts';
import { check } from './ssh-banner.ts';

kindContract(check, (port) => ({ address: '127.0.0.1', port }));

function look(port: number, more: object = {}, context = checkContext()): Promise<Observation[]> {
  return check.observe(check.options.parse({ address: '127.0.0.1', port, giveUpAfter: '3s', ...more }), context);
}

function of(condition: string, found: readonly Observation[]): Observation {
  const one = found.find((observation) => observation.condition === condition);
  if (one === undefined) throw new Error(`no ${condition} in ${JSON.stringify(found)}`);
  return one;
}

describe.skipIf(!hasSshd)(`OpenSSH${lacksSshd}`, () => {
  test('a pinned host key of each family is found, shown and proven', async () => {
    await using sshd = await startSshd();
    const extra = ['ecdsa', 'rsa'].map((type) => {
      const file = join(sshd.folder, `extra-${type}`);
      execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', file]);
      return { file, fingerprint: execFileSync('ssh-keygen', ['-lf', file], { encoding: 'utf8' }).split(' ')[1] ?? '' };
    });
    await using many = await startSshd(extra.map(({ file }) => `HostKey ${file}`));
    const pins = [...many.target.hostKeys, ...extra.map(({ fingerprint }) => fingerprint)];
    for (const pin of pins) {
      const found = await look(many.target.port, { hostKeys: [pin] });
      expect(of('ssh-host-key-changed', found)).toMatchObject({
        reading: { is: 'state', ok: true },
        summary: expect.stringContaining(`shows its host key ${pin}`),
      });
    }
    const [first] = await look(many.target.port);
    expect(first).toMatchObject({ condition: 'ssh-down', reading: { ok: true } });
    expect(first?.summary).toMatch(/greets with "SSH-2\.0-OpenSSH_[\d.]+p\d.*" in \d+ ms$/);
  });

  test('another host key is critical: pinned, of the inventory, or other than the first seen', async () => {
    await using sshd = await startSshd();
    const { port, hostKeys } = sshd.target;
    const context = checkContext();
    const host = { name: 'web', config: { address: '127.0.0.1', hostKeys } } as never;
    expect(of('ssh-host-key-changed', await look(port, {}, context)).reading).toMatchObject({ ok: true });
    await sshd.changeHostKey();
    const changed = { reading: { is: 'state', ok: false, severity: 'critical' } };
    const fromFirst = of('ssh-host-key-changed', await look(port, {}, context));
    expect(fromFirst).toMatchObject(changed);
    expect(fromFirst.summary).toContain(`known is ${hostKeys[0]}`);
    expect(of('ssh-host-key-changed', await look(port, { hostKeys }))).toMatchObject(changed);
    expect(of('ssh-host-key-changed', await look(port, {}, checkContext({ host })))).toMatchObject(changed);
    const options = check.options.parse({ address: '127.0.0.1', port });
    const [difference] = await check.evidence.gather(options, context, fromFirst);
    expect(difference?.lines.join('\n')).toMatch(
      /last greeting: SSH-2.*\nknown host keys: .*\ngreeting now: .*\nhost key now: SHA256:/,
    );
  });

  test('methods of login are asked for, and nobody logs in', async () => {
    await using open = await startSshd(['PasswordAuthentication yes', 'LogLevel VERBOSE']);
    await using closed = await startSshd(['KbdInteractiveAuthentication no']);
    const refuseLogins = ['password', 'keyboard-interactive'];
    const { user } = open.target;
    const more = { refuseLogins, loginUser: user };
    expect(of('ssh-login-unwanted', await look(open.target.port, more))).toMatchObject({
      reading: { is: 'state', ok: false, severity: 'warning' },
      summary: expect.stringMatching(
        new RegExp(`offers ${user} a login by publickey, password(, keyboard-interactive)?; password.* should be off$`),
      ),
    });
    expect(of('ssh-login-unwanted', await look(closed.target.port, more))).toMatchObject({
      reading: { is: 'state', ok: true },
      summary: `127.0.0.1:${closed.target.port} offers ${user} a login by publickey`,
    });
    await until(() => open.log().includes(`authenticating user ${user}`), 'the line of the server');
    expect(open.log()).not.toMatch(/Failed|Invalid|Accepted/);
    const unasked = await look(open.target.port);
    expect(unasked.map(({ condition }) => condition)).not.toContain('ssh-login-unwanted');
  });

  test('a copy of the right host key without its private part is critical', async () => {
    await using sshd = await startSshd();
    await using impostor = await startTcpTarget((socket) => {
      const behind = connect({ host: '127.0.0.1', port: sshd.target.port });
      behind.on('error', () => socket.destroy());
      socket.on('data', (chunk) => behind.write(chunk)).on('close', () => behind.destroy());
      behind.on('data', (chunk: Buffer) => {
        const isReply = chunk[5] === 31;
        const at = chunk.lastIndexOf('ssh-ed25519') + 20;
        if (isReply) chunk[at] = (chunk[at] ?? 0) ^ 1;
        socket.write(chunk);
      });
    });
    const found = of('ssh-host-key-changed', await look(impostor.port, { hostKeys: sshd.target.hostKeys }));
    expect(found).toMatchObject({ reading: { is: 'state', ok: false, severity: 'critical' } });
    expect(found.summary).toContain('does not prove that it is its own');
  });

  test('what is broken is told where it is offered, and only there', async () => {
    await using good = await startSshd();
    await using weak = await startSshd(['KexAlgorithms +diffie-hellman-group14-sha1', 'Ciphers +3des-cbc']);
    expect(of('ssh-weak-algorithms', await look(good.target.port))).toMatchObject({
      reading: { ok: true },
      summary: expect.stringMatching(/offers \d+ algorithms, none of them refused$/),
    });
    const found = of('ssh-weak-algorithms', await look(weak.target.port));
    expect(found).toMatchObject({ reading: { ok: false, severity: 'warning' } });
    expect(found.summary).toMatch(/diffie-hellman-group14-sha1, 3des-cbc$/);
  });

  test('software is compared with what is expected', async () => {
    await using sshd = await startSshd();
    const { port } = sshd.target;
    expect(of('ssh-software-unexpected', await look(port, { software: '^OpenSSH_' })).reading).toMatchObject({
      ok: true,
    });
    expect(of('ssh-software-unexpected', await look(port, { software: '^dropbear_' })).reading).toMatchObject({
      ok: false,
    });
  });
});

test('a server of another make, without curve25519 or not, is read as well', async () => {
  await using host = await startSshHost();
  const found = await look(host.target.port, { hostKeys: host.target.hostKeys, strictKex: false });
  expect(of('ssh-host-key-changed', found).reading).toMatchObject({ ok: true });
  expect(host.received).toEqual([]);
});

describe('what is no SSH server that works', () => {
  test.each<[string, string, RegExp]>([
    ['another service', '220 mail.example ESMTP\r\n', /it says "220 mail.example ESMTP", then nothing more/],
    ['an old protocol', 'SSH-1.5-OpenSSH_2.0\r\n', /which is not SSH 2$/],
    ['a greeting and nothing more', 'SSH-2.0-x\r\n', /it says "SSH-2.0-x", then nothing more within 300ms$/],
    ['a greeting and garbage', `SSH-2.0-x\r\n${'\xff'.repeat(40)}`, /then bytes that are no SSH$/],
  ])('%s', async (_what, says, words) => {
    await using target = await startTcpTarget((socket) => socket.write(Buffer.from(says, 'latin1')));
    const [first, ...others] = await look(target.port, { giveUpAfter: '300ms' });
    expect(first).toMatchObject({ condition: 'ssh-down', reading: { is: 'state', ok: false, severity: 'critical' } });
    expect(first?.summary).toMatch(words);
    expect(others).toEqual([]);
  });

  test('a closed port, and what else answers there', async () => {
    const port = await freePort();
    const [first] = await look(port);
    expect(first).toMatchObject({ reading: { ok: false }, summary: expect.stringMatching(/connection refused$/) });
    if (first === undefined) return;
    const evidence = await check.evidence.gather(
      check.options.parse({ address: '127.0.0.1', port }),
      checkContext(),
      first,
    );
    const nearby = evidence.find(({ title }) => title.startsWith('What else'));
    expect(nearby?.lines).toContain(`port ${port}: connection refused`);
  });
});

describe('the wire', () => {
  test('lines before the identification are allowed', () => {
    const heard = Buffer.from('Welcome\r\nto this\r\nSSH-2.0-dropbear_2022.83\r\nrest');
    expect(identification(heard)).toEqual({ line: 'SSH-2.0-dropbear_2022.83', rest: Buffer.from('rest') });
  });

  test('a payload comes back from its packet', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 3_000 }),
        fc.uint8Array({ maxLength: 30 }),
        (bytes, more) => {
          const packet = packetOf(Buffer.from(bytes));
          expect(packet.length % 8).toBe(0);
          const rest = Buffer.from(more);
          expect(firstPacket(Buffer.concat([packet, rest]))).toEqual({ payload: Buffer.from(bytes), rest });
        },
      ),
    );
  });

  test('any bytes are read within bounds', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const heard = Buffer.from(bytes);
        identification(heard);
        firstPacket(heard);
        expect((readOffers(Buffer.concat([Buffer.from([20]), heard]))?.kex ?? []).length).toBeLessThanOrEqual(200);
      }),
    );
  });

  test('integers have no needless zero and never look negative', () => {
    expect(wireInteger(Buffer.from([0, 0, 0x80]))).toEqual(Buffer.from([0, 0, 0, 2, 0, 0x80]));
    expect(wireInteger(Buffer.from([0, 1]))).toEqual(Buffer.from([0, 0, 0, 1, 1]));
  });
});

test('a server that asks for nothing lets anybody in, which is critical', async () => {
  await using host = await startSshHost();
  const more = { refuseLogins: ['password'], loginUser: 'lares' };
  expect(of('ssh-login-unwanted', await look(host.target.port, more))).toMatchObject({
    reading: { is: 'state', ok: true },
    summary: `127.0.0.1:${host.target.port} offers lares a login by publickey`,
  });
  host.fault = 'lets-anybody-in';
  expect(of('ssh-login-unwanted', await look(host.target.port, more))).toMatchObject({
    reading: { is: 'state', ok: false, severity: 'critical' },
    summary: `127.0.0.1:${host.target.port} lets lares in without any proof`,
  });
  host.fault = 'hangs-in-login';
  expect(of('ssh-login-unwanted', await look(host.target.port, { ...more, giveUpAfter: '300ms' })).reading).toEqual({
    is: 'unknown',
    reason: 'it did not tell within 300ms',
  });
});

test('a good answer about logins is kept for six hours, a bad one is asked for again', async () => {
  await using host = await startSshHost();
  const base = checkContext();
  let now = base.clock.now();
  const context = { ...base, clock: { ...base.clock, now: () => now } };
  const isWell = async (): Promise<unknown> => {
    const found = await look(host.target.port, { refuseLogins: ['password'], loginUser: 'lares' }, context);
    const { reading } = of('ssh-login-unwanted', found);
    return reading.is === 'state' ? reading.ok : reading.is;
  };
  expect(await isWell()).toBe(true);
  host.fault = 'offers-passwords';
  now += 5 * 3_600_000;
  expect(await isWell()).toBe(true);
  now += 2 * 3_600_000;
  expect(await isWell()).toBe(false);
  host.fault = 'none';
  expect(await isWell()).toBe(true);
});
