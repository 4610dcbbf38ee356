import { describe, expect, test } from 'vitest';
import { carry } from '../../test/parts/carry-over.ts';

/** Fields as the backup of Uptime Kuma 1.23 writes them. */
function monitor(id: number, type: string, more: object): object {
  return {
    id,
    name: `m${id}`,
    url: 'https://',
    method: 'GET',
    hostname: null,
    port: null,
    maxretries: 0,
    weight: 2000,
    active: 1,
    type,
    timeout: 48,
    interval: 60,
    retryInterval: 60,
    resendInterval: 0,
    keyword: null,
    invertKeyword: false,
    expiryNotification: true,
    ignoreTls: false,
    upsideDown: false,
    maxredirects: 10,
    accepted_statuscodes: ['200-299'],
    dns_resolve_type: 'A',
    dns_resolve_server: '1.1.1.1',
    docker_container: '',
    docker_host: null,
    headers: null,
    body: null,
    basic_auth_user: null,
    basic_auth_pass: null,
    notificationIDList: { 1: true },
    tags: [],
    parent: null,
    ...more,
  };
}

const kuma = {
  version: '1.23.16',
  notificationList: [{ id: 1, name: 'Telegram', config: '{"telegramBotToken":"planted"}' }],
  monitorList: [
    monitor(1, 'group', { name: 'Media' }),
    monitor(2, 'http', {
      name: 'Jellyfin',
      url: 'https://jellyfin.example.org/health',
      parent: 1,
      interval: 30,
      maxretries: 3,
      retryInterval: 20,
      accepted_statuscodes: ['200-299', '401'],
    }),
    monitor(3, 'keyword', {
      name: 'Cloud',
      url: 'https://cloud.example.org/status.php',
      keyword: '"installed":true',
      ignoreTls: true,
      maxredirects: 0,
    }),
    monitor(4, 'keyword', {
      name: 'No error (1)',
      url: 'http://10.0.0.5/',
      keyword: 'Fatal error (1)',
      invertKeyword: true,
    }),
    monitor(5, 'json-query', {
      name: 'API',
      url: 'https://api.example.org/health',
      jsonPath: '$.data.items[0].up',
      expectedValue: 'true',
    }),
    monitor(6, 'json-query', {
      name: 'Clever',
      url: 'https://api.example.org/',
      jsonPath: '$count(items)',
      expectedValue: '3',
    }),
    monitor(7, 'port', { name: 'SSH', hostname: '192.168.8.80', port: 22 }),
    monitor(8, 'ping', { name: 'Router', hostname: '192.168.8.1', maxretries: 1 }),
    monitor(9, 'dns', {
      name: 'DNS',
      hostname: 'example.org',
      dns_resolve_server: '192.168.8.1',
      dns_resolve_type: 'AAAA',
      port: 5353,
    }),
    monitor(10, 'push', { name: 'Backup job', interval: 86_400, pushToken: 'planted' }),
    monitor(11, 'docker', { name: 'Nextcloud', docker_container: 'nextcloud-app' }),
    monitor(12, 'http', {
      name: 'Private',
      url: 'https://me:planted@priv.example.org/',
      headers: '{"Authorization":"Bearer planted","Accept":"text/html"}',
    }),
    monitor(13, 'http', {
      name: 'Login',
      url: 'https://x.example.org/api',
      method: 'POST',
      body: '{"a":1}',
      httpBodyEncoding: 'json',
      basic_auth_user: 'me',
      basic_auth_pass: 'planted',
    }),
    monitor(14, 'http', { name: 'Paused', url: 'https://x.example.org/', active: 0 }),
    monitor(15, 'http', { name: 'Not up', url: 'https://x.example.org/', upsideDown: true }),
    monitor(16, 'steam', { name: 'Game', hostname: 'game.example.org', port: 27_015 }),
    monitor(17, 'http', { name: 'Jellyfin', url: 'https://second.example.org/' }),
  ],
};

describe('Uptime Kuma', () => {
  const { checks, left, imported } = carry('uptime-kuma', kuma, { host: 'vps' });

  test.each([
    ['Jellyfin', { id: 'jellyfin-2', kind: 'http' }],
    [
      'Cloud',
      {
        kind: 'http',
        contains: '"installed":true',
        verifyTls: false,
        redirects: 0,
        giveUpAfter: '48s',
        timeout: '51s',
      },
    ],
    ['No error (1)', { kind: 'http', matchesNot: String.raw`Fatal error \(1\)` }],
    ['API', { kind: 'http', json: [{ path: 'data.items[0].up', oneOf: [true, 'true'] }] }],
    ['SSH', { kind: 'tcp', address: '192.168.8.80', port: 22 }],
    ['Router', { kind: 'ping', address: '192.168.8.1', for: '60s' }],
    ['DNS', { kind: 'dns', server: '192.168.8.1:5353', name: 'example.org', type: 'AAAA' }],
    ['Backup job', { kind: 'heartbeat', ping: 'backup-job', period: '86400s' }],
    ['Nextcloud', { kind: 'docker-container', host: 'vps', containers: ['nextcloud-app'] }],
    [
      'Login',
      {
        kind: 'http',
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        user: 'me',
        password: { file: 'secrets/login-password' },
      },
    ],
  ])('%s is carried over', (name, check) => {
    expect(checks[name]).toMatchObject(check);
  });

  test('the intervals, retries, groups and statuses go along', () => {
    expect(imported.carried.find(({ check }) => check.id === 'jellyfin')?.check).toMatchObject({
      every: '30s',
      for: '60s',
      status: ['200-299', 401],
      labels: { group: 'Media' },
    });
  });

  test('what cannot be carried over is named with its reason', () => {
    expect(left).toEqual({
      Clever: 'its JSON query is more than a path',
      Paused: 'is paused',
      'Not up': expect.stringContaining('upside down'),
      Game: 'there is no kind of check for a "steam" monitor',
    });
    expect(carry('uptime-kuma', kuma).left['Nextcloud']).toContain('--host');
  });

  test('secrets go to files, and nowhere else', () => {
    expect(JSON.stringify([checks, left])).not.toContain('planted');
    expect(checks['Private']).toMatchObject({
      url: 'https://priv.example.org/',
      headers: { Accept: 'text/html' },
      headersFrom: { Authorization: { file: 'secrets/private-authorization' } },
      user: 'me',
      password: { file: 'secrets/private-password' },
    });
    expect(imported.secrets.map(({ file }) => file)).toContain('secrets/login-password');
  });

  test('every check that is carried over is one that its kind takes', () => {
    const { accepted } = carry('uptime-kuma', kuma, { host: 'vps' });
    expect(accepted.carried.map(({ entry }) => entry)).toEqual(imported.carried.map(({ entry }) => entry));
  });

  test.each([
    ['a list', kuma.monitorList],
    ['a list by identity', { monitorList: Object.fromEntries(kuma.monitorList.map((row, index) => [index, row])) }],
  ])('is read from %s too', (_how, value) => {
    expect(carry('uptime-kuma', value, { host: 'vps' }).imported.carried).toHaveLength(imported.carried.length);
  });
});
