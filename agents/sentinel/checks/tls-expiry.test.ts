import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { type Certificate, observeLifetime } from '#agents/sentinel/probes/certificate.ts';
import { createAuthority, hasOpenssl, type ServerKeys } from '../../../test/parts/certificates.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { describeWith, startDaemon } from '../../../test/parts/daemon.ts';
import { serveStarttls, type StarttlsFake, starttlsFakes } from '../../../test/parts/fake-starttls.ts';
import { freePort } from '../../../test/parts/free-port.ts';
import { startHttpTarget } from '../../../test/parts/http-target.ts';
import { startTcpTarget } from '../../../test/parts/tcp-target.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './tls-expiry.ts';

kindContract(check, (port) => ({ address: '127.0.0.1', port }));

const hour = 3_600_000;
const day = 24 * hour;

type Moment = { now?: number | undefined; context?: CheckContext };

async function look(
  port: number,
  more: object = {},
  { now, context = checkContext() }: Moment = {},
): Promise<Observation[]> {
  const options = check.options.parse({ address: '127.0.0.1', port, giveUpAfter: '2s', ...more });
  return check.observe(options, {
    ...context,
    ...(now !== undefined && { clock: { ...context.clock, now: () => now } }),
  });
}

describe.skipIf(!hasOpenssl)('tls-expiry (needs openssl)', () => {
  const authority = createAuthority();
  afterAll(() => authority[Symbol.dispose]());
  const caFile = authority.caFile;
  const issue = (notBefore: number, notAfter: number): ServerKeys =>
    authority.issue({ name: '127.0.0.1', notBefore, notAfter });

  test('a certificate of 90 days warns at 14 and is critical at 3', async () => {
    const end = Math.floor(Date.now() / 1_000) * 1_000 + 60 * day;
    await using target = await startHttpTarget({ keys: issue(end - 90 * day, end) });
    const [valid, lifetime] = await look(target.port, { caFile }, { now: end - 13 * day });
    expect(valid).toMatchObject({ condition: 'certificate-invalid', reading: { ok: true } });
    expect(lifetime).toMatchObject({ condition: 'certificate-expiring', resource: `127.0.0.1:${target.port}` });
    expect(lifetime?.reading).toMatchObject({
      is: 'level',
      bad: 'below',
      value: expect.closeTo(13, 3),
      warning: { trigger: expect.closeTo(14, 3) },
      critical: { trigger: expect.closeTo(3, 3) },
    });
    expect(lifetime?.holdMs).toBeUndefined();
  });

  test('a certificate of 24 hours is judged by its own lifetime, and its renewal is waited for', async () => {
    const start = Math.floor(Date.now() / 1_000) * 1_000 - hour;
    await using target = await startHttpTarget({ keys: issue(start, start + 24 * hour) });
    const [, fresh] = await look(target.port, { caFile }, { now: start + 12 * hour });
    expect(fresh?.reading).toMatchObject({
      value: expect.closeTo(0.5, 3),
      warning: { trigger: expect.closeTo(8 / 24, 3) },
      critical: { trigger: expect.closeTo(2.4 / 24, 3) },
    });
    expect(fresh?.holdMs).toBe((24 * hour) / 20);
    const [, late] = await look(target.port, { caFile }, { now: start + 23 * hour });
    expect(late?.holdMs).toBeUndefined();
  });

  test('an ended certificate is one problem, not two', async () => {
    await using target = await startHttpTarget({ keys: issue(Date.now() - 90 * day, Date.now() - day) });
    const [valid, lifetime] = await look(target.port, { caFile });
    expect(valid?.reading).toMatchObject({ is: 'state', ok: true });
    expect(lifetime).toMatchObject({ summary: expect.stringMatching(/the certificate ended 1d/) });
    expect(lifetime?.reading).toMatchObject({ value: expect.closeTo(-1, 1) });
  });

  test.each<[string, () => ServerKeys, object, RegExp]>([
    [
      'another name',
      () => authority.issue({ name: 'other.example' }),
      { caFile },
      /for another name: DNS:other.example/,
    ],
    ['an issuer nobody knows', () => authority.issue({ name: '127.0.0.1' }), {}, /its issuer is not known here/],
    ['itself as issuer', () => authority.issueSelfSigned('127.0.0.1'), {}, /it is self-signed/],
    [
      'a start in the future',
      () => authority.issue({ name: '127.0.0.1', notBefore: Date.now() + day, notAfter: Date.now() + 9 * day }),
      { caFile },
      /it is not valid before/,
    ],
    [
      'another key than the pinned one',
      () => authority.issueSelfSigned('a.example'),
      { certificateFingerprint: 'ab'.repeat(32) },
      /not the pinned one/,
    ],
  ])('a certificate with %s is invalid', async (...[, keys, more, words]) => {
    await using target = await startHttpTarget({ keys: keys() });
    const [valid] = await look(target.port, more);
    expect(valid).toMatchObject({ condition: 'certificate-invalid', reading: { is: 'state', ok: false } });
    expect(valid?.summary).toMatch(words);
  });

  test('a pinned self-signed certificate is trusted under any name', async () => {
    await using target = await startHttpTarget({ keys: authority.issueSelfSigned('a.example') });
    const [shown] = await look(target.port, { certificateFingerprint: 'ab'.repeat(32) });
    const certificateFingerprint = /SHA-256 ([0-9A-F:]{95})/.exec(shown?.summary ?? '')?.[1];
    expect((await look(target.port, { certificateFingerprint }))[0]).toMatchObject({ reading: { ok: true } });
  });

  test('the name that is asked for is sent', async () => {
    await using target = await startHttpTarget({ keys: authority.issue({ name: 'app.example' }) });
    const [valid] = await look(target.port, { caFile, tlsName: 'app.example' });
    expect(valid).toMatchObject({ reading: { ok: true }, resource: `app.example:${target.port} at 127.0.0.1` });
  });
});

