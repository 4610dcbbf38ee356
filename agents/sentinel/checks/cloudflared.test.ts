import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './cloudflared.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

afterEach(closeHttpAgents);

const look = (given: object): Promise<Observation[]> => check.observe(check.options.parse(given), checkContext());

/** cloudflared as built in August 2026: the health check and the metric say well whatever happens. */
function cloudflared(readyConnections: number) {
  return ({ path }: ApiRequest) => {
    const status = readyConnections > 0 ? 200 : 503;
    if (path === '/ready') return { status, body: { status, readyConnections, connectorId: 'b7e0' } };
    if (path === '/metrics') return { body: '# HELP x\ncloudflared_tunnel_ha_connections 1\ngo_threads 9\n' };
    return path === '/healthcheck' ? { body: 'OK\n' } : undefined;
  };
}

describe('a tunnel', () => {
  test('with its four connections is well', async () => {
    await using api = await startFakeApi(cloudflared(4));
    expect(words(await look({ url: api.url }))).toEqual(['tunnel-down tunnel ok', 'tunnel-degraded tunnel ok']);
  });

  test('with fewer is degraded, and has ten minutes', async () => {
    await using api = await startFakeApi(cloudflared(2));
    const found = await look({ url: api.url });
    expect(words(found)).toEqual(['tunnel-down tunnel ok', 'tunnel-degraded tunnel warning']);
    expect(found[1]).toMatchObject({ holdMs: 600_000, summary: '2 of 4 connections of the tunnel to the edge' });
  });

  test('with none is down, though its health check says OK and its metric 1', async () => {
    await using api = await startFakeApi(cloudflared(0));
    const found = await look({ url: api.url });
    expect(words(found)).toEqual(['tunnel-down tunnel critical', 'tunnel-degraded tunnel ok']);
    const evidence = await check.evidence.gather(
      check.options.parse({ url: api.url }),
      checkContext(),
      found[0] as Observation,
    );
    expect(evidence.at(-1)?.lines).toEqual(['cloudflared_tunnel_ha_connections 1']);
  });

  test('behind something else on that port is unknown', async () => {
    await using api = await startFakeApi(() => ({ body: 'OK' }));
    expect(words(await look({ url: api.url }))).toEqual(['tunnel-down tunnel unknown']);
  });
});
