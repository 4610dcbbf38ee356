import { z } from 'zod';
import { compareSeverity, Severity } from '#bus/fields.ts';
import type { Observation } from '#agents/sentinel/check.ts';
import { matchesAny } from './glob.ts';
import { asleep, state, unseen } from './reading.ts';
import { conditionName } from './rule-file.ts';
import { severityOf } from './rule-result.ts';
import { carriedLabels, seriesName } from './series.ts';

/** The keys of every kind that takes alerts over. */
export const alertOptions = {
  severities: z
    .record(z.string().max(60), Severity)
    .default({})
    .describe('What values of the label `severity` mean, beside the usual ones such as page and warn.'),
  ignore: z
    .array(z.string().max(200))
    .max(200)
    .default(['Watchdog', 'DeadMansSwitch', 'InfoInhibitor'])
    .describe('Names of alerts to leave out; `*` stands for any text. Default: those that fire while all is well.'),
};

export interface AlertOptions {
  severities: Readonly<Record<string, Severity>>;
  ignore: readonly string[];
}

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
export function foreignAlerts(alerts: readonly ForeignAlert[], { severities, ignore }: AlertOptions): Observation[] {
  const kept = new Map<string, Observation>();
  const wanted = alerts.filter(({ labels }) => !matchesAny(labels['alertname'] ?? '', ignore));
  for (const alert of wanted.slice(0, maximumAlerts)) {
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
