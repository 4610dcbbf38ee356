import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './traefik.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

process.env['LARES_TEST_TRAEFIK'] = 'traefik-test-password';
afterEach(closeHttpAgents);

const now = Date.parse('2026-11-20T12:00:00Z');
const look = (given: object): Promise<Observation[]> =>
  check.observe(check.options.parse(given), checkContext({ clock: createVirtualClock(now) }));

const router = (name: string, more: object = {}) => ({
  name,
  rule: 'Host(`x`)',
  service: 'x',
  status: 'enabled',
  ...more,
});

/** Traefik 3.7 with its paging: `per_page` is honoured up to the size given here. */
interface Proxy {
  routers?: object[];
  services?: object[];
  certificates?: object[];
  /** By path below /api: what is listed there, all of it bad. */
  bad?: Record<string, object[]>;
  pageSize?: number;
}

function traefik(of: Proxy = {}) {
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
    if (request.path === '/api/overview') return { body: overviewOf(of.bad ?? {}) };
    const bad = of.bad?.[request.path.slice('/api/'.length)];
    if (bad !== undefined) return paged(bad, request);
    return request.path === '/api/certificates' && of.certificates ? { body: of.certificates } : undefined;
  };
}

function overviewOf(bad: Record<string, object[]>): object {
  const counts = (path: string) => ({ total: 3, warnings: 0, errors: bad[path]?.length ?? 0 });
  const section = (protocol: string) => ({
    routers: counts(`${protocol}/routers`),
    services: counts(`${protocol}/services`),
    middlewares: counts(`${protocol}/middlewares`),
  });
  const { middlewares: _none, ...udp } = section('udp');
  return { http: section('http'), tcp: section('tcp'), udp, features: {}, providers: ['File', 'Docker'] };
}

describe('Traefik', () => {
  test('without errors is well; before 3.7 it lists no certificates', async () => {
    await using api = await startFakeApi(traefik());
    expect(words(await look({ url: api.url }))).toEqual([
      'traefik-down traefik ok',
      'traefik-router-bad routers ok',
      'traefik-service-bad services ok',
      'traefik-middleware-bad overview ok',
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

  test('tells middlewares and what is bad of TCP and UDP, and lists only that', async () => {
    const bad = {
      'http/middlewares': [
        { name: 'auth@file', status: 'disabled', error: ['secret file is missing'], type: 'basicauth' },
      ],
      'tcp/routers': [
        { name: 'ssh@file', status: 'warning', error: ['no service'] },
        { name: 'db@file', status: 'enabled' },
      ],
    };
    await using api = await startFakeApi(traefik({ bad }));
    expect(problems(await look({ url: api.url }))).toEqual([
      'critical traefik-middleware-bad: http middleware auth@file is disabled: secret file is missing',
      'warning traefik-router-bad: tcp router ssh@file is warning: no service',
    ]);
    expect(api.requests.map(({ path }) => path)).not.toContain('/api/udp/routers');
    expect(problems(await look({ url: api.url, ignore: ['auth@file', 'ssh@file'] }))).toEqual([]);
  });

  test('tells certificates that end, by the share of their life, the first to end of each name', async () => {
    const certificate = (commonName: string, notAfter: string, notBefore?: string) => ({
      commonName,
      sans: [`${commonName}.example`],
      status: 'enabled',
      notAfter,
      ...(notBefore !== undefined && { notBefore }),
    });
    const certificates = [
      certificate('good', '2027-01-20T00:00:00Z', '2026-10-22T00:00:00Z'),
      certificate('ended', '2026-11-19T00:00:00Z'),
      certificate('ended', '2027-01-19T00:00:00Z'),
      certificate('soon', '2026-11-30T12:00:00Z', '2026-09-01T12:00:00Z'),
      // Of step-ca, for a day: half of it is left.
      certificate('short', '2026-11-21T00:00:00Z', '2026-11-20T00:00:00Z'),
      certificate('', '2026-11-22T12:00:00Z', '2026-09-01T12:00:00Z'),
      certificate('TRAEFIK DEFAULT CERT', '2026-11-19T00:00:00Z'),
      certificate('never', 'never'),
    ];
    await using api = await startFakeApi(traefik({ certificates }));
    expect(problems(await look({ url: api.url }))).toEqual([
      'critical certificate-expiring: ended: the certificate ended 1d12h ago (2026-11-19T00:00:00.000Z)',
      'warning certificate-expiring: soon: the certificate ends in 10d (2026-11-30T12:00:00.000Z)',
      'critical certificate-expiring: .example: the certificate ends in 2d (2026-11-22T12:00:00.000Z)',
      'unknown certificate-expiring never: its end is no time: "never"',
    ]);
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
