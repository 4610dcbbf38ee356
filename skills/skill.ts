import { readFile, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { messageOf } from '#bus/failure.ts';

/**
 * Knowledge in the Agent Skills format (https://agentskills.io/specification). It is text for a prompt and never power:
 * `allowed-tools`, scripts and assets of a skill are not read.
 */
export interface Skill {
  name: string;
  description: string;
  /** Markdown below the front matter. */
  body: string;
  /** Alert names that it is about; a `*` at the end stands for any rest. From `metadata.lares-alertnames`. */
  alertnames: readonly string[];
  file: string;
}

interface SkillFault {
  file: string;
  message: string;
}

interface LoadedSkills {
  skills: readonly Skill[];
  /** What was wrong: skills that were loaded all the same, and those that could not be. */
  faults: readonly SkillFault[];
}

const ownFolder = fileURLToPath(new URL('./', import.meta.url));
/** The format asks for at most 500 lines and 5,000 tokens. */
const maximumFileBytes = 40_000;
const maximumSkills = 200;

/**
 * Reads every `<folder>/<skill>/SKILL.md`; a later folder wins over an earlier one by name. Contract: lenient, as the
 * client guide asks: only a skill without a description or with unreadable front matter is left out.
 */
export async function loadSkills(folders: readonly string[] = [ownFolder]): Promise<LoadedSkills> {
  const skills = new Map<string, Skill>();
  const faults: SkillFault[] = [];
  for (const folder of folders) {
    for (const file of await skillFiles(folder, faults)) {
      const read = await readSkill(file);
      faults.push(...read.faults.map((message) => ({ file, message })));
      if (read.skill !== undefined) skills.set(read.skill.name, read.skill);
    }
  }
  return { skills: [...skills.values()], faults };
}

async function skillFiles(folder: string, faults: SkillFault[]): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => join(folder, entry.name, 'SKILL.md'))
      .toSorted()
      .slice(0, maximumSkills);
  } catch (error) {
    faults.push({ file: folder, message: `cannot be read: ${messageOf(error)}` });
    return [];
  }
}

async function readSkill(file: string): Promise<{ skill: Skill | undefined; faults: string[] }> {
  let text: string;
  try {
    if ((await stat(file)).size > maximumFileBytes) {
      return { skill: undefined, faults: [`is larger than ${maximumFileBytes} bytes`] };
    }
    text = await readFile(file, 'utf8');
  } catch (error) {
    return { skill: undefined, faults: [`cannot be read: ${messageOf(error)}`] };
  }
  return parseSkill(file, text);
}

/** Reads the text of one `SKILL.md`. Pure. */
export function parseSkill(file: string, text: string): { skill: Skill | undefined; faults: string[] } {
  const match = /^\uFEFF?---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)([\s\S]*)$/.exec(text);
  if (match === null) return { skill: undefined, faults: ['has no front matter'] };
  const front = frontMatter(match[1] ?? '');
  if (front === undefined) return { skill: undefined, faults: ['has front matter that is not YAML'] };
  const folder = basename(join(file, '..'));
  const description = textOf(front['description']);
  if (description === '') return { skill: undefined, faults: ['has no description'] };
  const name = textOf(front['name']) || folder;
  const skill = { name, description, body: (match[2] ?? '').trim(), alertnames: alertnamesIn(front['metadata']), file };
  return { skill, faults: lint(skill, { front, folder }) };
}

/** What the format forbids; a client loads such a skill all the same. */
function lint(skill: Skill, { front, folder }: { front: Record<string, unknown>; folder: string }): string[] {
  const known = new Set(['name', 'description', 'license', 'compatibility', 'metadata', 'allowed-tools']);
  const unknown = Object.keys(front).filter((key) => !known.has(key));
  return [
    ...(/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(skill.name) && skill.name.length <= 64
      ? []
      : ['name must be 1 to 64 lower-case letters, digits and single dashes']),
    ...(skill.name === folder ? [] : [`name "${skill.name}" is not the name of its folder "${folder}"`]),
    ...(skill.description.length <= 1_024 ? [] : ['description is longer than 1024 characters']),
    ...(/[<>]/.test(skill.description) ? ['description holds < or >'] : []),
    ...(skill.body.split('\n').length <= 500 ? [] : ['body has more than 500 lines']),
    ...(skill.body === '' ? ['body is empty'] : []),
    ...unknown.map((key) => `"${key}" is not a key of the format`),
  ];
}

function frontMatter(yaml: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = parse(yaml, { maxAliasCount: 10 });
    return value !== null && typeof value === 'object' && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value.trim() : '';
}

function alertnamesIn(metadata: unknown): string[] {
  if (metadata === null || typeof metadata !== 'object' || !('lares-alertnames' in metadata)) return [];
  return textOf(metadata['lares-alertnames'])
    .split(/[\s,]+/)
    .filter((name) => name !== '');
}

/** Skills about this alert, the most particular first. */
export function matchingSkills(skills: readonly Skill[], labels: Readonly<Record<string, string>>): Skill[] {
  const alertname = labels['alertname'];
  if (alertname === undefined) return [];
  return skills
    .map((skill) => ({ skill, fit: Math.max(0, ...skill.alertnames.map((pattern) => fitOf(pattern, alertname))) }))
    .filter(({ fit }) => fit > 0)
    .toSorted((a, b) => b.fit - a.fit)
    .map(({ skill }) => skill);
}

function fitOf(pattern: string, alertname: string): number {
  if (pattern === alertname) return pattern.length + 1;
  return pattern.endsWith('*') && alertname.startsWith(pattern.slice(0, -1)) ? pattern.length : 0;
}
