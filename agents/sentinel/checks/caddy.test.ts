import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { answersAt, type Daemon, describeWith, startDaemon } from '../../../test/parts/daemon.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { freePort } from '../../../test/parts/free-port.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './caddy.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

afterEach(closeHttpAgents);

const look = (given: object, context: CheckContext = checkContext()): Promise<Observation[]> =>
  check.observe(check.options.parse(given), context);

/** Caddy 2.11 with metrics switched on. */
function caddy(of: { config?: unknown; metrics?: string }) {
  const usual = { apps: { http: { servers: { srv0: { routes: [{}, {}] } } } } };
  return ({ path }: ApiRequest) => {
    if (path === '/config/') return { body: 'config' in of ? of.config : usual };
    return path === '/metrics' ? { body: of.metrics ?? '' } : undefined;
  };
}

describe('Caddy 2.11', () => {
  test('is well with its routes, a good reload and healthy upstreams', async () => {
    const metrics =
      'caddy_config_last_reload_successful 1\ncaddy_reverse_proxy_upstreams_healthy{upstream="10.0.0.9:80"} 1\n';
    await using api = await startFakeApi(caddy({ metrics }));
    expect(words(await look({ url: api.url }))).toEqual([
      'caddy-down caddy ok',
      'caddy-serves-nothing routes ok',
      'caddy-reload-failed configuration ok',
      'upstream-down upstreams ok',
    ]);
  });

  test('that took an empty configuration serves nothing, whatever it served before', async () => {
    const context = checkContext();
    await using full = await startFakeApi(caddy({}));
    await look({ url: full.url }, context);
    await using empty = await startFakeApi(caddy({ config: {} }));
    const found = await look({ url: empty.url }, context);
    expect(found[1]).toMatchObject({ summary: 'Caddy serves nothing; it had 2 routes', reading: { ok: false } });
    await using fresh = await startFakeApi(caddy({ config: null }));
    expect((await look({ url: fresh.url }))[1]?.summary).toBe('Caddy serves nothing');
  });

  test('tells a refused configuration and dead upstreams, which its list of upstreams does not', async () => {
    const metrics =
      'caddy_config_last_reload_successful 0\ncaddy_reverse_proxy_upstreams_healthy{upstream="10.0.0.9:80"} 0\n';
    await using api = await startFakeApi(caddy({ metrics }));
    const found = await look({ url: api.url });
    expect(words(found).slice(2)).toEqual([
      'caddy-reload-failed configuration warning',
      'upstream-down upstreams ok',
      'upstream-down 10.0.0.9:80 critical',
    ]);
    const evidence = await check.evidence.gather(
      check.options.parse({ url: api.url }),
      checkContext(),
      found[0] as Observation,
    );
    expect(evidence.flatMap(({ lines }) => lines)).toEqual(['srv0: 2 routes', '10.0.0.9:80 not healthy']);
  });
});

describeWith(['caddy'], 'Caddy of Debian', () => {
  let daemon: Daemon;
  let folder: string;
  let url: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lares-caddy-'));
    const [admin, http, https] = [await freePort(), await freePort(), await freePort()];
    url = `http://127.0.0.1:${admin}`;
    const globals = `admin 127.0.0.1:${admin}\nhttp_port ${http}\nhttps_port ${https}\nskip_install_trust\nauto_https disable_redirects`;
    const site = `https://localhost:${https} {\ntls internal\nrespond "well"\n}`;
    await writeFile(join(folder, 'Caddyfile'), `{\n${globals}\n}\n${site}\n`);
    daemon = await startDaemon({
      program: 'caddy',
      args: ['run', '--config', join(folder, 'Caddyfile')],
      env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
      isReady: () => answersAt(`${url}/config/`),
    });
  });
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  test('is well, its own authority too, until an empty configuration takes its sites away', async () => {
    const context = checkContext();
    const found = await look({ url, authority: true }, context);
    expect(words(found).filter((word) => !word.startsWith('caddy-reload-failed'))).toEqual([
      'caddy-down caddy ok',
      'caddy-serves-nothing routes ok',
      'upstream-down upstreams ok',
      'certificate-expiring root certificate level',
      'certificate-expiring intermediate certificate level',
    ]);
    const loaded = await fetch(`${url}/config/apps`, { method: 'DELETE' });
    expect(loaded.status).toBe(200);
    expect(words(await look({ url }, context))).toContain('caddy-serves-nothing routes critical');
  });
});
