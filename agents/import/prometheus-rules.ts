import { parse } from 'yaml';
import { type Imported, Importing, type Members, members, textOf } from './imported.ts';

/** Alerting rules of a rule file: one check that evaluates them at the server's `url`. Undefined: it is no rule file. */
export function importPrometheusRules(text: string, of: { file: string; url: string }): Imported | undefined {
  const groups = groupsIn(text);
  if (groups === undefined) return undefined;
  const importing = new Importing();
  const alerts: string[] = [];
  for (const rule of groups.flatMap(rulesOf)) {
    const alert = textOf(rule['alert']);
    if (alert !== undefined && textOf(rule['expr']) !== undefined) alerts.push(alert);
    else importing.leave(alert ?? textOf(rule['record']) ?? 'rule', whyNot(alert));
  }
  if (alerts.length === 0) return importing.result;
  const name = of.file.split('/').at(-1) ?? 'rules';
  const id = importing.idFor(name.replaceAll(/\.(?:ya?ml|rules)$/g, ''));
  const check = { kind: 'prometheus-rules', url: of.url, files: [of.file] };
  importing.take(of.file, id, { check, notes: [`its alerts: ${alerts.join(', ').slice(0, 400)}`] });
  return importing.result;
}

function groupsIn(text: string): Members[] | undefined {
  try {
    const { groups } = members(parse(text, { maxAliasCount: 100, logLevel: 'error', merge: true }));
    return Array.isArray(groups) ? groups.map(members) : undefined;
  } catch {
    return undefined;
  }
}

function rulesOf({ rules }: Members): Members[] {
  return Array.isArray(rules) ? rules.map(members) : [];
}

function whyNot(alert: string | undefined): string {
  return alert === undefined ? 'is a recording rule: the server has to evaluate it' : 'has no expression';
}
