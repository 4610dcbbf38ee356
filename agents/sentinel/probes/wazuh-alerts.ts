import { z } from 'zod';
import type { Observation } from '#agents/sentinel/check.ts';
import { state } from './reading.ts';
import { counted, oneLine } from './text.ts';

const Buckets = z.object({
  buckets: z.array(z.object({ key: z.union([z.string(), z.number()]), doc_count: z.number() })).default([]),
});

const Total = z.object({ value: z.number() });

/** A search in `wazuh-alerts-4.x-*` whose documents are those of a high level. */
export const AlertSearch = z.object({
  timed_out: z.boolean().default(false),
  _shards: z.object({ failed: z.number() }).default({ failed: 0 }),
  hits: z.object({
    total: Total,
    hits: z.array(
      z.object({
        _source: z.object({
          timestamp: z.string().default(''),
          rule: z.object({
            id: z.coerce.string(),
            level: z.coerce.number(),
            description: z.string().default(''),
          }),
          agent: z.object({ id: z.string().default(''), name: z.string().default('') }).default({ id: '', name: '' }),
          location: z.string().default(''),
          full_log: z.string().default(''),
          data: z.object({ srcip: z.string().optional() }).loose().optional(),
        }),
      }),
    ),
  }),
  aggregations: z.object({ levels: Buckets }).optional(),
});
export type AlertSearch = z.output<typeof AlertSearch>;

/** A search in `wazuh-states-vulnerabilities-*` whose documents are the newest critical ones. */
export const VulnerabilitySearch = z.object({
  timed_out: z.boolean().default(false),
  _shards: z.object({ failed: z.number() }).default({ failed: 0 }),
  hits: z.object({
    hits: z.array(
      z.object({
        _source: z.object({
          agent: z.object({ name: z.string().default('') }).default({ name: '' }),
          package: z
            .object({ name: z.string().default(''), version: z.string().default('') })
            .loose()
            .optional(),
          vulnerability: z.object({
            id: z.string(),
            severity: z.string().default('-'),
            detected_at: z.string().default(''),
          }),
        }),
      }),
    ),
  }),
  aggregations: z.object({
    severities: Buckets,
    critical: z.object({ agents: Buckets }),
    fresh: z.object({ severities: Buckets }),
  }),
});
export type VulnerabilitySearch = z.output<typeof VulnerabilitySearch>;

/** Levels of rules run from 0 to 15. Reads only: the indexer's way to search is POST. */
export function alertQuery(of: { since: string; critical: number; size: number }): Record<string, unknown> {
  return {
    size: of.size,
    track_total_hits: true,
    sort: [{ timestamp: 'desc' }],
    query: { bool: { filter: [{ range: { timestamp: { gte: of.since } } }] } },
    post_filter: { range: { 'rule.level': { gte: of.critical } } },
    aggs: { levels: { terms: { field: 'rule.level', size: 20 } } },
  };
}

export function vulnerabilityQuery(since: string): Record<string, unknown> {
  const severities = { terms: { field: 'vulnerability.severity', size: 10 } };
  const isCritical = { term: { 'vulnerability.severity': 'Critical' } };
  return {
    size: 30,
    sort: [{ 'vulnerability.detected_at': 'desc' }],
    query: { match_all: {} },
    post_filter: isCritical,
    aggs: {
      severities,
      critical: { filter: isCritical, aggs: { agents: { terms: { field: 'agent.name', size: 200 } } } },
      fresh: { filter: { range: { 'vulnerability.detected_at': { gte: since } } }, aggs: { severities } },
    },
  };
}

/** A search that timed out or missed a shard counted too little. */
export function incomplete(search: { timed_out: boolean; _shards: { failed: number } }): string | undefined {
  if (search.timed_out) return 'the search timed out';
  return search._shards.failed > 0 ? `${counted(search._shards.failed, 'shard')} could not be searched` : undefined;
}

