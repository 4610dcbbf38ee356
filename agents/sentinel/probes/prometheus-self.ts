import type { SelfMetric } from './self-metrics.ts';

type MetricsProduct = 'prometheus' | 'victoria-metrics' | 'vmagent' | 'vmalert';

export const productNames: Readonly<Record<MetricsProduct, string>> = {
  prometheus: 'Prometheus',
  'victoria-metrics': 'VictoriaMetrics',
  vmagent: 'vmagent',
  vmalert: 'vmalert',
};

function reload(metric: string): SelfMetric {
  return {
    metric,
    bad: 'zero',
    condition: 'config-reload-failed',
    severity: 'warning',
    says: () => 'its configuration could not be loaded; the one before is in force',
  };
}

function storage(metric: string, what: string): SelfMetric {
  return {
    metric,
    bad: 'rising',
    condition: 'metrics-storage-failing',
    severity: 'warning',
    says: () => `its storage fails: ${what}`,
  };
}

function untold(metric: string, by?: string): SelfMetric {
  return {
    metric,
    bad: 'rising',
    condition: 'alerts-not-sent',
    severity: 'critical',
    ...(by !== undefined && { by }),
    says: (where) => `alerts do not reach ${where === '' ? 'Alertmanager' : where}`,
  };
}

/** What each product tells of itself, by the names of Prometheus 2.42 to 3.5 and VictoriaMetrics 1.79 to 1.145. */
export const selfMetrics: Readonly<Record<MetricsProduct, readonly SelfMetric[]>> = {
  prometheus: [
    reload('prometheus_config_last_reload_successful'),
    untold('prometheus_notifications_dropped_total'),
    untold('prometheus_notifications_errors_total', 'alertmanager'),
    {
      metric: 'prometheus_rule_evaluation_failures_total',
      bad: 'rising',
      condition: 'rule-evaluation-failing',
      severity: 'warning',
      by: 'rule_group',
      says: (group) => `rules of ${group === '' ? 'a group' : group} cannot be evaluated`,
    },
    storage('prometheus_tsdb_compactions_failed_total', 'compactions fail'),
    storage('prometheus_tsdb_wal_corruptions_total', 'the write-ahead log is corrupt'),
    storage('prometheus_tsdb_wal_writes_failed_total', 'the write-ahead log cannot be written'),
    storage('prometheus_tsdb_head_truncations_failed_total', 'old samples cannot be written to disk'),
  ],
  'victoria-metrics': [
    reload('vm_promscrape_config_last_reload_successful'),
    {
      metric: 'vm_storage_is_read_only',
      bad: 'one',
      condition: 'metrics-read-only',
      severity: 'critical',
      says: () => 'it writes nothing any more because its disk is full',
    },
    {
      metric: 'vm_rows_ignored_total',
      bad: 'rising',
      condition: 'rows-ignored',
      severity: 'info',
      by: 'reason',
      says: (reason) => `samples are thrown away: ${reason === '' ? 'no reason is given' : reason}`,
    },
  ],
  vmagent: [
    reload('vmagent_promscrape_config_last_reload_successful'),
    reload('vm_promscrape_config_last_reload_successful'),
    {
      metric: 'vmagent_remotewrite_packets_dropped_total',
      bad: 'rising',
      condition: 'samples-dropped',
      severity: 'warning',
      by: 'url',
      says: (url) => `samples for ${url === '' ? 'the database' : url} are thrown away`,
    },
  ],
  vmalert: [
    reload('vmalert_config_last_reload_successful'),
    untold('vmalert_alerts_send_errors_total', 'addr'),
    {
      metric: 'vmalert_execution_errors_total',
      bad: 'rising',
      condition: 'rule-evaluation-failing',
      severity: 'warning',
      says: () => 'rules cannot be evaluated',
    },
  ],
};

/** Read beside them, for levels. */
export const gauges: Readonly<Record<MetricsProduct, readonly string[]>> = {
  prometheus: ['prometheus_tsdb_head_series', 'prometheus_notifications_alertmanagers_discovered'],
  'victoria-metrics': ['vm_free_disk_space_bytes', 'vm_app_version'],
  vmagent: ['vm_app_version'],
  vmalert: ['vm_app_version'],
};
