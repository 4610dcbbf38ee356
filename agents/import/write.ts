import { stringify } from 'yaml';
import { visibleLine } from '../triage/render/visible.ts';
import type { CarriedOver } from './imported.ts';

/** Checks as YAML, each below what is to be known of it. */
export function yamlOfChecks(carried: readonly CarriedOver[]): string {
  if (carried.length === 0) return 'checks: []\n';
  const entries = carried.map(({ entry, check, notes }) => listItem(check, [...namesOf(entry, check.id), ...notes]));
  return `checks:\n${entries.join('')}`;
}

function namesOf(entry: string, id: string): string[] {
  return entry === id ? [] : [entry];
}

/** One item of a list below a key, with comments above it. Foreign text in a comment stays on its line. */
export function listItem(value: object, comments: readonly string[]): string {
  return `${commentLines(comments, '  ')}${indented(stringify([value], { lineWidth: 0 }), '  ')}`;
}

/** One entry of a map below a key. */
export function mapEntry(name: string, value: object, comments: readonly string[]): string {
  return `${commentLines(comments, '  ')}${indented(stringify({ [name]: value }, { lineWidth: 0 }), '  ')}`;
}

function commentLines(comments: readonly string[], indent: string): string {
  return comments.map((comment) => `${indent}# ${visibleLine(comment).slice(0, 300)}\n`).join('');
}

function indented(text: string, indent: string): string {
  return text.replaceAll(/^(?=.)/gm, indent);
}
