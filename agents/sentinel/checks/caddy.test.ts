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
import { until } from '../../../test/parts/until.ts';
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
  let dead: string;
  let globals: string;
  const load = (body: string, type: string): Promise<Response> =>
    fetch(`${url}/load`, { method: 'POST', body, headers: { 'content-type': type } });
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lares-caddy-'));
    const [admin, http, https] = [await freePort(), await freePort(), await freePort()];
    url = `http://127.0.0.1:${admin}`;
    dead = `127.0.0.1:${await freePort()}`;
    globals = `{\nadmin 127.0.0.1:${admin}\nhttp_port ${http}\nhttps_port ${https}\nskip_install_trust\nauto_https disable_redirects\nservers {\nmetrics\n}\n}\n`;
    const site = `https://localhost:${https} {\ntls internal\nrespond "well"\n}`;
    const proxied = `http://localhost:${http} {\nreverse_proxy ${dead} {\nhealth_uri /\nhealth_interval 100ms\n}\n}`;
    await writeFile(join(folder, 'Caddyfile'), `${globals}${site}\n${proxied}\n`);
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

  test('is well, and so is its own authority', async () => {
    const found = await look({ url, authority: true });
    expect(words(found).filter((word) => !/^(?:caddy-reload-failed|upstream-down) /.test(word))).toEqual([
      'caddy-down caddy ok',
      'caddy-serves-nothing routes ok',
      'certificate-expiring root certificate level',
      'certificate-expiring intermediate certificate level',
    ]);
  });

  test('knows a dead upstream only in its metrics, every ten seconds', async () => {
    await until(
      async () => words(await look({ url })).includes(`upstream-down ${dead} critical`),
      'the upstream',
      30_000,
    );
    const listed = await fetch(`${url}/reverse_proxy/upstreams`);
    expect(await listed.json()).toMatchObject([{ address: dead, fails: 0 }]);
  }, 40_000);

  test('goes on as before when it answers 200 to a configuration that it could not load', async () => {
    const answer = await load(`${globals}localhost {\n tls /nowhere.pem /nowhere.pem\n}\n`, 'text/caddyfile');
    expect([answer.status, await answer.text()]).toEqual([200, expect.stringMatching(/\{"error":"loading config: /)]);
    const found = await look({ url });
    expect(found[1]).toMatchObject({ summary: 'Caddy has 2 routes', reading: { ok: true } });
    // Before 2.7 no metric tells it.
    expect(words(found)).not.toContain('caddy-reload-failed configuration ok');
  });

  test('takes an empty configuration without complaint, and then serves nothing', async () => {
    const context = checkContext();
    await look({ url }, context);
    const answer = await load(JSON.stringify({ admin: { listen: new URL(url).host } }), 'application/json');
    expect([answer.status, await answer.text()]).toEqual([200, '']);
    // Its API begins anew with the configuration, and is away for a moment.
    let routes: Observation | undefined;
    await until(async () => {
      const [there, ...rest] = await look({ url }, context);
      [routes] = rest;
      return there?.summary === 'Caddy answers';
    }, 'the API');
    expect(routes).toMatchObject({ summary: 'Caddy serves nothing; it had 2 routes', reading: { ok: false } });
  });
});
