import { z } from 'zod';
import { formatDuration } from '#config/duration.ts';
import type { JsonSchema } from '#config/json-schema.ts';
import { referenceRows } from '#config/reference.ts';
import type { IntakeDefinition } from './source.ts';

const introduction = `# Kinds of intake

Printed from the schemas of the kinds; a test compares it. Every intake also has the keys of [the configuration
reference](../../../config/reference.md) that begin with \`intake.<name>\`: \`kind\`, \`token\`, \`resolveTimeout\`, \`severities\` and so on. How each
sender is pointed here is said in [the deployment guide](../../../.github/deployment.md). To add a kind, add one file here, named after
it, that exports \`intake\`.`;

/** The reference page of all kinds of intake and their options. */
export function intakeReference(kinds: ReadonlyMap<string, IntakeDefinition>): string {
  const sections = [...kinds.values()].toSorted((a, b) => a.kind.localeCompare(b.kind)).map(sectionOf);
  return `${[introduction, ...sections].join('\n\n')}\n`;
}

function sectionOf({ kind, about, options, resolveAfterMs }: IntakeDefinition): string {
  const rows = referenceRows(z.toJSONSchema(options, { io: 'input', unrepresentable: 'any' }) as JsonSchema, '');
  const ends =
    resolveAfterMs === undefined
      ? 'the sender tells each end'
      : `\`resolveTimeout\` is ${formatDuration(resolveAfterMs)}`;
  const table = ['| option | what | default |', '| --- | --- | --- |', ...rows].join('\n');
  return `## ${kind}\n\n${about} Without one of yours, ${ends}.${rows.length === 0 ? '' : `\n\n${table}`}`;
}
