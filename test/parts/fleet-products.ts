import { readFileSync } from 'node:fs';
import type { Authority } from './certificates.ts';
import type { ApiReply, ApiRequest, Product } from './fake-api.ts';
import { WazuhModel } from './fake-wazuh.ts';

type Bodies = Record<string, unknown>;

/** What a product answers while all is well, by path; whoever asks has the right login. */
function saying(bodies: Bodies | (() => Bodies)): Product {
  return ({ path }) => {
    const known = typeof bodies === 'function' ? bodies() : bodies;
    return path in known ? replyOf(known[path]) : undefined;
  };
}

function replyOf(body: unknown): ApiReply {
  return { body };
}

const now = (): string => new Date().toISOString();
const page: Product = () => ({ body: '<!doctype html><title>ok</title>', headers: { 'content-type': 'text/html' } });
const nomos = (service: string): Product =>
  saying({ '/health': { status: 'ok', service }, '/scan/text': { verdict: 'CLEAN' } });
const arr = saying({
  '/ping': { status: 'OK' },
  '/api/v1/health': [],
  '/api/v3/health': [],
  '/api/v3/queue/status': { totalCount: 0, errors: false, warnings: false },
  '/api/v3/diskspace': [{ path: '/tv', label: '', freeSpace: 2e12, totalSpace: 4e12 }],
  '/api/system/ping': { status: 'OK' },
  '/api/system/health': { data: [] },
});

const torrents = saying({
  '/api/v2/app/version': 'v5.1.0',
  '/api/v2/app/preferences': { current_network_interface: 'tun0', current_interface_address: '' },
  '/api/v2/sync/maindata': {
    server_state: { connection_status: 'connected', free_space_on_disk: -1, last_external_address_v4: '198.51.100.4' },
    torrents: {},
  },
});
const qbittorrent: Product = (request) =>
  request.path === '/api/v2/auth/login'
    ? { body: 'Ok.', headers: { 'set-cookie': 'SID=s1; HttpOnly; path=/' } }
    : torrents(request);

const scraped = {
  labels: { job: 'node', instance: 'a:9100' },
  scrapePool: 'node',
  scrapeUrl: 'http://a:9100/metrics',
  lastError: '',
  health: 'up',
};

/** A Prometheus or VictoriaMetrics with one target that exports all that is asked for; every rule's result is empty. */
const prometheus: Product = (request) =>
  request.path === '/api/v1/query' ? instantQuery(request) : prometheusItself(request);

const prometheusItself = saying(() => ({
  '/metrics': 'prometheus_config_last_reload_successful 1\n',
  '/-/ready': 'Prometheus Server is Ready.\n',
  '/health': 'OK',
  '/api/v1/targets': { status: 'success', data: { activeTargets: [{ ...scraped, lastScrape: now() }] } },
  '/api/v1/alertmanagers': { status: 'success', data: { activeAlertmanagers: [] } },
  '/api/v1/status/config': { status: 'success', data: { yaml: '' } },
}));

function instantQuery({ query, body }: ApiRequest): ApiReply {
  const asked = query.get('query') ?? new URLSearchParams(body).get('query') ?? '';
  const [, names = ''] = /^count by \(__name__\) \(\{__name__=~"([^"]+)"\}\)$/.exec(asked) ?? [];
  const result = names === '' ? [] : names.split('|').map((name) => ({ metric: { __name__: name }, value: [1, '1'] }));
  return { body: { status: 'success', data: { resultType: 'vector', result } } };
}

const nextcloudStatus = {
  installed: true,
  maintenance: false,
  needsDbUpgrade: false,
  version: '30.0.4.1',
  versionstring: '30.0.4',
  productname: 'Nextcloud',
};

