import { describe, expect, test } from 'vitest';
import { carry } from '../../test/parts/carry-over.ts';

/** After the examples that Gatus ships and documents. */
const gatus = `
endpoints:
  - name: front-end
    group: core
    url: "https://twin.sh/health"
    interval: 5m
    conditions:
      - "[STATUS] == 200"
      - "[BODY].status == UP"
      - "[RESPONSE_TIME] < 150"
      - "[CERTIFICATE_EXPIRATION] > 48h"
    alerts: [{ type: telegram, failure-threshold: 2, send-on-resolved: true }, { type: slack, failure-threshold: 5 }]
  - name: articles
    url: "https://example.org/api"
    method: POST
    body: "{}"
    headers: { Content-Type: application/json, X-Api-Key: planted, Authorization: "Bearer \${TOKEN}" }
    client: { insecure: true, timeout: 10s, ignore-redirect: true }
    conditions:
      - "[STATUS] == any(200, 204)"
      - "len([BODY].articles) > 5"
      - "has([BODY].errors) == false"
      - "[BODY].articles[0].author == any(ann, 7)"
      - "[BODY].ratio > 0.9"
      - "[BODY].name == pat(john*)"
      - "[IP] == 10.0.0.1"
  - { name: text, url: "http://10.0.0.5/", conditions: ["[STATUS] < 300", "[BODY] == pat(*<h1>Hi (you)</h1>*)"] }
  - { name: example-dns-query, url: "8.8.8.8", dns: { query-name: "example.com.", query-type: "A" }, conditions: ["[BODY] == pat(*.*.*.*)", "[DNS_RCODE] == NOERROR"] }
  - { name: blocked, url: "8.8.8.8:53", dns: { query-name: "ads.example.com", query-type: "AAAA" }, conditions: ["[DNS_RCODE] == NXDOMAIN"] }
  - { name: icmp-ping, url: "icmp://example.org", interval: 1m, conditions: ["[CONNECTED] == true"] }
  - { name: broker, url: "tcp://10.0.0.7:1883", conditions: ["[CONNECTED] == true"] }
  - { name: web tcp, url: "tcp://10.0.0.7:80", conditions: ["[CONNECTED] == true"] }
  - { name: mail, url: "tls://mail.example.org:993", conditions: ["[CERTIFICATE_EXPIRATION] > 168h"] }
  - { name: shell, url: "ssh://example.org:22", conditions: ["[CONNECTED] == true"] }
  - { name: domain, url: "https://example.org/", interval: 1h, conditions: ["[DOMAIN_EXPIRATION] > 720h"] }
  - { name: secret, url: "https://example.org/?key=\${KEY}", conditions: ["[STATUS] == 200"] }
  - { name: off, enabled: false, url: "https://example.org/", conditions: ["[STATUS] == 200"] }
external-endpoints:
  - { name: backup, group: jobs, token: planted, heartbeat: { interval: 24h } }
`;

describe('Gatus', () => {
  const { checks, left, imported, accepted } = carry('gatus', gatus);

  test.each([
    [
      'core/front-end',
      {
        kind: 'http',
        every: '5m',
        for: '5m',
        status: [200],
        json: [{ path: 'status', equals: 'UP' }],
        slowAfter: '150ms',
        labels: { group: 'core' },
      },
    ],
    [
      'articles',
      {
        method: 'POST',
        body: '{}',
        status: [200, 204],
        headers: { 'Content-Type': 'application/json' },
        headersFrom: { 'X-Api-Key': { file: 'secrets/articles-x-api-key' } },
        verifyTls: false,
        redirects: 0,
        giveUpAfter: '10s',
        timeout: '13s',
        json: [
          { path: 'articles', atLeast: 6 },
          { path: 'errors', exists: false },
          { path: 'articles[0].author', oneOf: ['ann', 7, '7'] },
          { path: 'ratio', above: 0.9 },
          { path: 'name', matches: String.raw`^john[\s\S]*$` },
        ],
      },
    ],
    ['text', { status: ['100-299'], contains: '<h1>Hi (you)</h1>' }],
    ['example-dns-query', { kind: 'dns', server: '8.8.8.8', name: 'example.com' }],
    ['blocked', { kind: 'dns', server: '8.8.8.8:53', type: 'AAAA', missing: true }],
    ['icmp-ping', { kind: 'ping', address: 'example.org' }],
    ['broker', { kind: 'tcp', address: '10.0.0.7', port: 1883 }],
    ['web tcp', { kind: 'tcp', port: 80 }],
    ['mail', { kind: 'tls-expiry', address: 'mail.example.org', port: 993 }],
    ['jobs/backup', { kind: 'heartbeat', ping: 'jobs-backup', period: '1d' }],
  ])('%s is carried over', (name, check) => {
    expect(checks[name]).toMatchObject(check);
  });

  test('what is otherwise, or not carried over, is named', () => {
    expect(imported.carried.find(({ entry }) => entry === 'articles')?.notes).toEqual([
      'its header Authorization comes from the environment: put it below headersFrom',
      'its condition "[IP] == 10.0.0.1" is not carried over',
    ]);
    expect(left).toEqual({
      shell: 'there is no kind of check for "ssh://"',
      domain: expect.stringContaining('none of its conditions'),
      secret: expect.stringContaining('variable of the environment'),
      off: 'is not enabled',
    });
    expect(JSON.stringify([checks, left])).not.toContain('planted');
  });

  test('every check that is carried over is one that its kind takes', () => {
    expect(accepted.carried).toHaveLength(imported.carried.length);
  });
});
