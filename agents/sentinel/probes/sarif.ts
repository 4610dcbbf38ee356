import { z } from 'zod';
import { digestOf } from './drift.ts';
import { oneLine } from './text.ts';

// Lenient: a tool that leaves out what the standard makes optional, or writes null, is read all the same.
const text = z.string().nullish();
const Message = z.object({ text, markdown: text }).nullish();
const Properties = z.record(z.string(), z.unknown()).nullish();
const Rule = z.object({
  id: text,
  shortDescription: Message,
  defaultConfiguration: z.object({ level: text }).nullish(),
  properties: Properties,
});
const Component = z.object({ name: text, rules: z.array(Rule).nullish() });
const Location = z.object({
  physicalLocation: z
    .object({
      artifactLocation: z.object({ uri: text }).nullish(),
      region: z.object({ startLine: z.number().nullish() }).nullish(),
    })
    .nullish(),
  message: Message,
});
const Result = z.object({
  ruleId: text,
  ruleIndex: z.number().nullish(),
  rule: z
    .object({
      id: text,
      index: z.number().nullish(),
      toolComponent: z.object({ index: z.number().nullish() }).nullish(),
    })
    .nullish(),
  level: text,
  kind: text,
  message: Message,
  locations: z.array(Location).nullish(),
  partialFingerprints: z.record(z.string(), z.unknown()).nullish(),
  fingerprints: z.record(z.string(), z.unknown()).nullish(),
  baselineState: text,
  suppressions: z.array(z.object({ status: text })).nullish(),
  properties: Properties,
});
const Run = z.object({
  tool: z.object({ driver: Component, extensions: z.array(Component).nullish() }),
  results: z.array(Result).nullish(),
  invocations: z.array(z.object({ executionSuccessful: z.boolean().nullish() })).nullish(),
});
const Sarif = z.object({ version: z.string(), runs: z.array(Run).max(1_000) });

export type Level = 'error' | 'warning' | 'note';

/** One result that counts: not suppressed, not absent, a failure. */
export interface CodeFinding {
  /** Stable over runs: the fingerprints of the tool, else rule, file and line. */
  fingerprint: string;
  tool: string;
  rule: string;
  level: Level;
  /** 0 to 10 as CVSS counts; of the rule where the tool gives it. */
  securitySeverity?: number;
  /** `src/a.ts:12`. */
  place: string;
  message: string;
}

export interface SarifReport {
  tools: string[];
  findings: CodeFinding[];
  /** Tools that say themselves that they did not run to their end. */
  failed: string[];
}

/** Reads SARIF 2.1.0. Undefined: it is no such report. */
export function parseSarif(value: unknown): SarifReport | undefined {
  const parsed = Sarif.safeParse(value);
  if (!parsed.success || !parsed.data.version.startsWith('2.')) return undefined;
  const { runs } = parsed.data;
  const findings = new Map<string, CodeFinding>();
  for (const run of runs) {
    for (const result of run.results ?? []) {
      const finding = isCounted(result) ? findingOf(result, run) : undefined;
      if (finding !== undefined) findings.set(finding.fingerprint, finding);
    }
  }
  const nameOf = (run: z.output<typeof Run>): string => oneLine(run.tool.driver.name ?? 'unknown', 60);
  const failed = runs.filter(
    ({ invocations }) => invocations?.some((one) => one.executionSuccessful === false) === true,
  );
  return {
    tools: [...new Set(runs.map(nameOf))],
    findings: [...findings.values()],
    failed: [...new Set(failed.map(nameOf))],
  };
}

type ResultShape = z.output<typeof Result>;

function isCounted(result: ResultShape): boolean {
  const isSuppressed =
    result.suppressions?.some(({ status }) => status !== 'rejected' && status !== 'underReview') === true;
  const isFailure = [undefined, null, 'fail', 'open', 'review'].includes(result.kind);
  return isFailure && !isSuppressed && result.baselineState !== 'absent';
}

function findingOf(result: ResultShape, run: z.output<typeof Run>): CodeFinding {
  const rule = ruleOf(result, run);
  const name = oneLine(idOf(result) ?? rule?.id ?? 'unknown', 120);
  const tool = oneLine(run.tool.driver.name ?? 'unknown', 60);
  const place = placeOf(result);
  const message = messageOf(result, rule);
  const security = securityOf(result.properties) ?? securityOf(rule?.properties);
  return {
    fingerprint: fingerprintOf(result, { tool, name, place, message }),
    tool,
    rule: name,
    level: levelOf(result.level ?? rule?.defaultConfiguration?.level),
    ...(security !== undefined && { securitySeverity: security }),
    place,
    message: oneLine(message.split('\n', 1)[0] ?? '', 300),
  };
}

type RuleShape = z.output<typeof Rule>;

function idOf(result: ResultShape): string | undefined {
  return result.ruleId ?? result.rule?.id ?? undefined;
}

function messageOf({ message }: ResultShape, rule: RuleShape | undefined): string {
  return message?.text ?? message?.markdown ?? rule?.shortDescription?.text ?? '';
}

/** By index where there is one; CodeQL keeps its rules in extensions. */
function ruleOf(result: ResultShape, { tool }: z.output<typeof Run>): RuleShape | undefined {
  const id = idOf(result);
  const components = [tool.driver, ...(tool.extensions ?? [])].map(({ rules }) => rules ?? []);
  const byIndex = components[componentOf(result)]?.[result.rule?.index ?? result.ruleIndex ?? -1];
  const fits = byIndex !== undefined && (id === undefined || byIndex.id === id);
  return fits ? byIndex : components.flat().find((rule) => rule.id === id);
}

/** 0 is the driver, 1 its first extension. */
function componentOf({ rule }: ResultShape): number {
  const at = rule?.toolComponent?.index;
  return typeof at === 'number' ? at + 1 : 0;
}

function placeOf(result: ResultShape): string {
  const where = result.locations?.[0]?.physicalLocation;
  const uri = oneLine(where?.artifactLocation?.uri ?? '', 150);
  const line = where?.region?.startLine;
  return uri === '' ? '-' : typeof line === 'number' ? `${uri}:${line}` : uri;
}

/** Fingerprints of the tool outlive moved lines. Semgrep without a login writes the same word into each of them. */
function fingerprintOf(
  result: ResultShape,
  of: { tool: string; name: string; place: string; message: string },
): string {
  const given = Object.entries({ ...result.fingerprints, ...result.partialFingerprints })
    .filter(([, value]) => typeof value === 'string' && value !== '' && value !== 'requires login')
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  // One advisory of Trivy has the same rule and place for each package: the message tells them apart.
  const what = given.length > 0 ? JSON.stringify(given) : `${of.place} ${of.message.slice(0, 500)}`;
  return digestOf(`${of.tool} ${of.name} ${what}`).slice(0, 10);
}

function levelOf(level: string | null | undefined): Level {
  return level === 'error' || level === 'note' ? level : level === 'none' ? 'note' : 'warning';
}

function securityOf(properties: z.output<typeof Properties>): number | undefined {
  const value = properties?.['security-severity'];
  const number = typeof value === 'string' || typeof value === 'number' ? Number(value) : NaN;
  return Number.isFinite(number) && number >= 0 && number <= 10 ? number : undefined;
}