/** The least that each preset's checks call well, by preset. Those with a fake of their own are not here. */
export const wellProducts: Record<string, Product> = {
  'nomos-gate': nomos('nomos-security-gate'),
  'nomos-router': nomos('nomos-router'),
  'nomos-verifier': nomos('nomos-verifier'),
  authentik: saying(() => ({
    '/-/health/ready/': '',
    '/api/v3/events/events/': { pagination: {}, results: [] },
    '/api/v3/outposts/instances/': { results: [{ pk: 'a-b', name: 'embedded' }] },
    '/api/v3/outposts/instances/a-b/health/': [{ last_seen: now(), version_outdated: false }],
  })),
  bazarr: arr,
  prowlarr: arr,
  radarr: arr,
  sonarr: arr,
  beszel: saying(() => ({
    '/api/health': { message: 'API is healthy.', code: 200, data: {} },
    '/api/collections/users/auth-with-password': { token: 'token', record: {} },
    '/api/collections/users/auth-refresh': { token: 'token' },
    '/api/collections/systems/records': {
      page: 1,
      perPage: 200,
      totalItems: 1,
      totalPages: 1,
      items: [{ name: 'pve1', host: '10.0.0.7', status: 'up', updated: now().replace('T', ' '), info: { dp: 50 } }],
    },
  })),
  'blackbox-exporter': saying({
    '/metrics': 'blackbox_exporter_build_info 1\nblackbox_exporter_config_last_reload_successful 1\n',
    '/probe': 'probe_success 1\n',
  }),
  cadvisor: saying({ '/healthz': 'ok' }),
  'calibre-web': page,
  cloudflared: saying({
    '/ready': { status: 200, readyConnections: 4, connectorId: 'b7e0' },
    '/metrics': 'cloudflared_tunnel_ha_connections 4\n',
    '/': 'outside',
  }),
  crowdsec: saying({ '/health': { status: 'up' }, '/v1/decisions': 'null' }),
  emulatorjs: page,
  forgejo: saying({ '/api/healthz': { status: 'pass' } }),
  freebox: saying({ '/api_version': { api_version: '14.0' } }),
  frigate: saying({ '/api/': 'Frigate is running. Alive and healthy!', '/api/stats': { service: { uptime: 7_200 } } }),
  freshrss: saying({ '/api/greader.php/check/compatibility': 'PASS' }),
  grafana: saying({ '/api/health': { commit: 'a', database: 'ok', version: '13.0.1' } }),
  headscale: saying(() => ({
    '/health': { status: 'pass' },
    '/api/v1/node': { nodes: ['pve1', 'pve2'].map(onlineNode) },
    '/api/v1/apikey': { apiKeys: [] },
  })),
  'home-assistant': saying({
    '/manifest.json': { name: 'Home Assistant' },
    '/api/': { message: 'API running.' },
    '/api/config': { state: 'RUNNING', safe_mode: false, recovery_mode: false },
  }),
  homelable: saying({ '/api/v1/health': { status: 'ok' } }),
  homepage: saying({ '/api/healthcheck': 'up' }),
  immich: saying({ '/api/server/ping': { res: 'pong' } }),
  jellyfin: saying({
    '/health': 'Healthy',
    '/System/Info': { HasPendingRestart: false, Version: '10.10.3' },
    '/ScheduledTasks': [{ Name: 'Clean Cache', LastExecutionResult: null }],
  }),
  jellyseerr: saying({ '/api/v1/settings/public': { initialized: true } }),
  litellm: saying({
    '/health/readiness': { status: 'healthy', db: 'connected' },
    '/key/info': { info: { spend: 1, max_budget: 10 } },
    '/v1/models': { data: [{ id: 'minimax' }] },
  }),
  minio: saying({ '/minio/health/live': '', '/minio/health/cluster': '', '/minio/health/cluster/read': '' }),
  n8n: saying({ '/healthz/readiness': { status: 'ok' } }),
  netbox: page,
  nextcloud: ({ path }) =>
    path === '/status.php'
      ? { body: nextcloudStatus }
      : { body: { ocs: { meta: { statuscode: 200 }, data: { nextcloud: { system: { freespace: 2 ** 40 } } } } } },
  'nginx-proxy': page,
  'nginx-proxy-manager': saying({
    '/api/': { status: 'OK', setup: true, version: { major: 2, minor: 12, revision: 3 } },
    '/api/tokens': { token: 'npm-session', expires: '2099-11-21T12:00:00.000Z' },
    '/api/nginx/proxy-hosts': [{ id: 1, domain_names: ['a.example.org'], enabled: true, meta: { nginx_online: true } }],
    '/api/nginx/certificates': [],
  }),
  'node-red': page,
  ntfy: saying({ '/v1/health': { healthy: true } }),
  ollama: saying({ '/api/version': { version: '0.12.1' }, '/api/ps': { models: [] }, '/api/tags': { models: [] } }),
  openfang: saying({ '/api/health': { status: 'ok' } }),
  paperless,
  patchmon: saying(() => ({ '/health': 'healthy', '/api/v1/api/hosts': { hosts: [patchedHost()], total: 1 } })),
  pentagi: saying({
    '/api/v1/info': { status: 'success', data: { type: 'user' } },
    '/api/v1/flows/': { status: 'success', data: { flows: [], total: 0 } },
  }),
  plane: ({ path }) => (path === '/' ? { body: { status: 'OK' } } : undefined),
  prometheus,
  'victoria-metrics': prometheus,
  qbittorrent,
  searxng: saying({ '/healthz': 'OK' }),
  semaphore: saying({ '/api/ping': 'pong', '/api/projects': [{ id: 1, name: 'a' }], '/api/project/1/templates': [] }),
  syncthing: saying({
    '/rest/noauth/health': { status: 'OK' },
    '/rest/config/folders': [{ id: 'docs', label: 'Documents', paused: false }],
    '/rest/db/status': { state: 'idle', pullErrors: 0, needTotalItems: 0, error: '' },
    '/rest/system/status': { myID: 'AAAAAAA' },
    '/rest/config/devices': [{ deviceID: 'AAAAAAA', name: 'here' }],
    '/rest/system/connections': { connections: {} },
    '/rest/stats/device': {},
  }),
  technitium: ({ path }) =>
    path === '/api/zones/list'
      ? { body: { status: 'ok', response: { zones: [{ name: 'pixelium.internal', type: 'Primary', soaSerial: 7 }] } } }
      : { body: { status: 'ok', server: 'dns1', response: { stats: queryStats } } },
  traefik: ({ path }) => {
    if (path === '/api/certificates') return undefined;
    return path === '/api/overview' ? { body: {} } : { body: [], headers: { 'x-next-page': '1' } };
  },
  unifi,
  'uptime-kuma': saying({
    '/api/entry-page': { type: 'entryPage', entryPage: null },
    '/metrics':
      '# TYPE monitor_status gauge\nmonitor_status{monitor_id="1",monitor_name="Shop",monitor_type="http"} 1\n',
  }),
  vaultwarden: saying(() => ({ '/alive': `"${now()}"` })),
  'wazuh-manager': wazuh(),
  'web-app': page,
  'wg-easy': page,
  website: page,
  wikijs: saying({ '/healthz': { ok: true } }),
  zigbee2mqtt: page,
};