describe('by lifetime', () => {
  const chain = (own: number, issuer: number, left: [number, number]): Certificate[] => [
    { name: 'leaf', notBefore: left[0] - own, notAfter: left[0], fingerprint: 'a' },
    { name: 'intermediate', notBefore: left[1] - issuer, notAfter: left[1], fingerprint: 'b' },
  ];
  const judge = (certificates: Certificate[]): Observation['reading'] | undefined =>
    observeLifetime(certificates, { resource: 'x', now: 0 })[0]?.reading;

  test('a certificate that its renewer replaces in time never passes a limit', () => {
    // Lifetime, what is left when it is renewed, by whom.
    const renewers: [number, number, string][] = [
      [12 * hour, 4 * hour, 'Caddy'],
      [24 * hour, 8 * hour, 'step-ca'],
      [6 * day, 3 * day, 'certbot with a short profile'],
      [90 * day, 30 * day, 'certbot'],
    ];
    for (const [lifetime, left] of renewers) {
      const reading = judge(chain(lifetime, 3_650 * day, [left + 60_000, 1_000 * day]));
      expect(reading).toMatchObject({ is: 'level', value: (left + 60_000) / day });
      expect(reading?.is === 'level' && reading.value > (reading.warning?.trigger ?? 0)).toBe(true);
    }
  });

  test('what Caddy signs with, of 7 days, is renewed when a fifth is left and is no finding before', () => {
    const due = judge(chain(12 * hour, 7 * day, [11 * hour, (7 * day) / 5]));
    expect(due).toMatchObject({ value: expect.closeTo(1.4, 5) });
    expect(due?.is === 'level' && due.value > (due.warning?.trigger ?? 0)).toBe(true);
    const late = observeLifetime(chain(12 * hour, 7 * day, [11 * hour, 20 * hour]), { resource: 'x', now: 0 });
    expect(late[0]?.summary).toContain(`the issuer's certificate "intermediate" ends in 20h`);
    expect(late[0]?.reading).toMatchObject({ warning: { trigger: expect.closeTo(7 / 6, 5) } });
  });

  test('the one nearest to its own limits is told, not the one that ends first', () => {
    const reading = judge(chain(90 * day, 3_650 * day, [12 * day, 20 * day]));
    expect(reading).toMatchObject({ value: 12 });
    expect(judge(chain(12 * hour, 90 * day, [10 * hour, 2 * day]))).toMatchObject({ value: 2 });
  });

  test('five minutes of lifetime are no reason to complain', () => {
    const reading = judge(chain(5 * 60_000, day, [4 * 60_000, 20 * hour]));
    expect(reading?.is === 'level' && reading.value > (reading.warning?.trigger ?? 0)).toBe(true);
  });
});

describeWith(['caddy'], 'Caddy with its own authority', () => {
  test('a certificate of 12 hours is quiet, and so are the ones between', async () => {
    using folder = mkdtempDisposableSync(join(tmpdir(), 'lares-caddy-'));
    const port = await freePort();
    const site = `{\n admin off\n skip_install_trust\n auto_https disable_redirects\n http_port ${await freePort()}\n https_port ${port}\n}\nhttps://caddy.example:${port} {\n tls internal\n respond ok\n}\n`;
    writeFileSync(join(folder.path, 'Caddyfile'), site);
    const ca = join(folder.path, 'data/caddy/pki/authorities/local/root.crt');
    const asked = { tlsName: 'caddy.example', caFile: ca };
    await using _caddy = await startDaemon({
      program: 'caddy',
      args: ['run', '--config', join(folder.path, 'Caddyfile'), '--adapter', 'caddyfile'],
      env: {
        XDG_DATA_HOME: join(folder.path, 'data'),
        XDG_CONFIG_HOME: join(folder.path, 'config'),
        HOME: folder.path,
      },
      isReady: async () => (await look(port, asked))[0]?.reading.is === 'state',
    });
    const [valid, lifetime, issuer] = await look(port, asked);
    expect(valid).toMatchObject({ condition: 'certificate-invalid', reading: { ok: true } });
    expect(lifetime?.reading).toMatchObject({ warning: { trigger: expect.closeTo(4 / 24, 2) } });
    expect(lifetime?.reading.is === 'level' && lifetime.reading.value > 11 / 24).toBe(true);
    expect(issuer).toMatchObject({ condition: 'certificate-issuer-changed', reading: { ok: true } });
  });
});

