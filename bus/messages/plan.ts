import { z } from 'zod';
import { Digest, Fingerprint, Ident, Instant, Line, Parameters, Text } from '../fields.ts';
import { defineMessage } from '../message.ts';

export const Risk = z.enum(['low', 'medium', 'high', 'critical']);
export type Risk = z.output<typeof Risk>;

/** One command exactly as it will run: `argv` is complete, and never passes a shell unquoted. */
export const PlannedStep = z.object({
  id: Ident,
  host: Ident,
  argv: z.array(z.string().max(2_000)).min(1).max(60),
  /** Whether `argv` goes through `sudo -n`, which stands in it. */
  sudo: z.boolean(),
  timeoutMs: z.number().int().positive(),
  /** Exit statuses that count as success. */
  success: z.array(z.number().int().min(0).max(255)),
});
export type PlannedStep = z.output<typeof PlannedStep>;

/** A command that only looks, and what its output must be. */
export const PlannedProbe = PlannedStep.extend({
  /** The condition in words, for the card: `unit nginx.service is not active`. */
  states: Line,
  /** A regular expression that the standard output must match, or must not match. */
  matches: z.string().max(300).optional(),
  matchesNot: z.string().max(300).optional(),
});
export type PlannedProbe = z.output<typeof PlannedProbe>;

/** Where the commands go: one byte of difference here is another plan. */
export const PlannedHost = z.object({
  host: Ident,
  transport: z.enum(['local', 'ssh']),
  address: z.string().max(255),
  port: z.number().int().min(0).max(65_535),
  user: z.string().max(64),
  /** Pinned host keys, `SHA256:...` as `ssh-keygen -lf` prints them; empty for `local`. */
  hostKeys: z.array(z.string().max(100)).max(10),
});
export type PlannedHost = z.output<typeof PlannedHost>;

/** What is approved: the digest of a plan is the SHA-256 of the canonical text of this. */
export const PlanBody = z.object({
  playbook: Ident,
  /** Digest of the playbook file's content. */
  playbookDigest: Digest,
  parameters: Parameters,
  hosts: z.array(PlannedHost).min(1).max(20),
  preconditions: z.array(PlannedProbe).max(40),
  /** What is wrong: when it no longer holds at the tap, nothing runs. */
  condition: z.array(PlannedProbe).max(40).default([]),
  steps: z.array(PlannedStep).min(1).max(100),
  verification: z.array(PlannedProbe).max(40),
  rollback: z.array(PlannedStep).max(100),
});
export type PlanBody = z.output<typeof PlanBody>;

/** A playbook rendered by the worker for real hosts, or the reason why it was not. */
export const Plan = z.object({
  id: Ident,
  proposal: Ident,
  incident: Ident.optional(),
  findings: z.array(Fingerprint).max(50),
  status: z.enum(['pending', 'refused', 'withdrawn', 'expired', 'approved', 'rejected']),
  /** Why it was refused, withdrawn or rejected. */
  reason: Text.optional(),
  title: Line,
  playbook: Ident,
  risk: Risk,
  body: PlanBody.optional(),
  digest: Digest.optional(),
  /** How strongly an approval must be proved. */
  proof: z.enum(['tap', 'code', 'passkey']),
  /** What runs on the targets or depends on them. */
  blastRadius: z.array(Line).max(50),
  /** What happened the last times this playbook ran for these targets. */
  history: z.array(Line).max(5),
  createdAt: Instant,
  expiresAt: Instant,
});
export type Plan = z.output<typeof Plan>;

export const plan = defineMessage({
  name: 'plan',
  version: 1,
  payload: Plan,
  filter: 'plan/+',
  identify: (payload) => payload.id,
  retained: true,
  writers: ['remediation'],
});
