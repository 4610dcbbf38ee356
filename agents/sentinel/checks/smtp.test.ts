import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { type Authority, createAuthority } from '../../../test/parts/certificates.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { canRunPostfix, type Postfix, startPostfix } from '../../../test/parts/postfix.ts';
import { startTcpTarget, type TcpTarget } from '../../../test/parts/tcp-target.ts';
import { problems } from '../../../test/parts/problems.ts';
import { check } from './smtp.ts';

kindContract(check, (port) => ({ address: '127.0.0.1', port }));

async function look(port: number, more: object = {}): Promise<Observation[]> {
  const options = check.options.parse({ address: '127.0.0.1', port, giveUpAfter: '3s', ...more });
  const found = await check.observe(options, checkContext());
  expect(faultsOf(found)).toEqual([]);
  return found;
}

/** Problems and unknowns in words, with the address of the server left out. */
async function problemsOf(port: number, more: object = {}): Promise<string[]> {
  return problems(await look(port, more)).map((words) => words.replaceAll(`127.0.0.1:${port}`, 'SERVER'));
}

describeWith(canRunPostfix ? ['postfix', 'swaks', 'openssl'] : ['root'], 'a Postfix', () => {
  let authority: Authority;
  let postfix: Postfix;
  beforeAll(async () => {
    authority = createAuthority();
    postfix = await startPostfix({ keys: authority.issue({ name: 'mail.lab.test' }) });
  });
  afterAll(async () => {
    await postfix[Symbol.asyncDispose]();
    authority[Symbol.dispose]();
  });

  test('that greets, encrypts and refuses to relay is well', async () => {
    const trusted = { caFile: authority.caFile, tlsName: 'mail.lab.test' };
    const more = { ...trusted, tls: 'required', expect: '^mail\\.lab\\.test ESMTP', refusesRelay: true };
    expect(await problemsOf(postfix.port, more)).toEqual([]);
    const found = await look(postfix.port, more);
    expect(found.map(({ condition }) => condition)).toEqual([
      'smtp-down',
      'starttls-broken',
      'certificate-invalid',
      'certificate-expiring',
      'open-relay',
    ]);
    expect(found.at(-1)?.summary).toMatch(/refuses to relay: 554 5\.7\.1 .*Relay access denied$/);
    expect(await problemsOf(postfix.tlsPort, { ...trusted, tls: 'implicit', refusesRelay: true })).toEqual([]);
  });

  test('that relays for strangers is an open relay', async () => {
    expect(await problemsOf(postfix.openPort, { refusesRelay: true })).toEqual([
      'critical open-relay: SERVER relays mail of strangers for strangers: 250 2.1.5 Ok',
    ]);
  });

  test('a certificate that nobody trusts matters only where TLS is required', async () => {
    expect(await problemsOf(postfix.port)).toEqual([]);
    expect(await problemsOf(postfix.port, { tls: 'required', caFile: authority.caFile })).toEqual([
      'critical certificate-invalid: SERVER: bad certificate: it is for another name: DNS:mail.lab.test',
    ]);
  });

  test('another greeting and a login that is not offered are told', async () => {
    expect(await problemsOf(postfix.port, { expect: 'Exim', auth: ['plain'] })).toEqual([
      'critical smtp-down: SERVER greets otherwise than expected: "mail.lab.test ESMTP Postfix"',
      'warning smtp-auth-missing: SERVER does not offer AUTH plain',
    ]);
  });

  test('what it said is evidence', async () => {
    const context = checkContext();
    const options = check.options.parse({ address: '127.0.0.1', port: postfix.port });
    const [observation] = await check.observe(options, context);
    const [said, certificates] = await check.evidence.gather(options, context, observation as Observation);
    expect(said?.lines).toEqual([
      'greeting: mail.lab.test ESMTP Postfix',
      'STARTTLS: offered',
      'AUTH before TLS: none; after: none',
    ]);
    expect(certificates?.lines[0]).toMatch(/^mail\.lab\.test: 20/);
  });
});

