import type { z } from 'zod';
import { durationOr } from '#config/duration.ts';

/** How long a command may take, with a default such as `60s`. */
export function timeLimit(preset: string) {
  return durationOr(preset).describe('Time after which the host itself ends it.');
}

/** A command as a template: what a playbook could have written itself as an argv list. */
export interface CommandTemplate {
  argv: readonly string[];
  sudo: boolean;
  timeoutMs: number;
  success?: readonly number[];
}

/**
 * A kind of step. Contract: `render` is pure and returns at least one command; it may put an option of its own, which
 * may be a template such as `{unit}`, only where a value may stand.
 */
interface StepDefinition<O extends z.ZodObject = z.ZodObject> {
  kind: string;
  /** One sentence for the generated reference. */
  about: string;
  options: O;
  render: (options: z.output<O>) => readonly CommandTemplate[];
}

/** A step whose options are checked when it is rendered: what the registry holds. */
export interface StepKind {
  kind: string;
  about: string;
  options: z.ZodObject;
  render(options: unknown): { ok: true; commands: readonly CommandTemplate[] } | { ok: false; error: z.ZodError };
}

/** Defines a step kind. The file is named after the kind and exports it as `step`. */
export function defineStep<O extends z.ZodObject>(definition: StepDefinition<O>): StepKind {
  return {
    kind: definition.kind,
    about: definition.about,
    options: definition.options,
    render(options) {
      const parsed = definition.options.safeParse(options);
      return parsed.success
        ? { ok: true, commands: definition.render(parsed.data) }
        : { ok: false, error: parsed.error };
    },
  };
}
