import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { Duration, durationOr, formatDuration } from '#config/duration.ts';
import { SecretRef } from '#config/schema.ts';
import { type CheckContext, defineCheck, type LastPing, type Observation } from '#agents/sentinel/check.ts';
import { state } from '#agents/sentinel/probes/reading.ts';
import { evidenceOf } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ping: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'must be letters, digits, dots, dashes or underscores')
    .describe('Name of the heartbeat: the part of the address after /ping/, unless it has a token.'),
  token: SecretRef.optional().describe(
    'A secret that stands in the address instead of the name: /ping/<token>. Without it whoever reaches the address may report.',
  ),
  period: Duration.describe('How often the job reports that it went well.'),
  grace: durationOr('5m').describe('How late it may be, and how long a started run may take.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'heartbeat',
  about: 'A job that has to report itself: a missing ping, a failed run or a run that does not end is a problem.',
  options: Options,
  reach: 'network',
  resourceOf: (options) => options.ping,
  observe,
  evidence: { about: 'what the last ping said', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const now = context.clock.now();
  const last = context.pings.last(options.ping);
  const judged = last === undefined ? neverPinged(options, context, now) : judge(options, last, { context, now });
  return [
    state({
      condition: 'heartbeat-missing',
      resource: options.ping,
      labels: { heartbeat: options.ping },
      // Period and grace are the hold.
      holdMs: 0,
      summary: `heartbeat "${options.ping}" ${judged.text}`,
      ok: judged.ok,
      severity: 'critical',
    }),
  ];
}

interface Judged {
  ok: boolean;
  text: string;
}

/** A clock that was set back makes a time lie ahead: no time has passed then. */
function since(then: number, now: number): number {
  return Math.max(0, now - then);
}

function ago(ms: number): string {
  return ms < 1_000 ? 'just now' : `${formatDuration(Math.floor(ms / 1_000) * 1_000)} ago`;
}

function neverPinged(options: Options, context: CheckContext, now: number): Judged {
  const waitedMs = since(context.pings.knownSince(options.ping), now);
  const isOverdue = waitedMs > options.period + options.grace;
  return {
    ok: !isOverdue,
    text: isOverdue
      ? `never came since ${ago(waitedMs)}; ${expectation(options)}`
      : `has not come yet; ${expectation(options)}`,
  };
}

function judge(options: Options, last: LastPing, at: { context: CheckContext; now: number }): Judged {
  const ageMs = since(last.at, at.now);
  switch (last.kind) {
    case 'fail': {
      const exit = last.exitStatus === undefined ? '' : ` (exit status ${last.exitStatus})`;
      return { ok: false, text: `reported a failure${exit} ${ago(ageMs)}` };
    }
    case 'start':
      return judgeStart(options, last, at);
    case 'success': {
      const isOverdue = ageMs > options.period + options.grace;
      return { ok: !isOverdue, text: `came ${ago(ageMs)}${isOverdue ? `; ${expectation(options)}` : ''}` };
    }
  }
}

/** A job that is started again and again and never ends well is late too: as late as a late start and a whole run make it. */
function judgeStart(
  options: Options,
  last: LastPing,
  { context, now }: { context: CheckContext; now: number },
): Judged {
  const { period, grace } = options;
  const startedMs = since(last.at, now);
  const started = `started ${ago(startedMs)}`;
  if (startedMs > grace) return { ok: false, text: `${started} and has not ended within ${formatDuration(grace)}` };
  const waitedMs = since(last.succeededAt ?? context.pings.knownSince(options.ping), now);
  if (waitedMs <= period + 2 * grace) return { ok: true, text: `${started} and runs` };
  const well = last.succeededAt === undefined ? 'it never went well' : `it went well last ${ago(waitedMs)}`;
  return { ok: false, text: `${started}, and ${well}; ${expectation(options)}` };
}

function expectation(options: Options): string {
  return `expected every ${formatDuration(options.period)} and ${formatDuration(options.grace)} of grace`;
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const last = context.pings.last(options.ping);
  return last === undefined
    ? []
    : evidenceOf('log', `Last report (${last.kind})`, last.body.slice(0, 10_240).split('\n'));
}
