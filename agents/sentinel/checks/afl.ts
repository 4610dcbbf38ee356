import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr, formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { aflScript, type Fuzzer, type Inputs, parseFuzzers, signalOf } from '#agents/sentinel/probes/afl.ts';
import { askHost, linesOf, partFailure } from '#agents/sentinel/probes/host-answer.ts';
import { asleep, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf, oneLine, timeText } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  output: z
    .string()
    .regex(/^\/[^\n\0]{1,1000}$/, 'must be a whole path')
    .describe('Output folder of afl-fuzz on the host, `*` for any text: `/srv/raptor/out/*/fuzzing`.'),
  mustRun: z
    .boolean()
    .default(false)
    .describe('Whether fuzzing goes on for ever: a fuzzer that rests is then a warning.'),
  silentAfter: durationOr('15m').describe('A fuzzer that wrote nothing of itself for so long does not run.'),
  quietAfter: durationOr('7d').describe('A crash is told until its file is gone, and no longer than so; 0s: always.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'afl',
  about: 'AFL++: inputs that crash or hang what is fuzzed, and fuzzers that do not run. Reads no input.',
  options: Options,
  reach: 'host',
  resourceOf: ({ output }) => output,
  observe,
  evidence: { about: 'the newest crashes and hangs of the fuzzer, by name and time', gather },
});

type Looked = { ok: true; fuzzers: Fuzzer[]; now: number } | { ok: false; reason: string };

async function lookAt(options: Options, context: CheckContext): Promise<Looked> {
  const answer = await askHost(context, { script: aflScript, values: [options.output.replace(/\/+$/, '')] });
  if (!answer.ok) return answer;
  const section = answer.sections.get('fuzzers');
  if (section?.code !== 0) return { ok: false, reason: partFailure(section, 'the look into the folder') };
  const { fuzzers, none } = parseFuzzers(linesOf(answer.sections, 'fuzzers'));
  if (fuzzers.length === 0 && none !== undefined) return { ok: false, reason: none };
  // By the clock of the host: it is the one that stamped the files.
  const now = Number(linesOf(answer.sections, 'now')[0]) * 1_000 || context.clock.now();
  return { ok: true, fuzzers, now };
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const whole = { condition: 'fuzzer-silent', resource: options.output };
  const looked = await lookAt(options, context);
  if (!looked.ok) return [unseen(whole, looked.reason)];
  const { fuzzers, now } = looked;
  if (fuzzers.length === 0 && !options.mustRun) {
    return [unseen(whole, 'there is no fuzzer_stats: no fuzzer wrote there, or it is not its output folder')];
  }
  return [
    state({
      ...whole,
      summary: `looked at ${counted(fuzzers.length, 'fuzzer')} of ${options.output}`,
      ok: fuzzers.length > 0,
      severity: 'warning',
    }),
    ...fuzzers.flatMap((fuzzer) => judge(fuzzer, options, now)),
  ];
}

function judge(fuzzer: Fuzzer, options: Options, now: number): Observation[] {
  const said = { resource: fuzzer.path, labels: { fuzzer: oneLine(fuzzer.path, 300) } };
  if (fuzzer.isClosed) return [unseen({ ...said, condition: 'fuzzer-silent' }, 'it may not be read')];
  const inputs = (of: Inputs, what: 'crash' | 'hang'): Observation => {
    const fresh = of.newest.filter(({ at }) => options.quietAfter === 0 || now - at < options.quietAfter);
    const [newest] = of.newest;
    const signal = newest && signalOf(newest.name);
    const last =
      newest === undefined ? '' : `, the last at ${timeText(newest.at)}${signal === undefined ? '' : ` by ${signal}`}`;
    const target = fuzzer.banner === '' ? fuzzer.path : `${oneLine(fuzzer.banner, 100)} (${fuzzer.path})`;
    const found = counted(of.count, what === 'crash' ? 'crashing input' : 'hanging input');
    return state({
      ...said,
      condition: `fuzzer-${what}`,
      summary: `AFL++ saved ${found} of ${target}${last}`,
      ok: fresh.length === 0,
      severity: what === 'crash' ? 'warning' : 'info',
      holdMs: 0,
    });
  };
  return [inputs(fuzzer.crashes, 'crash'), inputs(fuzzer.hangs, 'hang'), running(fuzzer, { options, now, said })];
}

function running(
  fuzzer: Fuzzer,
  of: { options: Options; now: number; said: { resource: string; labels: Record<string, string> } },
): Observation {
  const said = { ...of.said, condition: 'fuzzer-silent' };
  const silentMs = Math.max(0, Math.floor((of.now - fuzzer.updatedAt) / 60_000) * 60_000);
  const speed = `${fuzzer.executionsPerSecond.toFixed(0)} executions a second`;
  if (silentMs < of.options.silentAfter) {
    return state({ ...said, summary: `${fuzzer.path} runs with ${speed}`, ok: true, severity: 'warning' });
  }
  const summary = `${fuzzer.path} has not run for ${formatDuration(silentMs)}`;
  if (!of.options.mustRun) return asleep({ ...said, summary }, 'it ended or was stopped');
  return state({ ...said, summary, ok: false, severity: 'warning', holdMs: 0 });
}

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const looked = await lookAt(options, context);
  const fuzzer = looked.ok ? looked.fuzzers.find(({ path }) => path === observation.labels?.['fuzzer']) : undefined;
  if (fuzzer === undefined) return [];
  const lines = (inputs: Inputs): string[] =>
    inputs.newest.map(({ at, name }) => `${timeText(at)} ${name}`).toReversed();
  return [
    ...evidenceOf('state', `Crashes of ${fuzzer.path}`, lines(fuzzer.crashes)),
    ...evidenceOf('state', `Hangs of ${fuzzer.path}`, lines(fuzzer.hangs)),
  ];
}
