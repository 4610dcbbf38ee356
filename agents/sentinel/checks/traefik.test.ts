import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './traefik.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

process.env['LARES_TEST_TRAEFIK'] = 'traefik-test-password';
afterEach(closeHttpAgents);

const look = (given: object): Promise<Observation[]> => check.observe(check.options.parse(given), checkContext());

const router = (name: string, more: object = {}) => ({
  name,
  rule: 'Host(`x`)',
  service: 'x',
  status: 'enabled',
  ...more,
});

/** Traefik 3.7 with its paging: `per_page` is honoured up to the size given here. */
function traefik(of: { routers?: object[]; services?: object[]; certificates?: object[]; pageSize?: number } = {}) {
  const paged = (items: object[], { query }: ApiRequest) => {
    const size = of.pageSize ?? Number(query.get('per_page') ?? 100);
    const page = Number(query.get('page') ?? 1);
    const isLast = page * size >= items.length;
    return {
      body: items.slice((page - 1) * size, page * size),
      headers: { 'x-next-page': isLast ? '1' : `${page + 1}` },
    };
  };
  return (request: ApiRequest) => {
    if (request.path === '/api/http/routers') return paged(of.routers ?? [router('app@docker')], request);
    if (request.path === '/api/http/services') return paged(of.services ?? [], request);
    return request.path === '/api/certificates' && of.certificates ? { body: of.certificates } : undefined;
  };
}

describe('Traefik', () => {
  test('without errors is well; before 3.7 it lists no certificates', async () => {
    await using api = await startFakeApi(traefik());
    expect(words(await look({ url: api.url }))).toEqual([
      'traefik-down traefik ok',
      'traefik-router-bad routers ok',
      'traefik-service-bad services ok',
    ]);
  });

  test('tells bad routers with their reason, and those on later pages', async () => {
    const many = Array.from({ length: 5 }, (_, index) => router(`r${index}@file`));
    const bad = router('shop@docker', { status: 'disabled', error: ['the service "shop@docker" does not exist'] });
    await using api = await startFakeApi(traefik({ routers: [...many, bad], pageSize: 2 }));
    const found = await look({ url: api.url });
    expect(words(found)).toContain('traefik-router-bad shop@docker critical');
    expect(found.map(({ summary }) => summary)).toContain(
      'router shop@docker is disabled: the service "shop@docker" does not exist',
    );
    expect(words(await look({ url: api.url, ignore: ['shop@docker'] }))).not.toContain(
      'traefik-router-bad shop@docker critical',
    );
  });

  test('tells dead servers by its own health checks, all of them as critical', async () => {
    const service = (name: string, serverStatus: object) => ({ name, status: 'enabled', serverStatus });
    const half = service('half@file', { 'http://10.0.0.5:80': 'UP', 'http://10.0.0.6:80': 'DOWN' });
    const dead = service('dead@file', { 'http://10.0.0.7:80': 'DOWN' });
    await using api = await startFakeApi(traefik({ services: [half, dead] }));
    const found = await look({ url: api.url });
    expect(words(found)).toEqual(
      expect.arrayContaining(['traefik-server-down half@file warning', 'traefik-server-down dead@file critical']),
    );
    const evidence = await check.evidence.gather(
      check.options.parse({ url: api.url }),
      checkContext(),
      found[0] as Observation,
    );
    expect(evidence.flatMap(({ lines }) => lines)).toEqual([
      'half@file: http://10.0.0.6:80 DOWN',
      'dead@file: http://10.0.0.7:80 DOWN',
    ]);
  });

  test('tells certificates that expired', async () => {
    const certificate = (commonName: string, status: string) => ({
      commonName,
      status,
      notAfter: '2026-11-19T00:00:00Z',
    });
    const certificates = [certificate('a.example', 'enabled'), certificate('b.example', 'expired')];
    await using api = await startFakeApi(traefik({ certificates }));
    expect((await look({ url: api.url })).at(-1)?.summary).toBe(
      'the certificate b.example of Traefik ended 2026-11-19T00:00:00Z',
    );
  });

  test('behind basic authentication is asked with it', async () => {
    await using api = await startFakeApi(traefik());
    await look({ url: api.url, user: 'admin', password: { env: 'LARES_TEST_TRAEFIK' } });
    const expected = `Basic ${Buffer.from('admin:traefik-test-password').toString('base64')}`;
    expect(api.requests.every(({ headers }) => headers.authorization === expected)).toBe(true);
    api.fault = 'unauthorized';
    expect(words(await look({ url: api.url }))).toEqual(['traefik-down traefik unknown']);
  });
});
