import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { type ConfigDocument, readDocument } from '#config/document.ts';
import { ConfigFailure, type ConfigPath, plainMessage } from '#config/fault.ts';
import { absolutePath } from '#config/paths.ts';
import { parsePrometheusDuration } from './prometheus-duration.ts';

/** One alert of a rule file. */
export interface AlertRule {
  alert: string;
  /** Alike named ones of one set have different conditions. */
  condition: string;
  expression: string;
  holdMs: number;
  keepFiringMs: number;
  /** Templates are expanded with each series. */
  labels: Record<string, string>;
  annotations: Record<string, string>;
  group: string;
  /** How often the group wants to be evaluated. */
  intervalMs?: number;
  /** `rules.yaml:12`. */
  place: string;
}

/** What a file holds. `faults`: rules that cannot be used, with their lines. */
interface RuleFile {
  path: string;
  rules: AlertRule[];
  /** Recording rules, which only Prometheus itself evaluates. */
  recording: number;
  faults: string[];
}

export type RuleFileReading = { ok: true; file: RuleFile } | { ok: false; path: string; reason: string };

const shippedFolder = fileURLToPath(new URL('../../../config/rules/', import.meta.url));

const RuleDuration = z.union([z.string(), z.number()]).transform((value, context) => {
  const ms = parsePrometheusDuration(String(value));
  if (ms === undefined) context.addIssue({ code: 'custom', message: 'must be a duration such as 5m' });
  return ms ?? 0;
});
const Text = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const Texts = z.record(z.string(), Text).nullish();

const Rule = z.object({
  alert: Text.optional(),
  record: Text.optional(),
  expr: Text.pipe(z.string().trim().min(1, 'is empty').max(20_000)),
  for: RuleDuration.optional(),
  keep_firing_for: RuleDuration.optional(),
  labels: Texts,
  annotations: Texts,
});
const Group = z.object({
  name: Text,
  interval: RuleDuration.optional(),
  labels: Texts,
  rules: z.array(z.unknown()).nullish(),
});
const File = z.object({ groups: z.array(z.unknown()).nullish() });

const maximumRules = 2_000;

/** Reads a rule file of Prometheus or vmalert, YAML or JSON. A wrong rule is left out and told; the others are used. */
export function readRuleFile(file: string, baseFolder: string): RuleFileReading {
  const path = pathOf(file, baseFolder);
  try {
    return parseRuleFile(readDocument(path), path);
  } catch (error) {
    if (!(error instanceof ConfigFailure)) throw error;
    const [fault] = error.faults;
    const line = fault === undefined || fault.line <= 1 ? '' : `:${fault.line}`;
    return { ok: false, path, reason: `"${path}${line}" ${fault?.message ?? 'cannot be read'}` };
  }
}

/** `shipped:homelab` is config/rules/homelab.rules.yaml. */
function pathOf(file: string, baseFolder: string): string {
  const [, name] = /^shipped:([a-z][a-z-]*)$/.exec(file) ?? [];
  return name === undefined ? absolutePath(file, baseFolder) : join(shippedFolder, `${name}.rules.yaml`);
}

/** Changes whenever the file does; undefined when it cannot be seen. */
export function ruleFileVersion(file: string, baseFolder: string): string | undefined {
  const found = statSync(pathOf(file, baseFolder), { throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.mtimeMs} ${found.size} ${found.ino}`;
}

/** A rule with its place, or a fault with its place. */
type Found = { rule: AlertRule } | { fault: string } | 'recording';

function parseRuleFile(document: ConfigDocument, path: string): RuleFileReading {
  const whole = File.safeParse(document.value);
  if (!whole.success || !('groups' in (document.value as object))) {
    return { ok: false, path, reason: `"${path}" has no list of groups` };
  }
  const name = path.slice(path.lastIndexOf('/') + 1);
  const at = (where: ConfigPath): string => `${name}:${document.locate(where).line}`;
  const found = (whole.data.groups ?? []).flatMap((group, index) => readGroup(group, ['groups', index], at));
  return {
    ok: true,
    file: {
      path,
      rules: found
        .flatMap((one) => (typeof one === 'object' && 'rule' in one ? [one.rule] : []))
        .slice(0, maximumRules),
      recording: found.filter((one) => one === 'recording').length,
      faults: found.flatMap((one) => (typeof one === 'object' && 'fault' in one ? [one.fault] : [])),
    },
  };
}

function readGroup(value: unknown, path: ConfigPath, at: (where: ConfigPath) => string): Found[] {
  const group = Group.safeParse(value);
  if (!group.success) return [{ fault: faultOf(group.error, path, at) }];
  const { name, interval, labels, rules } = group.data;
  return (rules ?? []).map((rule, index) => {
    const where = [...path, 'rules', index];
    const read = Rule.safeParse(rule);
    if (!read.success) return { fault: faultOf(read.error, where, at) };
    const { alert, record, expr } = read.data;
    if (alert === undefined) {
      return record === undefined ? { fault: `${at(where)} has neither alert nor record` } : 'recording';
    }
    return {
      rule: {
        alert,
        condition: conditionName(alert),
        expression: expr,
        holdMs: read.data.for ?? 0,
        keepFiringMs: read.data.keep_firing_for ?? 0,
        labels: { ...labels, ...read.data.labels },
        annotations: read.data.annotations ?? {},
        group: name,
        ...(interval !== undefined && interval > 0 && { intervalMs: interval }),
        place: at(where),
      },
    };
  });
}

function faultOf(error: z.ZodError, path: ConfigPath, at: (where: ConfigPath) => string): string {
  const [issue] = error.issues;
  const inner = (issue?.path ?? []).filter((part) => typeof part !== 'symbol');
  const key = inner.length === 0 ? '' : ` ${inner.join('.')}`;
  return `${at([...path, ...inner])}${key} ${plainMessage(issue?.message ?? 'is not valid')}`;
}

/** The name of an alert as a condition: `Service Down (HTTP)` is `service-down-http`. */
export function conditionName(alert: string): string {
  const words = alert
    .normalize('NFKD')
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replaceAll(/([A-Z])([A-Z][a-z])/g, '$1-$2')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 80)
    .replace(/-+$/, '');
  return /^[a-z]+(?:-|$)/.test(words) ? words : `alert-${words === '' ? 'unnamed' : words}`;
}

/** The rules of several files, with a condition of its own for each that is named alike: by its severity, else by number. */
export function distinctRules(files: readonly RuleFile[]): AlertRule[] {
  const taken = new Set<string>();
  return files
    .flatMap(({ rules }) => rules)
    .map((rule) => {
      const condition = freeName(rule, taken);
      taken.add(condition);
      return { ...rule, condition };
    });
}

function freeName(rule: AlertRule, taken: ReadonlySet<string>): string {
  if (!taken.has(rule.condition)) return rule.condition;
  const base = `${rule.condition}-${conditionName(rule.labels['severity'] ?? 'other')}`;
  let name = base;
  for (let number = 2; taken.has(name); number++) name = `${base}-${number}`;
  return name;
}
