import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { type ApiReply, startFakeApi } from '../parts/fake-api.ts';
import { watchPreset } from '../parts/preset-look.ts';
import { problems } from '../parts/problems.ts';

/** Addresses and what the product answers there; everything else is its 404. */
type Answers = Record<string, ApiReply>;

interface Product {
  preset: string;
  /** Beside `url`. */
  parameters?: object;
  well: Answers;
  /** What differs when it is sick, and what is then told. */
  sick: Record<string, { answers: Answers; told: (string | RegExp)[] }>;
  /** Addresses that a look must never ask. */
  never?: string[];
  /** It has no health route, so that its own web page is what shows that it is there. */
  isPage?: boolean;
}

const ok: ApiReply = { body: 'OK' };
const page: ApiReply = { body: '<html></html>', headers: { 'content-type': 'text/html' } };
const notJson = /http-down/;

const paperless = (tasks: object): ApiReply => ({
  body: {
    pngx_version: '2.18.3',
    database: { type: 'postgresql', status: 'OK', error: null },
    tasks: { redis_status: 'OK', celery_status: 'OK', index_status: 'OK', classifier_status: 'WARNING', ...tasks },
  },
});

const frigate = (fps: number): ApiReply => ({
  body: { cameras: { front: { camera_fps: fps, pid: 301 } }, detectors: {}, service: { uptime: 9_000 } },
});

const litellm = (minimax: number, local = 0): ApiReply => ({
  body: `# TYPE litellm_deployment_state gauge
litellm_deployment_state{api_base="https://api.minimax.io/v1",api_provider="minimax",litellm_model_name="MiniMax-M2.7",model_id="a1"} ${minimax}.0
litellm_deployment_state{api_base="http://10.0.0.30:11434",api_provider="ollama",litellm_model_name="qwen3:8b",model_id="b2"} ${local}.0
`,
  headers: { 'content-type': 'text/plain' },
});
const litellmReady: Answers = {
  '/health/readiness': { body: { status: 'healthy', db: 'connected' } },
  '/key/info': { body: { info: { spend: 1, max_budget: 11 } } },
};