/** A server that says these lines, each after a line of the client, and remembers what it was told. */
async function scripted(replies: readonly string[]): Promise<TcpTarget & { heard: string[] }> {
  const heard: string[] = [];
  const target = await startTcpTarget((socket: Socket) => {
    let next = 1;
    socket.write(replies[0] ?? '');
    socket.on('data', (chunk) => {
      for (const line of chunk.toString().split('\r\n').slice(0, -1)) {
        heard.push(line);
        socket.write(replies[next] ?? '');
        next += 1;
      }
    });
  });
  return Object.assign(target, { heard });
}

describe('a server that', () => {
  test('offers logins without TLS', async () => {
    await using server = await scripted(['220 x\r\n', '250-x\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE\r\n', '221 bye\r\n']);
    expect(await problemsOf(server.port, { refusesAuthInClear: true, auth: ['LOGIN'] })).toEqual([
      'warning smtp-auth-in-clear: SERVER offers AUTH without TLS: PLAIN LOGIN',
    ]);
    expect(server.heard).toEqual(['EHLO [127.0.0.1]', 'QUIT']);
  });

  test('offers no TLS although it is required', async () => {
    await using server = await scripted(['220 x\r\n', '250 x\r\n', '221 bye\r\n']);
    expect(await problemsOf(server.port, { tls: 'required' })).toEqual([
      'critical starttls-broken: SERVER: no TLS: it does not offer STARTTLS',
    ]);
  });

  test('offers TLS and cannot do it', async () => {
    await using server = await scripted([
      '220 x\r\n',
      '250-x\r\n250 STARTTLS\r\n',
      '454 TLS not available\r\n',
      '221 x\r\n',
    ]);
    expect(await problemsOf(server.port)).toEqual([
      'warning starttls-broken: SERVER: no TLS: it answers STARTTLS with 454 TLS not available',
    ]);
    const lines = ['250-x\r\n250 STARTTLS\r\n', '220 go\r\n', 'nonsense\r\n'];
    await using garbler = await startTcpTarget((socket) => {
      socket.write('220 x\r\n');
      socket.on('data', () => socket.write(lines.shift() ?? ''));
    });
    expect((await problemsOf(garbler.port)).join()).toMatch(/^warning starttls-broken: SERVER: no TLS: /);
  });

  test('knows only HELO is greeted the old way', async () => {
    await using server = await scripted(['220-wait\r\n220 x\r\n', '502 what?\r\n', '250 x\r\n', '221 bye\r\n']);
    expect(await problemsOf(server.port)).toEqual([]);
    expect(server.heard).toEqual(['EHLO [127.0.0.1]', 'HELO [127.0.0.1]', 'QUIT']);
  });

  test('is asked for a foreign recipient, never for data', async () => {
    const replies = ['220 x\r\n', '250 x\r\n', '250 ok\r\n', '250 ok\r\n', '250 reset\r\n', '221 bye\r\n'];
    await using server = await scripted(replies);
    expect((await problemsOf(server.port, { refusesRelay: true })).join()).toContain('critical open-relay');
    expect(server.heard).toEqual([
      'EHLO [127.0.0.1]',
      'MAIL FROM:<postmaster@example.com>',
      'RCPT TO:<postmaster@example.org>',
      'RSET',
      'QUIT',
    ]);
  });

  test.each<[string, string]>([
    ['421 too many connections\r\n', 'it greets with 421 too many connections'],
    ['SSH-2.0-OpenSSH\r\n', 'it does not speak SMTP: "SSH-2.0-OpenSSH"'],
    [`220-${'x'.repeat(70_000)}`, 'its reply has no end'],
  ])('greets with %j takes no mail', async (greeting, words) => {
    await using server = await scripted([greeting]);
    expect(await problemsOf(server.port)).toEqual([`critical smtp-down: SERVER does not take mail: ${words}`]);
  });
});

describe('the options', () => {
  test.each([{ relayTo: 'x\r\nDATA@a' }, { relayFrom: '<>' }, { heloName: 'a b' }, { auth: ['PLAIN\r\n'] }])(
    '%j is refused',
    (more) => {
      expect(check.options.safeParse({ address: 'x', ...more }).success).toBe(false);
    },
  );
});
