import type { Severity } from '#bus/fields.ts';
import { compareSeverity } from '#bus/fields.ts';
import type { Observation } from '#agents/sentinel/check.ts';
import { asleep, state, unseen } from './reading.ts';
import { conditionName } from './rule-file.ts';
import { severityOf } from './rule-result.ts';
import { carriedLabels, seriesName } from './series.ts';

/** An alert that another program found. */
export interface ForeignAlert {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** Why nobody is to be told of it. */
  muted?: string;
  /** Why it says nothing of the thing itself. */
  blind?: string;
}

/** What only names the rule or the way to people. */
const unspecific = new Set(['alertname', 'grafana_folder', 'ref_id', 'rulename', 'datasource_uid', 'alertgroup']);
const maximumAlerts = 1_000;

/** The alerts of another program, each once: it has already waited as long as its rule says. */
export function foreignAlerts(
  alerts: readonly ForeignAlert[],
  severities: Readonly<Record<string, Severity>>,
): Observation[] {
  const kept = new Map<string, Observation>();
  for (const alert of alerts.slice(0, maximumAlerts)) {
    const observation = observationOf(alert, severities);
    const key = `${observation.condition}\0${observation.resource}`;
    const other = kept.get(key);
    if (other === undefined || isWorse(observation, other)) kept.set(key, observation);
  }
  return [...kept.values()];
}

function observationOf(alert: ForeignAlert, severities: Readonly<Record<string, Severity>>): Observation {
  const labels = Object.fromEntries(Object.entries(alert.labels).filter(([name]) => !name.startsWith('__')));
  // Grafana renames what has no data; the rule's own name is a label then.
  const name = (alert.blind === undefined ? undefined : labels['rulename']) ?? labels['alertname'] ?? 'unnamed';
  const resource = seriesName(labels, unspecific) || name;
  const { summary, description, message } = alert.annotations;
  const words = [summary, description, message].find((text) => text !== undefined && text.trim() !== '');
  const said = {
    condition: conditionName(name),
    resource,
    summary: words ?? (resource === name ? name : `${name}: ${resource}`),
    labels: carriedLabels(labels),
    holdMs: 0,
  };
  const severity = severityOf(labels['severity'], severities);
  return { ...reading(alert, said, severity), alertname: name.slice(0, 200), foreign: true };
}

function reading(alert: ForeignAlert, said: Parameters<typeof asleep>[0], severity: Severity): Observation {
  if (alert.blind !== undefined) return unseen(said, alert.blind);
  if (alert.muted !== undefined) return asleep(said, alert.muted);
  return state({ ...said, ok: false, severity });
}

function isWorse(a: Observation, b: Observation): boolean {
  const [x, y] = [a.reading, b.reading];
  if (x.is !== 'state' || y.is !== 'state') return x.is === 'state';
  return compareSeverity(x.severity, y.severity) > 0;
}
