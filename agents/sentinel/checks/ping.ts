import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr, Duration, formatDuration } from '#config/duration.ts';
import { localRunner } from '#agents/runtime/local-command.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { resolveAddresses } from '#agents/sentinel/probes/addresses.ts';
import { spans } from '#agents/sentinel/probes/levels-option.ts';
import { lookNearby } from '#agents/sentinel/probes/nearby.ts';
import { ping, type PingEnd, type PingPlan, resolveFirst } from '#agents/sentinel/probes/ping.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { silenceEnds, silentFor } from '#agents/sentinel/probes/silence.ts';
import { resourceName } from '#agents/sentinel/probes/text.ts';

/** A name, an address, or an address with its interface; never an option of `ping`. */
const Target = z
  .string()
  .max(255)
  .regex(/^[A-Za-z0-9:][A-Za-z0-9:._%-]*$/, 'must be a name or an address');

const Options = z.strictObject({
  address: Target.describe('Name or address to ask for an echo.'),
  family: z
    .union([z.literal(4), z.literal(6)])
    .optional()
    .describe('IPv4 or IPv6 only. Default: as the name resolves.'),
  condition: z
    .enum(['ping-lost', 'host-down'])
    .default('ping-lost')
    .describe('`host-down`: the host itself counts as down, critical at once, for devices without a port to ask.'),
  count: z.number().int().min(1).max(20).default(3).describe('Echoes per look, 0.2 s apart.'),
  size: z.number().int().min(0).max(65_000).default(56).describe('Bytes of payload per echo.'),
  replyWithin: durationOr('1s').describe('How long the last echo is waited for, in whole seconds.'),
  silent: spans({ warning: '5m', critical: '15m' }).prefault({}).describe('`ping-lost`: how long it has been silent.'),
  lossAbove: z.number().min(0).max(100).default(50).describe('Percent of lost echoes that are a warning.'),
  slowAfter: Duration.optional().describe('A mean round trip that takes longer is a warning. Absent: never.'),
  verySlowAfter: Duration.optional().describe('One that takes longer is critical. Absent: never.'),
  from: z
    .enum(['here', 'host'])
    .default('here')
    .describe('`host`: asked on the host of the check, over its read login, for links that this machine is not on.'),
  source: Target.optional().describe('Own address or interface to ask from.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'ping',
  about: 'Whether a machine or device answers ICMP echoes, how many are lost and how long they take.',
  options: Options,
  reach: 'network',
  resourceOf: ({ address }) => resourceName(address),
  observe,
  evidence: {
    about: 'the addresses of the name, what else answers there and what the neighbour table says',
    gather: ({ address, from }, context) => gather(address, from, context),
  },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const end = await look(options, context);
  const said = { condition: options.condition, resource: options.address };
  switch (end.is) {
    case 'unable':
      return [unseen(said, end.reason)];
    case 'nameless':
      return [silence(options, context, end.reason)];
    case 'counted':
      return end.received === 0
        ? [silence(options, context, `${end.sent} echoes lost${end.said === undefined ? '' : `, ${end.said}`}`)]
        : answered(options, context, end);
  }
}

async function look(options: Options, context: CheckContext): Promise<PingEnd> {
  context.signal.throwIfAborted();
  const plan: PingPlan = {
    address: options.address,
    family: options.family,
    count: options.count,
    sizeBytes: options.size,
    replyWithinMs: options.replyWithin,
    source: options.source,
  };
  const limits = { signal: context.signal, timeoutMs: context.timeoutMs * 0.9 };
  if (options.from === 'host') return ping(plan, { runner: context.probe, ...limits });
  const first = await resolveFirst(options.address, options.family);
  context.signal.throwIfAborted();
  return 'address' in first ? ping({ ...plan, address: first.address }, { runner: localRunner, ...limits }) : first;
}

/** Devices drop echoes and restart: what is silent waits for its own time before it is told. */
function silence(options: Options, context: CheckContext, reason: string): Observation {
  const { condition, address: resource } = options;
  const silentMs = silentFor(context);
  const span = silentMs > 0 ? ` for ${formatDuration(silentMs)}` : '';
  const isCritical = condition === 'host-down' || silentMs >= options.silent.critical;
  return state({
    condition,
    resource,
    summary: `${resource} does not answer${span}: ${reason}`,
    ok: false,
    severity: isCritical ? 'critical' : 'warning',
    ...(condition === 'ping-lost' && { holdMs: options.silent.warning }),
  });
}

function answered(options: Options, context: CheckContext, end: Extract<PingEnd, { is: 'counted' }>): Observation[] {
  const { condition, address: resource } = options;
  silenceEnds(context);
  const lossPercent = Math.round((1 - end.received / end.sent) * 1_000) / 10;
  const time = end.averageMs === undefined ? '' : ` in ${end.averageMs} ms`;
  const lost = `${end.sent - end.received} of ${end.sent} echoes lost`;
  return [
    state({ condition, resource, summary: `${resource} answers${time}`, ok: true, severity: 'critical' }),
    level({
      condition: 'ping-loss',
      resource,
      summary: `${resource}: ${lost} (${lossPercent} %)`,
      value: lossPercent,
      unit: '%',
      bad: 'above',
      warning: options.lossAbove,
    }),
    ...slowness(options, end.averageMs),
  ];
}

function slowness({ address, slowAfter, verySlowAfter }: Options, averageMs: number | undefined): Observation[] {
  if (averageMs === undefined || (slowAfter === undefined && verySlowAfter === undefined)) return [];
  return [
    level({
      condition: 'ping-slow',
      resource: address,
      summary: `${address} answers in ${averageMs} ms`,
      value: averageMs,
      unit: 'ms',
      bad: 'above',
      warning: slowAfter,
      critical: verySlowAfter,
    }),
  ];
}

async function gather(address: string, from: Options['from'], context: CheckContext): Promise<Evidence[]> {
  // What the host sees cannot be asked from here.
  if (from === 'host') return [];
  const [addresses, nearby] = await Promise.all([
    resolveAddresses(address, context.signal),
    lookNearby(address, context),
  ]);
  return [...addresses, ...nearby];
}
