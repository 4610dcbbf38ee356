import { z } from 'zod';
import type { JsonSchema } from '#config/json-schema.ts';
import { referenceRow } from '#config/reference.ts';
import { ConditionUse, Parameter, Playbook, StepUse } from './playbook.ts';
import { stepKinds } from './step-kinds.ts';

const head = ['| key | what | default |', '| --- | --- | --- |'];

/** The reference page of playbooks, printed from the schema and from the step kinds. */
export function playbookReference(): string {
  const [command, kind] = StepUse.options;
  return [
    '# Playbook reference',
    'Printed from `playbooks/playbook.ts` and `playbooks/steps/`; a test compares it. Durations are written as `30s`, `5m`, `1h30m`.',
    '## Playbook',
    table(Playbook),
    '## Parameter',
    ...Parameter.options.flatMap((option) => [`### ${option.shape.type.value}`, table(option)]),
    '## Step',
    'A command:',
    table(command),
    'Or a step kind:',
    table(kind),
    '## Probe: precondition, condition, verification',
    table(ConditionUse),
    '## Step kinds',
    ...[...stepKinds.values()].flatMap(({ kind: name, about, options }) => [`### ${name}\n\n${about}`, table(options)]),
  ]
    .join('\n\n')
    .concat('\n');
}

function table(schema: z.ZodType): string {
  const json = z.toJSONSchema(schema, { io: 'input' }) as JsonSchema;
  return [...head, ...rowsOf(json, '')].join('\n');
}

function rowsOf({ properties = {} }: JsonSchema, path: string): string[] {
  return Object.entries(properties).flatMap(([key, child]) =>
    child.properties === undefined ? [referenceRow(`${path}${key}`, child)] : rowsOf(child, `${path}${key}.`),
  );
}
