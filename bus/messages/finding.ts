import { z } from 'zod';
import { Fingerprint, Ident, Instant, Labels, Line, Severity } from '../fields.ts';
import { defineMessage } from '../message.ts';

/** What was seen at the moment a condition began to hold: typed, bounded, redacted by sentinel. */
export const Evidence = z.object({
  kind: z.enum(['log', 'change', 'values', 'history', 'state']),
  title: z.string().max(120),
  lines: z.array(Line).max(40),
  /** Lines that were left out. */
  truncated: z.number().int().nonnegative().default(0),
});
export type Evidence = z.output<typeof Evidence>;

/** A condition that holds now. Maps one to one to an Alertmanager alert. */
export const Finding = z.object({
  fingerprint: Fingerprint,
  /** One firing of this fingerprint; the same condition firing again later is another occurrence. */
  occurrence: Ident,
  status: z.enum(['firing', 'resolved']),
  /** `problem`: the thing is sick. `unknown`: it could not be looked at. `stale`: it was not looked at. */
  condition: z.enum(['problem', 'unknown', 'stale', 'flapping']),
  severity: Severity,
  /** The check's id in the configuration and its kind. */
  check: Ident,
  kind: Ident,
  /** The inventory's name of the host that it is about, when it is about one. */
  host: Ident.optional(),
  /** What of the host: a mount point, a unit, a container, a URL. */
  resource: z.string().max(300),
  labels: Labels,
  /** The words of another program: they choose no playbook, and no target of one. */
  foreign: z.literal(true).optional(),
  summary: Line,
  value: z.number().optional(),
  unit: z.string().max(20).optional(),
  startsAt: Instant,
  endsAt: Instant.optional(),
  updatedAt: Instant,
  evidence: z.array(Evidence).max(8),
});
export type Finding = z.output<typeof Finding>;

export const finding = defineMessage({
  name: 'finding',
  version: 1,
  payload: Finding,
  filter: 'finding/+',
  identify: (payload) => payload.fingerprint,
  retained: true,
  writers: ['sentinel'],
});
