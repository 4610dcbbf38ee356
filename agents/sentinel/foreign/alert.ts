import type { Severity } from '#bus/fields.ts';

/** One condition as another program reports it, whatever its format was. */
export interface ForeignAlert {
  status: 'firing' | 'resolved';
  /** Exactly as they were sent: they are its identity. */
  labels: Readonly<Record<string, string>>;
  /** Labels beside those, which may change while it is the same alert: a display name. */
  more?: Readonly<Record<string, string>>;
  severity: Severity;
  /** `unknown`: the sender could not look. */
  condition: 'problem' | 'unknown';
  summary: string;
  /** What else the sender says, line by line. */
  details: readonly string[];
  /** Epoch ms, as all times here. */
  startsAt?: number;
  /** When it ended; of one that fires: when it is over unless it is told again. */
  endsAt?: number;
  /** When the sender said this, where messages may come late or again. */
  saidAt?: number;
  generatorUrl?: string;
}

/** What one delivery says. */
export type Reading =
  | {
      is: 'alerts';
      alerts: readonly ForeignAlert[];
      /** Reports that ask for nobody's attention. */
      counted?: number;
      /** Why some of it could not be taken. */
      refused?: readonly string[];
    }
  | { is: 'refused'; status: 400 | 401; reason: string };

/** More labels than anybody means; each is stored, told and shown. */
const maximumLabels = 64;
const maximumName = 1_000;
const maximumValue = 10_000;
/** Names and values of one alert together; each open alert is held in memory. */
const maximumCharacters = 16_000;

/** Alertmanager drops labels without a value before it takes the fingerprint. */
export function withoutEmpty(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([name, value]) => name !== '' && value !== ''));
}

/** Why an alert cannot be taken, if so. */
export function faultOf(labels: Readonly<Record<string, string>>): string | undefined {
  const entries = Object.entries(labels);
  if (entries.length === 0) return 'at least one label pair required';
  if (entries.length > maximumLabels) return `${entries.length} labels are more than ${maximumLabels}`;
  if (entries.some(([name]) => name.length > maximumName)) return `a label name is longer than ${maximumName}`;
  const long = entries.find(([, value]) => value.length > maximumValue);
  if (long !== undefined) return `label "${long[0].slice(0, 80)}" is longer than ${maximumValue}`;
  const characters = entries.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  return characters > maximumCharacters ? `its labels are longer than ${maximumCharacters} together` : undefined;
}

/** What could be read of a delivery; the alerts whose labels cannot be taken are refused one by one. */
export function readingOf(alerts: readonly ForeignAlert[], counted = 0): Reading {
  const faults = alerts.map(({ labels }) => faultOf(labels));
  const refused = faults.filter((fault) => fault !== undefined);
  return {
    is: 'alerts',
    alerts: alerts.filter((_, index) => faults[index] === undefined),
    counted,
    ...(refused.length > 0 && { refused }),
  };
}