/** Alerts of a high level, one for each rule and agent, and the count of those of a middle one. */
export function observeAlerts(
  search: AlertSearch,
  of: { critical: number; count: number; many: number; span: string },
): Observation[] {
  const condition = 'wazuh-alert';
  const levels = search.aggregations?.levels.buckets ?? [];
  const upFrom = (least: number): number =>
    levels.reduce((sum, { key, doc_count: count }) => (Number(key) >= least ? sum + count : sum), 0);
  const high = search.hits.hits.map(({ _source: source }) => source).filter(({ rule }) => rule.level >= of.critical);
  const groups = Map.groupBy(
    high,
    ({ rule, agent }) => `rule ${rule.id} on ${agent.name || agent.id || 'an unknown agent'}`,
  );
  const noted = upFrom(of.count);
  return [
    state({
      condition,
      resource: 'alerts',
      summary: `${counted(upFrom(0), 'alert')} in ${of.span}, ${noted} of level ${of.count} and more, ${upFrom(of.critical)} of level ${of.critical} and more`,
      ok: true,
      severity: 'critical',
    }),
    state({
      condition: 'wazuh-alerts-many',
      resource: 'alerts',
      holdMs: 0,
      summary: `${counted(noted, 'alert')} of level ${of.count} and more in ${of.span}`,
      ok: noted < of.many,
      severity: 'warning',
    }),
    ...[...groups].slice(0, 100).map(([resource, own]) => {
      const [last] = own;
      const from = last?.data?.srcip === undefined ? '' : ` from ${oneLine(last.data.srcip, 60)}`;
      return state({
        condition,
        resource,
        holdMs: 0,
        labels: { agent: oneLine(last?.agent.name ?? '', 200), rule: oneLine(last?.rule.id ?? '', 40) },
        summary: `level ${last?.rule.level}: ${oneLine(last?.rule.description ?? '', 200)}${from}, ${counted(own.length, 'time')}`,
        ok: false,
        severity: 'critical',
      });
    }),
  ];
}

/** `CVE-2026-1 openssl 3.0.1 on web`: what a person looks for. */
export function vulnerabilityLine({
  agent,
  package: of,
  vulnerability,
}: VulnerabilitySearch['hits']['hits'][number]['_source']): string {
  return `${vulnerability.id} ${of?.name ?? '-'} ${of?.version ?? ''} on ${agent.name || 'an unknown agent'}`;
}

export function observeVulnerabilities(search: VulnerabilitySearch, span: string): Observation[] {
  const { severities, critical, fresh } = search.aggregations;
  const said = severities.buckets.map(({ key, doc_count: count }) => `${count} ${oneLine(String(key), 20)}`).join(', ');
  const news = Object.fromEntries(fresh.severities.buckets.map(({ key, doc_count: count }) => [String(key), count]));
  const freshCritical = news['Critical'] ?? 0;
  const listed = search.hits.hits
    .slice(0, Math.min(3, freshCritical))
    .map(({ _source: source }) => vulnerabilityLine(source))
    .join('; ');
  return [
    state({
      condition: 'vulnerabilities',
      resource: 'vulnerabilities',
      summary: `vulnerabilities of all agents: ${said === '' ? 'none' : said}`,
      ok: true,
      severity: 'info',
    }),
    state({
      condition: 'vulnerabilities-new',
      resource: 'vulnerabilities',
      holdMs: 0,
      summary: `${freshCritical} critical and ${news['High'] ?? 0} high vulnerabilities are new in ${span}${listed === '' ? '' : `: ${listed}`}`,
      ok: freshCritical === 0,
      severity: 'warning',
    }),
    ...critical.agents.buckets.map(({ key, doc_count: count }) =>
      state({
        condition: 'vulnerabilities-critical',
        resource: String(key),
        labels: { agent: oneLine(String(key), 200) },
        holdMs: 0,
        summary: `${count} critical ${count === 1 ? 'vulnerability' : 'vulnerabilities'} on ${oneLine(String(key), 200)}`,
        ok: false,
        severity: 'warning',
      }),
    ),
  ];
}
