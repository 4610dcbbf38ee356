import { mkdtempDisposableSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { check } from '#agents/sentinel/checks/http.ts';
import { createAuthority, hasOpenssl } from '../../../test/parts/certificates.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { startHttpTarget } from '../../../test/parts/http-target.ts';
import { closeHttpAgents } from './http-agents.ts';

afterEach(closeHttpAgents);

const day = 86_400_000;

function options(url: string, more: object = {}) {
  return check.options.parse({ url, ...more });
}

async function look(url: string, more: object = {}): Promise<Observation> {
  const [first] = await check.observe(options(url, more), checkContext());
  if (first === undefined) throw new Error('no observation');
  return first;
}

function down(summary: RegExp) {
  return { condition: 'http-down', reading: { is: 'state', ok: false }, summary: expect.stringMatching(summary) };
}

const up = { condition: 'http-down', reading: { is: 'state', ok: true } };

describe.skipIf(!hasOpenssl)('TLS (needs openssl)', () => {
  using authority = createAuthority();
  const { caFile } = authority;
  const good = authority.issue({ name: '127.0.0.1' });
  const other = authority.issue({ name: 'other.example' });
  const ending = authority.issue({ name: '127.0.0.1', notAfter: Date.now() + 5 * day });
  const client = authority.issue({ name: 'lares.example' });
  const folder = mkdtempSync(join(tmpdir(), 'lares-http-ca-'));
  const ca = join(folder, 'ca.pem');
  writeFileSync(ca, authorityText(caFile));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('a private authority is trusted when it is named', async () => {
    await using target = await startHttpTarget({ keys: good });
    expect(await look(target.url)).toMatchObject(down(/TLS failed/));
    expect(await look(target.url, { caFile: ca })).toMatchObject(up);
    expect(await look(target.url, { verifyTls: false })).toMatchObject(up);
  });

  test('a client certificate is shown to its server, and redirects to another one are not followed', async () => {
    using folder = mkdtempDisposableSync(join(tmpdir(), 'lares-client-'));
    writeFileSync(join(folder.path, 'client.pem'), client.cert);
    writeFileSync(join(folder.path, 'client.key'), client.key);
    const shown: string[] = [];
    const server = createServer({ ...good, requestCert: true, rejectUnauthorized: false }, (request, response) => {
      if (request.socket instanceof TLSSocket) shown.push(String(request.socket.getPeerCertificate().subject?.CN));
      const location = 'https://other.example/';
      response.writeHead(request.url === '/away' ? 302 : 200, { location }).end('ok');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    await using _closing = { [Symbol.asyncDispose]: () => closeServer(server) };
    const { port } = server.address() as AddressInfo;
    const asked = { caFile: ca, clientCertificate: { certFile: 'client.pem', keyFile: 'client.key' } };
    const context = checkContext({ baseFolder: folder.path });
    const at = (path: string) => check.observe(options(`https://127.0.0.1:${port}${path}`, asked), context);
    expect((await at('/'))[0]).toMatchObject(up);
    expect(shown).toEqual(['lares.example']);
    expect((await at('/away'))[0]).toMatchObject(down(/redirects to https:\/\/other\.example$/));
    writeFileSync(join(folder.path, 'client.key'), other.key);
    expect((await at('/'))[0]).toMatchObject({
      reading: { is: 'unknown', reason: 'the key is not that of the client certificate' },
    });
  });

  test('a certificate for another name is down', async () => {
    await using target = await startHttpTarget({ keys: other });
    expect(await look(target.url, { caFile: ca })).toMatchObject(down(/TLS failed: .*altnames/));
  });

  test('the same look tells when the certificate ends, and goes on telling while the server is down', async () => {
    const asked = { caFile: ca };
    const context = checkContext();
    let url = '';
    {
      await using target = await startHttpTarget({ keys: ending });
      ({ url } = target);
      const [, lifetime] = await check.observe(options(url, asked), context);
      expect(lifetime).toMatchObject({
        condition: 'certificate-expiring',
        summary: expect.stringMatching(/the certificate ends in 4d23h/),
        reading: {
          is: 'level',
          bad: 'below',
          unit: 'd',
          warning: { trigger: aboutDays(2) },
          critical: { trigger: aboutDays(0.6) },
        },
      });
    }
    await closeHttpAgents();
    expect(await check.observe(options(url, asked), context)).toMatchObject([
      down(/refused/),
      { condition: 'certificate-expiring' },
    ]);
  });

  test('an authority file that is missing is unknown', async () => {
    expect((await look('https://127.0.0.1:1/', { caFile: '/nowhere/ca.pem' })).reading.is).toBe('unknown');
  });
});

/** The two ends of a certificate may be a second apart from what was asked for. */
function aboutDays(days: number): number {
  return expect.closeTo(days, 3) as number;
}

function authorityText(file: string): string {
  return readFileSync(file, 'utf8');
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