describe.skipIf(!hasOpenssl)('TLS after a plain beginning (needs openssl)', () => {
  using authority = createAuthority();
  const keys = authority.issue({ name: 'mail.example' });
  const { caFile } = authority;
  const trusted = readFileSync(caFile, 'utf8');
  const folder = mkdtempDisposableSync(join(tmpdir(), 'lares-starttls-'));
  const ca = join(folder.path, 'ca.pem');
  writeFileSync(ca, trusted);
  afterAll(() => folder.remove());

  test.each<[string, StarttlsFake]>(Object.entries(starttlsFakes))('%s', async (protocol, fake) => {
    await using target = await startTcpTarget((socket) => serveStarttls(socket, fake, keys));
    const [valid, lifetime] = await look(target.port, { tlsName: 'mail.example', starttls: protocol, caFile: ca });
    expect(valid).toMatchObject({ condition: 'certificate-invalid', reading: { ok: true } });
    expect(lifetime).toMatchObject({ condition: 'certificate-expiring', reading: { is: 'level' } });
  });

  test.each<[string, string]>([
    ['smtp', '220 mail.example ESMTP\r\n'],
    ['imap', '* BYE go away\r\n'],
    ['pop3', '-ERR busy\r\n'],
    ['postgres', 'N'],
    ['mysql', '\x05\x00\x00\x00\xff\x69\x04no'],
  ])('%s that does not begin TLS has bad TLS', async (protocol, says) => {
    await using target = await startTcpTarget((socket) => {
      socket.write(Buffer.from(says, 'latin1'));
      socket.on('data', () => socket.write('502 5.5.1 not implemented\r\n'));
    });
    const [valid] = await look(target.port, { starttls: protocol });
    expect(valid).toMatchObject({ condition: 'certificate-invalid', reading: { is: 'state', ok: false } });
    expect(valid?.summary).toMatch(/the server does not begin TLS for/);
  });
});

test.skipIf(!hasOpenssl)(
  'another authority is news for a day, the next certificate of the same one is not',
  async () => {
    using first = createAuthority();
    const context = checkContext();
    const start = Date.now();
    const issuerOf = async (keys: ServerKeys, now: number): Promise<Observation | undefined> => {
      await using target = await startHttpTarget({ keys });
      const found = await look(target.port, {}, { now, context });
      return found.find(({ condition }) => condition === 'certificate-issuer-changed');
    };
    expect((await issuerOf(first.issue({ name: '127.0.0.1' }), start))?.reading).toMatchObject({ ok: true });
    expect((await issuerOf(first.issue({ name: '127.0.0.1' }), start))?.reading).toMatchObject({ ok: true });
    const changed = await issuerOf(first.issueSelfSigned('127.0.0.1'), start + hour);
    expect(changed).toMatchObject({ reading: { ok: false, severity: 'info' }, holdMs: 0 });
    expect(changed?.summary).toContain('is by "127.0.0.1" now, before by "Lares test authority"');
    expect((await issuerOf(first.issueSelfSigned('127.0.0.1'), start + 26 * hour))?.reading).toMatchObject({
      ok: true,
    });
  },
);

describe('what cannot be looked at', () => {
  test('a closed port is unknown: whether the service runs is for another check', async () => {
    expect(await look(await freePort())).toMatchObject([{ reading: { is: 'unknown', reason: 'connection refused' } }]);
  });

  test('a port that says nothing is unknown', async () => {
    await using target = await startTcpTarget(() => undefined);
    const [first] = await look(target.port, { giveUpAfter: '200ms' });
    expect(first?.reading).toMatchObject({ is: 'unknown', reason: 'no TLS handshake within 200ms' });
  });

  test('a port that hangs up is unknown', async () => {
    await using target = await startTcpTarget((socket) => socket.end());
    expect((await look(target.port))[0]?.reading.is).toBe('unknown');
  });

  test('a port that speaks something else has bad TLS', async () => {
    await using target = await startTcpTarget((socket) => socket.write('220 mail.example ESMTP\r\n'));
    const [first] = await look(target.port);
    expect(first).toMatchObject({ condition: 'certificate-invalid', reading: { is: 'state', ok: false } });
    expect(first?.summary.length).toBeLessThan(600);
  });
});
