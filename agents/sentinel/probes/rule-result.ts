import type { Severity } from '#bus/fields.ts';
import type { Observation } from '#agents/sentinel/check.ts';
import { expandTemplate, type TemplateData } from './go-template.ts';
import type { Sample } from './prometheus-api.ts';
import { state, unseen } from './reading.ts';
import type { AlertRule } from './rule-file.ts';
import { carriedLabels, seriesName } from './series.ts';
import { counted } from './text.ts';

/** What people write into the label `severity`. */
const severities: Readonly<Record<string, Severity>> = {
  critical: 'critical',
  crit: 'critical',
  page: 'critical',
  emergency: 'critical',
  disaster: 'critical',
  fatal: 'critical',
  high: 'critical',
  error: 'critical',
  major: 'critical',
  warning: 'warning',
  warn: 'warning',
  medium: 'warning',
  average: 'warning',
  minor: 'warning',
  ticket: 'warning',
  info: 'info',
  information: 'info',
  informational: 'info',
  low: 'info',
  notice: 'info',
  none: 'info',
  debug: 'info',
};

/** The severity that a label means; `table` goes first. An unknown or missing one is a warning. */
export function severityOf(label: string | undefined, table: Readonly<Record<string, Severity>> = {}): Severity {
  const word = (label ?? '').trim().toLowerCase();
  return ownValue(table, label ?? '') ?? ownValue(table, word) ?? ownValue(severities, word) ?? 'warning';
}

function ownValue(table: Readonly<Record<string, Severity>>, key: string): Severity | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

interface RuleWords {
  severities: Readonly<Record<string, Severity>>;
  externalLabels: Readonly<Record<string, string>>;
}

/** More alerts of one rule than anybody reads. */
const maximumAlerts = 200;

export function ruleResource(rule: Pick<AlertRule, 'alert'>): string {
  return `rule ${rule.alert}`;
}

/** The alerts of a rule: one for each series that its expression gave. */
export function ruleAlerts(rule: AlertRule, samples: readonly Sample[], words: RuleWords): Observation[] {
  const named = new Map(samples.map((sample) => [seriesName(sample.labels) || rule.alert, sample]));
  const alerts = [...named]
    .slice(0, maximumAlerts)
    .map(([resource, sample]) => alertOf(rule, { resource, sample }, words));
  const left = named.size - alerts.length;
  if (left === 0) return alerts;
  const said = { condition: rule.condition, resource: ruleResource(rule) };
  return [...alerts, unseen(said, `${counted(left, 'more alert')} of ${rule.alert}`)];
}

function alertOf(rule: AlertRule, of: { resource: string; sample: Sample }, words: RuleWords): Observation {
  const { labels: series, value } = of.sample;
  const { __name__: _name, ...own } = series;
  const data: TemplateData = { labels: series, value, externalLabels: words.externalLabels };
  const fromRule = Object.entries(rule.labels).map(([name, text]) => [name, expandTemplate(text, data)] as const);
  const labels = Object.fromEntries([...Object.entries(own), ...fromRule]);
  const severity = severityOf(labels['severity'], words.severities);
  return {
    ...state({
      condition: rule.condition,
      resource: of.resource,
      summary: summaryOf(rule, data, of.resource),
      labels: carriedLabels(labels),
      holdMs: rule.holdMs,
      ok: false,
      severity,
    }),
    alertname: rule.alert.slice(0, 200),
    keepFiringMs: rule.keepFiringMs,
  };
}

function summaryOf(rule: AlertRule, data: TemplateData, resource: string): string {
  for (const name of ['summary', 'description', 'message', 'title']) {
    const text = expandTemplate(rule.annotations[name] ?? '', data).trim();
    if (text !== '') return text;
  }
  return resource === rule.alert ? rule.alert : `${rule.alert}: ${resource}`;
}
