import { z } from 'zod';
import type { Severity } from '#bus/fields.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { driftOf } from '#agents/sentinel/probes/drift.ts';
import { askHost, linesOf, partFailure, scriptHead } from '#agents/sentinel/probes/host-answer.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { type CodeFinding, parseSarif, type SarifReport } from '#agents/sentinel/probes/sarif.ts';
import type { Section } from '#agents/sentinel/probes/sections.ts';
import { counted, evidenceOf, jsonOf, oneLine } from '#agents/sentinel/probes/text.ts';

/** Reports of large projects without their code flows; a larger one has to be filtered before. */
const maximumBytes = 16_777_216;
/** Together they fit into a check's memory. */
const keptResults = 40;
const resultBytes = 32_000;
const dayMs = 86_400_000;

const Options = z.strictObject({
  report: z
    .string()
    .min(1)
    .max(1_000)
    .startsWith('/')
    .describe(
      'The report on the host, `*` for any text: of several the newest counts, such as `/srv/raptor/out/*/combined.sarif`.',
    ),
  ageAtMost: durationOr('8d').describe('Age of the newest report where a warning begins.'),
  levels: z
    .array(z.enum(['error', 'warning', 'note']))
    .min(1)
    .default(['error'])
    .describe('Levels whose new results are told one by one.'),
  security: z
    .number()
    .min(0)
    .max(10)
    .default(7)
    .describe('Results with this `security-severity` or more are told whatever their level.'),
  shown: z
    .number()
    .int()
    .min(1)
    .max(100)
    .default(20)
    .describe('New results that are told one by one; the others are counted.'),
  errorsAtMost: z
    .number()
    .int()
    .nonnegative()
    .optional()
    .describe('Errors that may be in the report. Absent: any number.'),
  quietAfter: durationOr('7d').describe('A new result is told until it is gone, and no longer than so; 0s: always.'),
});
type Options = z.output<typeof Options>;
type Sections = ReadonlyMap<string, Section>;

export const check = defineCheck({
  kind: 'sarif',
  about:
    'New results in the newest SARIF report of a scanner (Semgrep, CodeQL, Trivy, RAPTOR), and reports that are too old.',
  options: Options,
  reach: 'host',
  resourceOf: (options) => options.report,
  observe,
  evidence: { about: 'what the report says of this result, and the newest reports', gather },
});

// The pattern is an argument: it is expanded, never run. The newest is not read again when it has not changed.
const script = String.raw`${scriptHead}
IFS='
'
newest() { set +f; ls -1dt -- $1 2>/dev/null | head -n 1; set -f; }
file=$(newest "$1")
part now date +%s
part file printf '%s\n' "$file"
if [ -n "$file" ]; then
  part stat stat -L -c '%Y %s' -- "$file"
  stamp="$file $(stat -L -c '%Y %s' -- "$file")"
  if [ "$stamp" = "$2" ]; then part same true
  elif [ "$(stat -L -c %s -- "$file")" -gt "$3" ]; then part large true
  else part report cat -- "$file"; fi
fi
`;

interface Known {
  stamp: string;
  tools: string[];
  failed: string[];
  counts: Record<string, number>;
  told: { since: number; fingerprint: string; text: string; place: string; rule: string; severity: Severity }[];
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const known = knownOf(context);
  const answer = await askHost(context, {
    script,
    values: [options.report, known?.stamp ?? '', String(maximumBytes)],
    maximumOutputBytes: maximumBytes + 65_536,
  });
  const nothing = { condition: 'scan-report', resource: options.report };
  if (!answer.ok) return [unseen(nothing, answer.reason)];
  const { sections } = answer;
  const found = linesOf(sections, 'file')[0];
  if (found === undefined) return [absent(options, known)];
  const read =
    sections.has('same') && known !== undefined ? known : readReport(options, context, { sections, file: found });
  if (typeof read === 'string') return [unseen(nothing, read)];
  return [
    ageObservation(options, sections, context),
    ...summaryObservations(options, read),
    ...newResults(options, read, context.clock.now()),
  ];
}

function knownOf(context: CheckContext): Known | undefined {
  const known = context.memory.get('report');
  return known !== null && typeof known === 'object' && 'stamp' in known ? (known as Known) : undefined;
}

/** A report that was there and is gone is trouble; one that never was is a mistake in the configuration. */
function absent(options: Options, known: Known | undefined): Observation {
  const said = { condition: 'scan-report', resource: options.report };
  if (known === undefined) return unseen(said, 'there is no such report, or the login may not read it');
  return state({
    ...said,
    summary: `there is no report at ${options.report} any more`,
    ok: false,
    severity: 'warning',
  });
}

function readReport(options: Options, context: CheckContext, of: { sections: Sections; file: string }): Known | string {
  const { sections, file } = of;
  if (sections.has('large')) return `${file} is larger than ${maximumBytes / 1_048_576} MiB`;
  const section = sections.get('report');
  if (section?.code !== 0) return partFailure(section, `reading ${file}`);
  const report = parseSarif(jsonOf(section.text));
  if (report === undefined) return `${file} is no SARIF 2.1.0: it may still be written`;
  const told = newOf(options, context, report);
  if (told === undefined)
    return 'it has more results to tell than are remembered: filter the report or raise "security"';
  const known: Known = {
    stamp: `${file} ${linesOf(sections, 'stat')[0] ?? ''}`,
    tools: report.tools.slice(0, 20),
    failed: report.failed.slice(0, 20),
    counts: { ...countsOf(report), new: told.length },
    told: told.slice(0, keptResults),
  };
  remember(context.memory, 'report', known);
  return known;
}

