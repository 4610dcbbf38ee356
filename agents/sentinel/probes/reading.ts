import type { Labels, Severity } from '#bus/fields.ts';
import type { Observation, Threshold } from '#agents/sentinel/check.ts';
import { oneLine, resourceName } from './text.ts';

/** What every observation says, whatever was read. Foreign text may stand in `resource`, `summary` and the labels. */
export interface Said {
  condition: string;
  resource: string;
  summary: string;
  labels?: Labels;
  clues?: Labels;
  holdMs?: number;
  /** It is about another machine, or in the words of another program: its labels choose no playbook, and no target. */
  foreign?: true;
  /** While this is bad or unknown nothing else could be looked at: what was found before stays as it is. */
  hidesRest?: boolean;
}

/** A condition that holds or does not. */
export function state(said: Said & { ok: boolean; severity: Severity }): Observation {
  const { ok, severity, ...words } = said;
  return { ...bounded(words), reading: { is: 'state', ok, severity } };
}

/** Limits of a level; those that are absent never fire. `clear` is five hundredths of the trigger on the good side. */
export interface Limits {
  bad: 'above' | 'below';
  warning?: number | undefined;
  critical?: number | undefined;
}

/** A value with limits. */
export function level(said: Said & Limits & { value: number; unit: string }): Observation {
  const { value, unit, bad, warning, critical, ...words } = said;
  return {
    ...bounded(words),
    reading: {
      is: 'level',
      value,
      unit,
      bad,
      ...(warning !== undefined && { warning: threshold(warning, bad) }),
      ...(critical !== undefined && { critical: threshold(critical, bad) }),
    },
  };
}

/** The thing rests as its owner wishes. */
export function asleep(said: Said, reason: string): Observation {
  return { ...bounded(said), reading: { is: 'asleep', reason: oneLine(reason, 300) } };
}

/** The thing could not be looked at. */
export function unseen(said: Omit<Said, 'summary'>, reason: string): Observation {
  const why = oneLine(reason === '' ? 'no reason was given' : reason, 300);
  return {
    ...bounded({ ...said, summary: `cannot look at ${said.resource}: ${why}` }),
    reading: { is: 'unknown', reason: why },
  };
}

const clearShare = 0.05;

function threshold(trigger: number, bad: Limits['bad']): Threshold {
  const slack = Math.abs(trigger) * clearShare;
  return { trigger, clear: bad === 'above' ? trigger - slack : trigger + slack };
}

function bounded<S extends Said>(said: S): S {
  return { ...said, resource: resourceName(said.resource) || '-', summary: oneLine(said.summary).replace(/\.+$/, '') };
}
