import { z } from 'zod';
import type { JsonSchema } from '#config/json-schema.ts';
import { referenceRows } from '#config/reference.ts';
import type { CheckKinds } from './registry.ts';

const introduction = `# Check kinds

Printed from the schemas of the kinds; a test compares it. Every check also has the keys of [the configuration
reference](../../../config/reference.md) that begin with \`checks[]\`: \`id\`, \`kind\`, \`host\`, \`every\`, \`for\`, \`severity\`, \`labels\` and so
on. A kind marked *host* looks on the check's host, here or over SSH with its \`read\` login; one marked *network* looks from where Lares
runs. Each finding brings its last values, its earlier occurrences and what changed on its host; the kind's own evidence is named here. To
add a kind, add one file here, named after it, that exports \`check\`.`;

/** The reference page of all check kinds and their options. */
export function kindReference(kinds: CheckKinds): string {
  const sections = [...kinds.values()]
    .toSorted((a, b) => a.kind.localeCompare(b.kind))
    .map(({ kind, about, reach, options, evidence }) => {
      const rows = referenceRows(z.toJSONSchema(options, { io: 'input', unrepresentable: 'any' }) as JsonSchema, '');
      const table = ['| option | what | default |', '| --- | --- | --- |', ...rows].join('\n');
      return `## ${kind}\n\n*${reach}* ${about} Evidence: ${evidence.about}.${rows.length === 0 ? '' : `\n\n${table}`}`;
    });
  return `${[introduction, ...sections].join('\n\n')}\n`;
}
