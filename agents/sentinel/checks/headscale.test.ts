import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './headscale.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

process.env['LARES_TEST_HEADSCALE'] = 'hskey-abcdef.0123456789';
const token = { env: 'LARES_TEST_HEADSCALE' };
const now = Date.parse('2026-11-20T12:00:00Z');
afterEach(closeHttpAgents);

const look = (given: object): Promise<Observation[]> =>
  check.observe(check.options.parse(given), checkContext({ clock: createVirtualClock(now) }));

const node = (name: string, more: object = {}) => ({
  id: '1',
  name,
  givenName: name,
  online: true,
  lastSeen: '2026-11-20T11:59:00Z',
  expiry: '0001-01-01T00:00:00Z',
  approvedRoutes: [],
  availableRoutes: [],
  ...more,
});

/** Headscale 0.29: a database that fails makes /health a 500. */
function headscale(of: { nodes?: object[]; keys?: object[]; status?: string } = {}) {
  return ({ path, headers }: ApiRequest) => {
    const type = { 'content-type': 'application/health+json' };
    if (path === '/health') {
      const status = of.status ?? 'pass';
      return { status: status === 'pass' ? 200 : 500, body: { status }, headers: type };
    }
    if (headers.authorization !== 'Bearer hskey-abcdef.0123456789') return { status: 401, body: 'Unauthorized' };
    if (path === '/api/v1/node') return { body: { nodes: of.nodes ?? [node('pi')] } };
    return path === '/api/v1/apikey' ? { body: { apiKeys: of.keys ?? [] } } : undefined;
  };
}

describe('Headscale', () => {
  test('that is well says how many nodes are online; keys that never end are not told', async () => {
    await using api = await startFakeApi(headscale());
    const found = await look({ url: api.url, token, expectOnline: ['pi'] });
    expect(words(found)).toEqual([
      'headscale-down headscale ok',
      'headscale-node-offline nodes ok',
      'headscale-node-offline pi ok',
    ]);
    expect(found[1]?.summary).toBe('1 of 1 node online');
  });

  test('whose database fails is down', async () => {
    await using api = await startFakeApi(headscale({ status: 'fail' }));
    expect(words(await look({ url: api.url, token }))).toEqual(['headscale-down headscale critical']);
  });

  test('tells expected nodes that are offline or gone; a laptop may sleep', async () => {
    await using api = await startFakeApi(
      headscale({ nodes: [node('pi', { online: false }), node('laptop', { online: false })] }),
    );
    const found = await look({ url: api.url, token, expectOnline: ['pi', 'nas'] });
    expect(words(found).slice(2)).toEqual(['headscale-node-offline pi warning', 'headscale-node-offline nas warning']);
    expect(found[2]?.holdMs).toBe(900_000);
    const [evidence] = await check.evidence.gather(
      check.options.parse({ url: api.url, token }),
      checkContext(),
      found[0] as Observation,
    );
    expect(evidence?.lines[0]).toBe('pi: last seen 2026-11-20T11:59:00Z');
  });

  test('tells keys that end, its own API key too, and routes that nobody approved', async () => {
    const router = node('router', {
      expiry: '2026-11-23T12:00:00Z',
      availableRoutes: ['10.0.0.0/24', '0.0.0.0/0'],
      approvedRoutes: ['10.0.0.0/24'],
    });
    const keys = [
      { prefix: 'hskey-abcdef', expiration: '2026-11-21T00:00:00Z' },
      { prefix: 'hskey-other', expiration: '2026-11-20T00:00:00Z' },
    ];
    await using api = await startFakeApi(headscale({ nodes: [router], keys }));
    const found = await look({ url: api.url, token });
    expect(found.slice(2).map(({ summary }) => summary)).toEqual([
      'the key of node router ends in 3d',
      'node router offers routes that nobody approved: 0.0.0.0/0',
      'the API key hskey-abcdef that Lares uses ends in 12h',
    ]);
  });

  test('with a key that ended is unknown inside', async () => {
    await using api = await startFakeApi(headscale());
    expect(words(await look({ url: api.url, token: { env: 'HOME' } }))).toEqual([
      'headscale-down headscale ok',
      'headscale-node-offline nodes unknown',
      'headscale-key-expiring API keys unknown',
    ]);
  });
});
