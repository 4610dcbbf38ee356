import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './wazuh-indexer.ts';

process.env['LARES_TEST_INDEXER'] = 'indexer-test-password';
const login = { user: 'lares', password: { env: 'LARES_TEST_INDEXER' } };
kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}`, ...login }));

const now = Date.parse('2026-11-20T12:00:00Z');
afterEach(closeHttpAgents);

function watcher(given: object): (at?: number) => Promise<Observation[]> {
  const options = check.options.parse({ ...login, ...given });
  const context = checkContext();
  return (at = now) => check.observe(options, { ...context, clock: createVirtualClock(at) });
}

interface House {
  status?: string;
  alerts?: {
    timestamp: string;
    rule: { id: string; level: number; description: string };
    agent: object;
    data?: object;
  }[];
  vulnerabilities?: { agent: string; severity: string; at: string }[];
  failedShards?: number;
}

const counts = (keys: (string | number)[]) => ({
  buckets: [...Map.groupBy(keys, (key) => key)].map(([key, own]) => ({ key, doc_count: own.length })),
});
const hits = (sources: object[]) => ({
  total: { value: sources.length, relation: 'eq' },
  hits: sources.slice(0, 50).map((source) => ({ _index: 'wazuh', _source: source })),
});

interface AlertBody {
  query: { bool: { filter: [{ range: { timestamp: { gte: string } } }] } };
  post_filter: { range: { 'rule.level': { gte: number } } };
}

function alertsOf({ alerts = [], failedShards = 0 }: House, body: AlertBody) {
  const { gte } = body.query.bool.filter[0].range.timestamp;
  const recent = alerts.filter(({ timestamp }) => timestamp >= gte);
  const high = recent.filter(({ rule }) => rule.level >= body.post_filter.range['rule.level'].gte);
  const levels = counts(recent.map(({ rule }) => rule.level));
  return { timed_out: false, _shards: { failed: failedShards }, hits: hits(high), aggregations: { levels } };
}

function vulnerabilitiesOf(
  { vulnerabilities = [] }: House,
  body: { aggs: { fresh: { filter: { range: Record<string, { gte: string }> } } } },
) {
  const since = body.aggs.fresh.filter.range['vulnerability.detected_at']?.gte ?? '';
  const critical = vulnerabilities.filter(({ severity }) => severity === 'Critical');
  const severities = (of: typeof vulnerabilities) => counts(of.map(({ severity }) => severity));
  const aggregations = {
    severities: severities(vulnerabilities),
    critical: { doc_count: critical.length, agents: counts(critical.map(({ agent }) => agent)) },
    fresh: { severities: severities(vulnerabilities.filter(({ at }) => at >= since)) },
  };
  const sources = critical.map(({ agent, severity, at }) => ({
    agent: { name: agent },
    package: { name: 'openssl', version: '3.0.1' },
    vulnerability: { id: 'CVE-2026-1', severity, detected_at: at },
  }));
  return { timed_out: false, _shards: { failed: 0 }, hits: hits(sources), aggregations };
}

/** OpenSearch as far as it is asked: it filters by time and level, and counts. */
function indexer(house: House) {
  const good = `Basic ${Buffer.from('lares:indexer-test-password').toString('base64')}`;
  return ({ path, body, headers }: ApiRequest) => {
    if (headers.authorization !== good) return { status: 401, body: 'Unauthorized' };
    if (path === '/_cluster/health') {
      return { body: { status: house.status ?? 'green', number_of_nodes: 1, unassigned_shards: 3 } };
    }
    if (path === '/wazuh-alerts-*/_search') return { body: alertsOf(house, JSON.parse(body) as AlertBody) };
    if (path !== '/wazuh-states-vulnerabilities-*/_search') return undefined;
    return { body: vulnerabilitiesOf(house, JSON.parse(body) as Parameters<typeof vulnerabilitiesOf>[1]) };
  };
}

const alert = (level: number, timestamp = '2026-11-20T11:55:00.000Z') => ({
  timestamp,
  rule: { id: '5712', level, description: 'sshd: brute force trying to get access' },
  agent: { id: '001', name: 'web' },
  full_log: 'Failed password for root',
  data: { srcip: '203.0.113.50' },
});

describe('the indexer', () => {
  test('that is green, or yellow as a single node, is well; red is critical', async () => {
    const house: House = { status: 'yellow' };
    await using api = await startFakeApi(indexer(house));
    expect(words(await watcher({ url: api.url })())).toEqual([
      'indexer-down indexer ok',
      'indexer-unhealthy indexer ok',
      'wazuh-alert alerts ok',
      'wazuh-alerts-many alerts ok',
    ]);
    expect(problems(await watcher({ url: api.url, singleNode: false })())[0]).toMatch(/^warning indexer-unhealthy/);
    house.status = 'red';
    expect(problems(await watcher({ url: api.url })())).toEqual([
      'critical indexer-unhealthy: the indexer is red, 1 node, 3 shards without a place',
    ]);
  });

  test('tells alerts of level 12 by rule and agent, counts those of level 7, and forgets old ones', async () => {
    const house: House = { alerts: [alert(13), alert(12), alert(8), alert(3), alert(14, '2026-11-20T10:00:00.000Z')] };
    await using api = await startFakeApi(indexer(house));
    const look = watcher({ url: api.url, many: 3 });
    const found = await look();
    expect(problems(found)).toEqual([
      'warning wazuh-alerts-many: 3 alerts of level 7 and more in 15m',
      'critical wazuh-alert: level 13: sshd: brute force trying to get access from 203.0.113.50, 2 times',
    ]);
    expect(found.find(({ condition, resource }) => condition === 'wazuh-alert' && resource === 'alerts')?.summary).toBe(
      '4 alerts in 15m, 3 of level 7 and more, 2 of level 12 and more',
    );
    const options = check.options.parse({ url: api.url, ...login });
    const context = checkContext({ clock: createVirtualClock(now) });
    const [evidence] = await check.evidence.gather(options, context, found.at(-1) as Observation);
    expect(evidence?.lines.length).toBe(3);
    expect(problems(await look(now + 9 * 60_000)).length).toBe(2);
    expect(problems(await look(now + 40 * 60_000))).toEqual([]);
  });

  test('that searched only some of its shards is unknown in its alerts', async () => {
    await using api = await startFakeApi(indexer({ failedShards: 1 }));
    expect(words(await watcher({ url: api.url })())).toContain('wazuh-alert alerts unknown');
  });

  test('tells vulnerabilities by severity, new critical ones and the agents that have them', async () => {
    const old = '2026-11-01T00:00:00Z';
    const vulnerabilities = [
      { agent: 'web', severity: 'Critical', at: '2026-11-20T08:00:00Z' },
      { agent: 'db', severity: 'Critical', at: old },
      { agent: 'db', severity: 'High', at: old },
    ];
    await using api = await startFakeApi(indexer({ vulnerabilities }));
    const found = await watcher({ url: api.url, look: ['vulnerabilities'] })();
    expect(problems(found)).toEqual([
      'warning vulnerabilities-new: 1 critical and 0 high vulnerabilities are new in 1d: CVE-2026-1 openssl 3.0.1 on web',
      'warning vulnerabilities-critical: 1 critical vulnerability on web',
      'warning vulnerabilities-critical: 1 critical vulnerability on db',
    ]);
    expect(found[1]?.summary).toBe('vulnerabilities of all agents: 2 Critical, 1 High');
    const context = checkContext({ clock: createVirtualClock(now) });
    const options = check.options.parse({ url: api.url, ...login });
    const [evidence] = await check.evidence.gather(options, context, found.at(-1) as Observation);
    expect(evidence?.lines).toEqual(['CVE-2026-1 openssl 3.0.1 on db']);
  });

  test('that refuses the password or knows no such index is unknown, never well', async () => {
    await using api = await startFakeApi(indexer({}));
    expect(words(await watcher({ url: api.url, password: { env: 'HOME' } })())).toEqual([
      'indexer-down indexer unknown',
    ]);
    const found = await watcher({ url: api.url, alerts: 'other-*' })();
    expect(words(found)).toContain('wazuh-alert alerts unknown');
  });
});