const products: Product[] = [
  {
    // `/health` would call, and pay, every model.
    preset: 'litellm',
    parameters: { token: { env: 'LARES_PRESET_SECRET' }, metrics: true },
    well: { ...litellmReady, '/metrics/': litellm(0) },
    sick: {
      'a provider that fails while others answer in its place': {
        answers: { ...litellmReady, '/metrics/': litellm(2) },
        told: [/llm-provider-failing.*MiniMax-M2\.7/],
      },
      'one that fails at times': {
        answers: { ...litellmReady, '/metrics/': litellm(0, 1) },
        told: [/llm-provider-failing.*qwen3:8b/],
      },
      'metrics that are switched off': { answers: litellmReady, told: [/unknown exporter-down.*404/] },
    },
    never: ['/health', '/v1/chat/completions'],
  },
  {
    // The status route asks GitHub at each request: slow, and failing without internet.
    preset: 'jellyseerr',
    well: { '/api/v1/settings/public': { body: { initialized: true } } },
    sick: {
      'not set up': { answers: { '/api/v1/settings/public': { body: { initialized: false } } }, told: [/initialized/] },
    },
    never: ['/api/v1/status'],
  },
  {
    preset: 'freshrss',
    well: { '/api/greader.php/check/compatibility': { body: 'PASS' } },
    sick: {
      'a broken server': {
        answers: { '/api/greader.php/check/compatibility': { body: 'FAIL PATH_INFO!' } },
        told: [/http-down/],
      },
    },
  },
  { preset: 'calibre-web', isPage: true, well: { '/login': page }, sick: { gone: { answers: {}, told: [/404/] } } },
  { preset: 'emulatorjs', isPage: true, well: { '/': page }, sick: { gone: { answers: {}, told: [/404/] } } },
  {
    preset: 'plane',
    well: {
      '/': page,
      '/live/health': { body: { status: 'OK', timestamp: '2026-11-20T00:00:00Z', version: '1.0.0' } },
    },
    parameters: { live: '{url}' },
    sick: { 'live server gone': { answers: { '/': page }, told: [/404/] } },
  },
  {
    preset: 'forgejo',
    well: { '/api/healthz': { body: { status: 'pass', checks: { 'database:ping': [{ status: 'pass' }] } } } },
    sick: {
      'no database': { answers: { '/api/healthz': { status: 503, body: { status: 'fail' } } }, told: [/503/] },
    },
  },
  {
    preset: 'immich',
    well: { '/api/server/ping': { body: { res: 'pong' } } },
    sick: { 'a page in its place': { answers: { '/api/server/ping': page }, told: [notJson] } },
  },
  {
    preset: 'vaultwarden',
    well: { '/alive': { body: '"2026-11-20T03:00:00Z"', headers: { 'content-type': 'application/json' } } },
    sick: { gone: { answers: {}, told: [/404/] } },
  },
  { preset: 'wikijs', well: { '/healthz': { body: { ok: true } } }, sick: { gone: { answers: {}, told: [/404/] } } },
  { preset: 'node-red', isPage: true, well: { '/': { status: 401 } }, sick: { gone: { answers: {}, told: [/404/] } } },
  {
    preset: 'homepage',
    well: { '/api/healthcheck': { body: 'up' } },
    sick: { gone: { answers: {}, told: [/404/] } },
  },
  {
    preset: 'netbox',
    parameters: { authorization: { env: 'LARES_PRESET_SECRET' } },
    well: { '/login/': page, '/api/status/': { body: { 'netbox-version': '4.4', 'rq-workers-running': 1 } } },
    sick: {
      'no worker': {
        answers: { '/login/': page, '/api/status/': { body: { 'rq-workers-running': 0 } } },
        told: [/rq/],
      },
    },
  },
  {
    preset: 'home-assistant',
    parameters: { token: { env: 'LARES_PRESET_SECRET' } },
    well: {
      '/manifest.json': { body: { name: 'Home Assistant' } },
      '/api/': { body: { message: 'API running.' } },
      '/api/config': { body: { state: 'RUNNING', recovery_mode: false, safe_mode: false } },
    },
    sick: {
      'a configuration that does not load': {
        answers: {
          '/manifest.json': { body: {} },
          '/api/': { body: { message: 'API running.' } },
          '/api/config': { body: { state: 'RUNNING', recovery_mode: true } },
        },
        told: [/http-down/],
      },
    },
  },
  {
    preset: 'paperless',
    parameters: { authorization: { env: 'LARES_PRESET_SECRET' } },
    well: { '/': page, '/api/status/': paperless({}) },
    sick: {
      'a worker that died': {
        answers: { '/': page, '/api/status/': paperless({ celery_status: 'ERROR' }) },
        told: [/celery_status/],
      },
      'another token': { answers: { '/': page, '/api/status/': { status: 401, body: {} } }, told: [/401/] },
    },
  },
  {
    // Its health route answers without a database.
    preset: 'n8n',
    well: { '/healthz/readiness': { body: { status: 'ok' } }, '/healthz': { body: { status: 'ok' } } },
    sick: {
      'no database': {
        answers: { '/healthz/readiness': { status: 503, body: { status: 'error' } }, '/healthz': { body: {} } },
        told: [/503/],
      },
    },
  },
  {
    preset: 'ntfy',
    well: { '/v1/health': { body: { healthy: true } } },
    sick: { unhealthy: { answers: { '/v1/health': { body: { healthy: false } } }, told: [/healthy/] } },
  },
  {
    preset: 'minio',
    well: { '/minio/health/live': {}, '/minio/health/cluster': {}, '/minio/health/cluster/read': {} },
    sick: {
      'too few disks to write': {
        answers: {
          '/minio/health/live': {},
          '/minio/health/cluster': { status: 503 },
          '/minio/health/cluster/read': {},
        },
        told: [/503/],
      },
    },
  },
  { preset: 'searxng', well: { '/healthz': ok }, sick: { gone: { answers: {}, told: [/404/] } }, never: ['/search'] },
  {
    preset: 'frigate',
    parameters: { camera: 'front' },
    well: { '/api/': { body: 'Frigate is running. Alive and healthy!' }, '/api/stats': frigate(5.1) },
    sick: {
      'a camera without pictures': {
        answers: { '/api/': { body: 'Frigate is running. Alive and healthy!' }, '/api/stats': frigate(0) },
        told: [/camera_fps/],
      },
    },
  },
  {
    // The information route asks GitHub for the newest release.
    preset: 'wg-easy',
    parameters: { token: { env: 'LARES_PRESET_SECRET' } },
    well: {
      '/': page,
      '/metrics/prometheus': {
        body: 'wireguard_configured_peers{interface="wg0"} 3\nwireguard_enabled_peers{interface="wg0"} 2\n',
      },
    },
    sick: {
      'no peer': {
        answers: {
          '/': page,
          '/metrics/prometheus': { body: 'wireguard_configured_peers 3\nwireguard_enabled_peers 0\n' },
        },
        told: [/peers-missing: no peer is enabled/],
      },
    },
    never: ['/api/information', '/api/release'],
  },
  {
    preset: 'homelable',
    well: { '/api/v1/health': { body: { status: 'ok' } } },
    sick: { gone: { answers: {}, told: [/404/] } },
  },
  {
    preset: 'openfang',
    well: { '/api/health': { body: { status: 'ok' } } },
    sick: { 'not well': { answers: { '/api/health': { body: { status: 'degraded' } } }, told: [/status/] } },
  },
  {
    // A functional probe of these would spend model tokens.
    preset: 'nomos-router',
    well: { '/health': { body: { status: 'ok', service: 'nomos-router' } } },
    sick: {
      'another service on its port': {
        answers: { '/health': { body: { status: 'ok', service: 'nomos-verifier' } } },
        told: [/service/],
      },
    },
    never: ['/route', '/dispatch'],
  },
];

