import { scrub } from '#bus/scrub.ts';
import { Check } from '#config/check-config.ts';
import { ConfigSchema } from '#config/schema.ts';
import type { CheckDefinition } from '../sentinel/check.ts';
import { bindChecks } from '../sentinel/registry.ts';
import { importGatus } from './gatus.ts';
import type { CarriedOver, Imported } from './imported.ts';
import { importPrometheusRules } from './prometheus-rules.ts';
import { importUptimeKuma } from './uptime-kuma.ts';

export const formats = ['uptime-kuma', 'gatus', 'prometheus-rules'] as const;
export type Format = (typeof formats)[number];

export interface Foreign {
  format: Format;
  text: string;
  /** As the person named it. */
  file: string;
  /** Where container monitors look. */
  host?: string | undefined;
  /** The server that evaluates alerting rules. */
  url?: string | undefined;
}

/** A foreign configuration as checks of Lares. Undefined: the text is not of that format. */
export function convert(foreign: Foreign): Imported | undefined {
  switch (foreign.format) {
    case 'uptime-kuma':
      return importUptimeKuma(foreign.text, { host: foreign.host });
    case 'gatus':
      return importGatus(foreign.text);
    case 'prometheus-rules':
      return importPrometheusRules(foreign.text, { file: foreign.file, url: foreign.url ?? 'http://127.0.0.1:9090' });
  }
}

/** Leaves out what no kind of check takes, with the kind's own words. */
export function acceptable(imported: Imported, kinds: ReadonlyMap<string, CheckDefinition>): Imported {
  const result: Imported = { carried: [], left: [...imported.left], secrets: [] };
  for (const carried of imported.carried) {
    const why = refusal(carried, kinds);
    if (why === undefined) result.carried.push(withWarning(carried));
    else result.left.push({ entry: carried.entry, why });
  }
  const used = JSON.stringify(result.carried.map(({ check }) => check));
  result.secrets = imported.secrets.filter(({ file }) => used.includes(JSON.stringify(file)));
  return result;
}

/** A key may stand in an address or a body, which stay as they are. */
function withWarning(carried: CarriedOver): CarriedOver {
  const { url, body } = carried.check;
  const texts = [url, body].filter((text) => typeof text === 'string');
  if (texts.every((text) => scrub(text) === text)) return carried;
  return { ...carried, notes: [...carried.notes, 'what looks like a secret stands in its url or its body'] };
}

function refusal({ check }: CarriedOver, kinds: ReadonlyMap<string, CheckDefinition>): string | undefined {
  const parsed = Check.safeParse(check);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `cannot be written as a check: ${issue?.path.join('.')} ${issue?.message}`;
  }
  const hosts = check['host'] === undefined ? {} : { [parsed.data.host ?? '']: {} };
  const { faults } = bindChecks(ConfigSchema.parse({ hosts, checks: [check] }), kinds);
  const [fault] = faults;
  return fault === undefined ? undefined : `${fault.path.slice(2).join('.')} ${fault.message}`.trim();
}
