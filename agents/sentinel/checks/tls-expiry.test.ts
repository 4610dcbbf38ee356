import { afterAll, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { createAuthority, hasOpenssl, type ServerKeys } from '../../../test/parts/certificates.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { freePort } from '../../../test/parts/free-port.ts';
import { startHttpTarget } from '../../../test/parts/http-target.ts';
import { startTcpTarget } from '../../../test/parts/tcp-target.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './tls-expiry.ts';

kindContract(check, (port) => ({ address: '127.0.0.1', port }));

const hour = 3_600_000;
const day = 24 * hour;

async function look(port: number, more: object = {}, now?: number): Promise<Observation[]> {
  const options = check.options.parse({ address: '127.0.0.1', port, giveUpAfter: '2s', ...more });
  const context = checkContext();
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
    const [valid, lifetime] = await look(target.port, { caFile }, end - 13 * day);
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
    const [, fresh] = await look(target.port, { caFile }, start + 12 * hour);
    expect(fresh?.reading).toMatchObject({
      value: expect.closeTo(0.5, 3),
      warning: { trigger: expect.closeTo(8 / 24, 3) },
      critical: { trigger: expect.closeTo(2.4 / 24, 3) },
    });
    expect(fresh?.holdMs).toBe((24 * hour) / 20);
    const [, late] = await look(target.port, { caFile }, start + 23 * hour);
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
      { fingerprint: 'ab'.repeat(32) },
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
    const [shown] = await look(target.port, { fingerprint: 'ab'.repeat(32) });
    const fingerprint = /SHA-256 ([0-9A-F:]{95})/.exec(shown?.summary ?? '')?.[1];
    expect(await look(target.port, { fingerprint })).toMatchObject([{ reading: { ok: true } }, {}]);
  });

  test('the name that is asked for is sent', async () => {
    await using target = await startHttpTarget({ keys: authority.issue({ name: 'app.example' }) });
    const [valid] = await look(target.port, { caFile, servername: 'app.example' });
    expect(valid).toMatchObject({ reading: { ok: true }, resource: `app.example:${target.port} at 127.0.0.1` });
  });
});

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
