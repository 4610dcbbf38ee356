import { z } from 'zod';
import { Ident, Line, type Parameters } from '#bus/fields.ts';
import { Risk } from '#bus/messages/plan.ts';
import { durationOr } from '#config/duration.ts';

const parameterBase = {
  description: Line.describe('What it is, for the person who approves and for a model that proposes.'),
  from: z.string().max(128).optional().describe('Label of the finding that gives the value.'),
};

/** A typed, bounded parameter. Every value that reaches a command passed one of these. */
export const Parameter = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('unit'), ...parameterBase }),
  z.strictObject({ type: z.literal('container'), ...parameterBase }),
  z.strictObject({
    type: z.literal('path'),
    under: z
      .array(z.union([z.string().startsWith('/'), z.literal('freePaths')]))
      .min(1)
      .describe('Folders that it may be or lie in; `freePaths` stands for those of `remediation.freePaths`.'),
    ...parameterBase,
  }),
  z.strictObject({
    type: z.literal('enum'),
    values: z.array(z.string().max(100)).min(1),
    ...parameterBase,
    default: z.string().max(100).optional(),
  }),
  z.strictObject({
    type: z.literal('number'),
    min: z.number(),
    max: z.number(),
    ...parameterBase,
    default: z.number().optional(),
  }),
  z.strictObject({ type: z.literal('pattern'), pattern: z.string().max(200), ...parameterBase }),
]);
export type Parameter = z.output<typeof Parameter>;

/**
 * `{name}` stands for a parameter: a whole argument, or one between fixed texts as in `--vacuum-size={size}M`. At most
 * one in an argument, none in the program's name and none in the script of a shell. `{{...}}` is itself (docker's
 * formats).
 */
const Argv = z.array(z.string().min(1).max(500)).min(1).max(60);

const commandKeys = {
  argv: Argv,
  sudo: z
    .boolean()
    .default(true)
    .describe('Needs root: through `sudo -n` when the login is not root and the host says so.'),
  timeout: durationOr('60s'),
  success: z.array(z.number().int().min(0).max(255)).min(1).default([0]),
};

/** A step is an argv list, or a step kind of `playbooks/steps/` with typed options. */
export const StepUse = z.union([
  z.strictObject({ id: Ident, ...commandKeys }),
  z.strictObject({ id: Ident, use: Ident, with: z.record(z.string(), z.unknown()).default({}) }),
]);
export type StepUse = z.output<typeof StepUse>;

/** A command that only looks, with what must be true of its standard output. Run before the plan, before the run, after. */
export const ProbeUse = z.strictObject({
  id: Ident,
  ...commandKeys,
  sudo: z.boolean().default(false),
  timeout: durationOr('15s'),
  states: Line.describe('The condition in words; `{name}` stands for a parameter.'),
  matches: z.string().max(300).optional().describe('Regular expression that standard output must match (flag m).'),
  matchesNot: z.string().max(300).optional(),
});
export type ProbeUse = z.output<typeof ProbeUse>;

/** A probe for what is wrong. */
export const ConditionUse = ProbeUse.extend({
  of: z
    .array(z.string().max(128))
    .optional()
    .describe('Names of the findings (`alertname`) that it speaks of; a plan for others does not look at it.'),
});
export type ConditionUse = z.output<typeof ConditionUse>;

export const Playbook = z.strictObject({
  schema: z.literal('lares.playbook/1'),
  id: Ident,
  title: Line.describe('`{name}` stands for a parameter.'),
  about: z.string().max(1_000),
  risk: Risk,
  answers: z
    .array(z.record(z.string(), z.string().max(200)))
    .default([])
    .describe('Findings that it may end: label names and regular expressions that must match the whole value.'),
  parameters: z.record(z.string().regex(/^[a-z][a-z0-9-]*$/), Parameter).default({}),
  preconditions: z.array(ProbeUse).default([]).describe('Must hold before planning and again before running.'),
  condition: z
    .array(ConditionUse)
    .default([])
    .describe('What is wrong. When it no longer holds at the tap, nothing runs.'),
  steps: z.array(StepUse).min(1),
  verification: z.array(ProbeUse).default([]).describe('The worker looks at its own work; sentinel judges.'),
  rollback: z.array(StepUse).default([]),
  limits: z
    .strictObject({
      targets: z.number().int().min(1).max(20).default(1),
      concurrency: z.number().int().min(1).max(20).default(1),
      cooldown: durationOr('0s'),
      outputBytes: z.number().int().min(1_000).max(65_536).default(16_384),
    })
    .prefault({}),
});
export type Playbook = z.output<typeof Playbook>;

/** A playbook that could answer a finding, with the parameters that its labels give. */
export interface Candidate {
  playbook: Playbook;
  parameters: Parameters;
  /** Parameters that no label gave. */
  missing: string[];
}

/** A file of the user's folder that is left out, and why. */
export interface CatalogueFault {
  file: string;
  /** One-based; 0 when it is about the whole file. */
  line: number;
  message: string;
}

/** The playbooks that ship and the user's own. */
export interface Catalogue {
  readonly faults: readonly CatalogueFault[];
  all(): readonly Playbook[];
  get(id: string): Playbook | undefined;
  /** SHA-256 of the playbook's content. Throws for an unknown id. */
  digestOf(id: string): string;
  /** Whether it comes with Lares: nobody here wrote it. */
  isShipped(id: string): boolean;
  candidates(labels: Readonly<Record<string, string>>): Candidate[];
}