const queryStats = { totalQueries: 1_000, totalServerFailure: 3, blockListZones: 650_000 };

function onlineNode(name: string): object {
  const never = '0001-01-01T00:00:00Z';
  return {
    id: '1',
    name,
    givenName: name,
    online: true,
    lastSeen: now(),
    expiry: never,
    approvedRoutes: [],
    availableRoutes: [],
  };
}

function patchedHost(): object {
  return {
    id: 'id-web',
    friendly_name: 'web',
    hostname: 'web',
    last_update: now(),
    status: 'active',
    reporting_state: 'reporting',
    update_state: 'up_to_date',
    updates_count: 0,
    security_updates_count: 0,
    needs_reboot: false,
  };
}

function paperless(request: ApiRequest): ReturnType<Product> {
  if (request.path !== '/api/status/') return page(request);
  const well = ['redis', 'celery', 'index', 'classifier', 'sanity_check'].map((name) => [`${name}_status`, 'OK']);
  const storage = { total: 1_000, available: 900 };
  return { body: { storage, database: { status: 'OK' }, tasks: Object.fromEntries(well) as object } };
}

const accessPoint = { name: 'AP', mac: '00:11:22:33:44:55', model: 'U6', state: 1, uptime: 7_200 };

function unifi({ path }: ApiRequest): ApiReply | undefined {
  const meta = { rc: 'ok', up: true, server_version: '9.0.114' };
  if (path === '/status') return { body: { meta, data: [] } };
  if (path.endsWith('/login')) return { body: {}, headers: { 'set-cookie': 'unifises=s1; Path=/' } };
  if (path.endsWith('/stat/device')) return { body: { meta, data: [accessPoint] } };
  return path.endsWith('/stat/health') ? { body: { meta, data: [{ subsystem: 'wlan', status: 'ok' }] } } : undefined;
}

function wazuh(): Product {
  const model = new WazuhModel();
  const lastKeepAlive = now();
  model.agents = [{ id: '001', name: 'web', status: 'active', lastKeepAlive, scannedAt: lastKeepAlive }];
  return (request) =>
    request.path === '/security/user/authenticate'
      ? { body: { data: { token: model.token }, error: 0 } }
      : model.answer(request);
}

/** step-ca hands out real certificates: those of an authority that the test made. */
export function stepCa(authority: Authority): Product {
  const root = readFileSync(authority.caFile, 'utf8');
  const resources = ['newNonce', 'newAccount', 'newOrder', 'revokeCert', 'keyChange'];
  return saying({
    '/health': { status: 'ok' },
    '/roots.pem': root,
    '/intermediates.pem': root,
    '/acme/acme/directory': Object.fromEntries(resources.map((name) => [name, 'x'])),
  });
}
