import { z } from 'zod';
import { Ident, Line, type Parameters } from '#bus/fields.ts';
import { Risk } from '#bus/messages/plan.ts';
import { durationOr } from '#config/duration.ts';
import { timeLimit } from './step.ts';

const parameterBase = {
  description: Line.describe('What it is, for the person who approves and for a model that proposes.'),
  from: z.string().max(128).optional().describe('Label of the finding that gives the value.'),
};

/** A typed, bounded parameter. Every value that reaches a command passed one of these. */
export const Parameter = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('unit').describe('Name of a systemd service, socket, timer or path unit that is not protected.'),
    ...parameterBase,
  }),
  z.strictObject({ type: z.literal('container').describe('Name of a container.'), ...parameterBase }),
  z.strictObject({
    type: z.literal('path').describe('Absolute path without `..`.'),
    under: z
      .array(z.union([z.string().startsWith('/'), z.literal('freePaths')]))
      .min(1)
      .describe('Folders that it may be or lie in; `freePaths` stands for those of `remediation.freePaths`.'),
    ...parameterBase,
  }),
  z.strictObject({
    type: z.literal('enum').describe('One text of a list.'),
    values: z.array(z.string().max(100)).min(1).describe('The list.'),
    ...parameterBase,
    default: z.string().max(100).optional().describe('Taken when nothing gives a value.'),
  }),
  z.strictObject({
    type: z.literal('number').describe('Whole number that is not negative.'),
    min: z.number().describe('Least value.'),
    max: z.number().describe('Greatest value.'),
    ...parameterBase,
    default: z.number().optional().describe('Taken when nothing gives a value.'),
  }),
  z.strictObject({
    type: z.literal('pattern').describe('Text of a form: the last resort.'),
    pattern: z.string().max(200).describe('Regular expression that must match the whole value.'),
    ...parameterBase,
  }),
]);
export type Parameter = z.output<typeof Parameter>;

/**
 * `{name}` stands for a parameter: a whole argument, or one between fixed texts as in `--vacuum-size={size}M`. At most
 * one in an argument, none in the program's name and none in the script of a shell. `{{...}}` is itself (docker's
 * formats).
 */
const Argv = z
  .array(z.string().min(1).max(500))
  .min(1)
  .max(60)
  .describe('The command and its arguments; `{name}` stands for a parameter, as one argument or within one.');
const Id = Ident.describe('Name within its list.');

const commandKeys = {
  argv: Argv,
  sudo: z
    .boolean()
    .default(true)
    .describe('Needs root: through `sudo -n` when the login is not root and the host says so.'),
  timeout: timeLimit('60s'),
  success: z.array(z.number().int().min(0).max(255)).min(1).default([0]).describe('Exit statuses that are well.'),
};

/** A step is an argv list, or a step kind of `playbooks/steps/` with typed options. */
export const StepUse = z.union([
  z.strictObject({ id: Id, ...commandKeys }),
  z.strictObject({
    id: Id,
    use: Ident.describe('Step kind.'),
    with: z.record(z.string(), z.unknown()).default({}).describe('Options of the kind.'),
  }),
]);
export type StepUse = z.output<typeof StepUse>;

/** A command that only looks, with what must be true of its standard output. Run before the plan, before the run, after. */
export const ProbeUse = z.strictObject({
  id: Id,
  ...commandKeys,
  sudo: z.boolean().default(false).describe('Needs root.'),
  timeout: timeLimit('15s'),
  states: Line.describe('The condition in words; `{name}` stands for a parameter.'),
  matches: z.string().max(300).optional().describe('Regular expression that standard output must match (flag m).'),
  matchesNot: z.string().max(300).optional().describe('Regular expression that it must not match (flag m).'),
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
  schema: z.literal('lares.playbook/1').describe('Always `lares.playbook/1`.'),
  id: Ident.describe('Name of the playbook, the only one of its name.'),
  title: Line.describe('What it does, in a few words; `{name}` stands for a parameter.'),
  about: z.string().max(1_000).describe('What it does and when it helps, for people and for a model that proposes.'),
  risk: Risk.describe('How strongly an approval must be proved: a tap is enough for `low` and `medium` only.'),
  answers: z
    .array(z.record(z.string(), z.string().max(200)))
    .default([])
    .describe('Findings that it may end: label names and regular expressions that must match the whole value.'),
  parameters: z
    .record(z.string().regex(/^[a-z][a-z0-9-]*$/), Parameter)
    .default({})
    .describe('By name.'),
  preconditions: z.array(ProbeUse).default([]).describe('Must hold before planning and again before running.'),
  condition: z
    .array(ConditionUse)
    .default([])
    .describe('What is wrong. When it no longer holds at the tap, nothing runs.'),
  steps: z.array(StepUse).min(1).describe('In order, on each host; the first that fails ends it.'),
  verification: z.array(ProbeUse).default([]).describe('The worker looks at its own work; sentinel judges.'),
  rollback: z.array(StepUse).default([]).describe('Steps for the hosts where something ran and the work did not.'),
  limits: z
    .strictObject({
      targets: z.number().int().min(1).max(20).default(1).describe('Hosts in one plan.'),
      concurrency: z.number().int().min(1).max(20).default(1).describe('Hosts at once.'),
      cooldown: durationOr('0s').describe('Rest between two runs on the same target.'),
      outputBytes: z.number().int().min(1_000).max(65_536).default(16_384).describe('Kept of what a command prints.'),
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
