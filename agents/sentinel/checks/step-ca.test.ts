import { readFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { createAuthority, type ServerKeys } from '../../../test/parts/certificates.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './step-ca.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

afterEach(closeHttpAgents);

const look = (given: object): Promise<Observation[]> => check.observe(check.options.parse(given), checkContext());

/** step-ca of 2026 behind a certificate of its own authority. */
function stepCa(of: { roots: string; intermediates: string; acme?: boolean }) {
  return ({ path }: ApiRequest) => {
    if (path === '/health') return { body: { status: 'ok' } };
    if (path === '/roots.pem') return { body: of.roots };
    if (path === '/intermediates.pem') return { body: of.intermediates };
    if (path !== '/acme/home/directory') return undefined;
    if (of.acme === false) return { status: 500, body: { type: 'urn:ietf:params:acme:error:serverInternal' } };
    return { body: { newNonce: 'x', newAccount: 'x', newOrder: 'x', revokeCert: 'x', keyChange: 'x' } };
  };
}

describeWith(['openssl'], 'step-ca', () => {
  const authority = (): { caFile: string; server: ServerKeys; root: string } & Disposable => {
    const made = createAuthority();
    return {
      caFile: made.caFile,
      server: made.issue({ name: '127.0.0.1' }),
      root: readFileSync(made.caFile, 'utf8'),
      [Symbol.dispose]: () => made[Symbol.dispose](),
    };
  };

  test('is asked with its own root, and tells when root and intermediate end', async () => {
    using made = authority();
    await using api = await startFakeApi(stepCa({ roots: made.root, intermediates: made.server.cert }), {
      keys: made.server,
    });
    const found = await look({ url: api.url, caFile: made.caFile, acme: 'home' });
    expect(words(found).map((word) => word.replace(/ [0-9A-F]+ level/, ' level'))).toEqual([
      'step-ca-down step-ca ok',
      'acme-unavailable ACME home ok',
      'certificate-expiring Lares test authority level',
      'certificate-expiring 127.0.0.1 level',
    ]);
    // The root of the test lives for 30 days: a sixth of that is the limit, not 90 days.
    expect(found[2]?.reading).toMatchObject({
      value: expect.closeTo(30, 0),
      warning: { trigger: expect.closeTo(5, 1) },
    });
    const options = check.options.parse({ url: api.url, caFile: made.caFile });
    const [evidence] = await check.evidence.gather(options, checkContext(), found[0] as Observation);
    expect(evidence?.lines[0]).toMatch(/^Lares test authority until 20/);
  });

  test('is never asked without trust: an unknown root is a problem, a pinned certificate is enough', async () => {
    using made = authority();
    await using api = await startFakeApi(stepCa({ roots: made.root, intermediates: made.root }), { keys: made.server });
    const untrusted = await look({ url: api.url });
    expect(untrusted[0]?.summary).toContain('TLS failed');
    const { X509Certificate } = await import('node:crypto');
    const certificateFingerprint = new X509Certificate(made.server.cert).fingerprint256;
    expect(words(await look({ url: api.url, certificateFingerprint }))[0]).toBe('step-ca-down step-ca ok');
    const other = certificateFingerprint.replace(/^../, certificateFingerprint.startsWith('00') ? '01' : '00');
    expect((await look({ url: api.url, certificateFingerprint: other }))[0]?.summary).toContain(
      'not the one that is pinned',
    );
  });

  test('that is alive but cannot issue is critical', async () => {
    using made = authority();
    await using api = await startFakeApi(stepCa({ roots: made.root, intermediates: made.root, acme: false }));
    expect(words(await look({ url: api.url, acme: 'home' })).slice(0, 2)).toEqual([
      'step-ca-down step-ca ok',
      'acme-unavailable ACME home critical',
    ]);
  });

  test('whose lists hold no certificate is unknown there', async () => {
    await using api = await startFakeApi(stepCa({ roots: '<html>', intermediates: '' }));
    expect(words(await look({ url: api.url })).slice(1)).toEqual([
      'certificate-expiring roots unknown',
      'certificate-expiring intermediates unknown',
    ]);
  });
});