/** Results that are worth telling and were not in the report before, the heaviest first. */
function newOf(options: Options, context: CheckContext, { findings }: SarifReport): Known['told'] | undefined {
  const told = findings.filter(
    ({ level: is, securitySeverity }) => options.levels.includes(is) || (securitySeverity ?? 0) >= options.security,
  );
  const drift = driftOf(context.memory, 'results', {
    values: new Map(told.map(({ fingerprint }) => [fingerprint, ''])),
    at: context.clock.now(),
    quietAfterMs: options.quietAfter,
    maximumBytes: resultBytes,
  });
  if (drift === undefined) return undefined;
  const since = new Map(
    drift.changes.flatMap((change) => (change.is === undefined ? [] : [[change.name, change.since]])),
  );
  return told
    .filter(({ fingerprint }) => since.has(fingerprint))
    .toSorted(byWeight)
    .map((finding) => toldOf(finding, since.get(finding.fingerprint) ?? 0));
}

function countsOf({ findings }: SarifReport): Record<string, number> {
  const of = (level: string): number => findings.filter((finding) => finding.level === level).length;
  return { error: of('error'), warning: of('warning'), note: of('note') };
}

function byWeight(a: CodeFinding, b: CodeFinding): number {
  const weight = (finding: CodeFinding): number =>
    (finding.securitySeverity ?? 0) + (finding.level === 'error' ? 5 : 0);
  return weight(b) - weight(a);
}

function toldOf(finding: CodeFinding, since: number): Known['told'][number] {
  const security = finding.securitySeverity === undefined ? '' : ` (severity ${finding.securitySeverity})`;
  return {
    since,
    fingerprint: finding.fingerprint,
    place: finding.place,
    rule: finding.rule.slice(0, 80),
    text: oneLine(`${finding.rule}${security} at ${finding.place}: ${finding.message}`, 220),
    severity: (finding.securitySeverity ?? 0) >= 9 ? 'critical' : finding.level === 'note' ? 'info' : 'warning',
  };
}

function ageObservation(options: Options, sections: Sections, context: CheckContext): Observation {
  const said = { condition: 'scan-report-old', resource: options.report, holdMs: 0 };
  const written = Number(linesOf(sections, 'stat')[0]?.split(' ')[0]) * 1_000;
  const now = Number(sections.get('now')?.text.trim()) * 1_000 || context.clock.now();
  if (!Number.isFinite(written)) return unseen(said, 'its age is not known');
  const days = Math.max(0, (now - written) / dayMs);
  return level({
    ...said,
    value: days,
    unit: 'd',
    bad: 'above',
    warning: options.ageAtMost / dayMs,
    summary: `the newest report is ${days < 1 ? 'younger than a day' : `${counted(Math.floor(days), 'day')} old`}`,
  });
}

function summaryObservations(options: Options, known: Known): Observation[] {
  const { error = 0, warning = 0, note = 0, new: fresh = 0 } = known.counts;
  const tools = known.tools.join(', ') || 'no tool';
  const counts = `${counted(error, 'error')}, ${counted(warning, 'warning')}, ${counted(note, 'note')}`;
  const tooMany = options.errorsAtMost !== undefined && error > options.errorsAtMost;
  return [
    state({
      condition: 'scan-report',
      resource: options.report,
      summary: `${tools}: ${counts}; ${fresh} new${tooMany ? `; ${options.errorsAtMost} errors are allowed` : ''}`,
      ok: !tooMany,
      severity: 'warning',
    }),
    ...known.failed.map((tool) =>
      state({
        condition: 'scan-failed',
        resource: tool,
        labels: { tool },
        holdMs: 0,
        summary: `${tool} says that it did not run to its end: its results are not complete`,
        ok: false,
        severity: 'warning',
      }),
    ),
  ];
}

/** A report that nobody renews is told for as long as its results are new, and no longer. */
function newResults(options: Options, known: Known, now: number): Observation[] {
  const isNew = ({ since }: Known['told'][number]): boolean =>
    options.quietAfter === 0 || now - since < options.quietAfter;
  const shown = known.told.filter(isNew).slice(0, options.shown);
  return shown.map(({ fingerprint, text, place, rule, severity }) =>
    state({
      condition: 'code-finding',
      resource: `${place} ${rule} ${fingerprint}`,
      labels: { rule, place: oneLine(place, 150) },
      holdMs: 0,
      summary: text,
      ok: false,
      severity,
    }),
  );
}

const evidenceScript = String.raw`${scriptHead}
IFS='
'
reports() { set +f; ls -ldt -- $1 2>/dev/null | head -n 8; set -f; }
part reports reports "$1"
`;

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const answer = await askHost(context, { script: evidenceScript, values: [options.report], timeoutMs: 5_000 });
  const others = (knownOf(context)?.told ?? []).map(({ text }) => text);
  return [
    ...evidenceOf('state', 'New results', observation.condition === 'code-finding' ? [observation.summary] : others),
    ...(answer.ok ? evidenceOf('change', 'Newest reports', linesOf(answer.sections, 'reports')) : []),
  ];
}