beforeEach(() => void (process.env['LARES_PRESET_SECRET'] = 'Token secret'));
afterEach(async () => {
  delete process.env['LARES_PRESET_SECRET'];
  await closeHttpAgents();
});

async function look(product: Product, answers: Answers): Promise<{ told: string[]; asked: string[] }> {
  await using api = await startFakeApi(({ path }) => answers[path]);
  const filled = JSON.parse(JSON.stringify(product.parameters ?? {}).replaceAll('{url}', api.url)) as object;
  const watched = await watchPreset({ preset: product.preset, url: api.url, ...filled });
  const told = problems(await watched.look());
  return { told, asked: api.requests.map(({ path }) => path) };
}

describe.each(products)('$preset', (product) => {
  test('is well with what the product answers, and asks nothing else', async () => {
    const { told, asked } = await look(product, product.well);
    expect(told).toEqual([]);
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.filter((path) => product.never?.includes(path))).toEqual([]);
  });

  test.each(Object.entries(product.sick))('tells %s', async (_what, { answers, told: expected }) => {
    const { told } = await look(product, answers);
    expect(told).toEqual(expected.map((words) => expect.stringMatching(words)));
  });
});

test.each(products.filter(({ isPage }) => isPage !== true))(
  '$preset is not a web page in its place, such as a login',
  async (product) => {
    const paths = [product.well, ...Object.values(product.sick).map(({ answers }) => answers)].flatMap(Object.keys);
    const { told } = await look(product, Object.fromEntries(paths.map((path) => [path, page])));
    expect(told).not.toEqual([]);
  },
);

test('a site behind nginx-proxy is asked by its name; a name without a container is down', async () => {
  await using proxy = await startFakeApi(({ headers }) =>
    headers.host === 'cloud.example.org' ? page : { status: 503, body: '<h1>503 Service Temporarily Unavailable</h1>' },
  );
  const told = async (site: string): Promise<string[]> => {
    const watched = await watchPreset({ preset: 'nginx-proxy', url: proxy.url, site });
    return problems(await watched.look());
  };
  expect(await told('cloud.example.org')).toEqual([]);
  expect(await told('lost.example.org')).toEqual([expect.stringContaining('503')]);
});
