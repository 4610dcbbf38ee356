import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { Duration, durationOr, formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { resolveAddresses } from '#agents/sentinel/probes/addresses.ts';
import { AwakeWindow, openWindow } from '#agents/sentinel/probes/awake-window.ts';
import { knock } from '#agents/sentinel/probes/knock.ts';
import { asleep, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { evidenceOf, oneLine, resourceName } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  address: z.string().min(1).max(255).describe('Name or address of what may rest.'),
  ports: z
    .array(z.number().int().min(1).max(65_535))
    .min(1)
    .max(10)
    .default([22])
    .describe('TCP ports that all accept connections when it is ready. SSH tells more than a ping: it comes last.'),
  what: z
    .enum(['host', 'service'])
    .default('host')
    .describe('A host that refuses a connection is starting; a service that does is asleep.'),
  mac: z
    .string()
    .regex(/^(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$/, 'must be a MAC address such as 00:11:22:aa:bb:cc')
    .optional()
    .describe('Address of the network card that wakes it, for the messages. This check wakes nothing.'),
  awake: z
    .array(AwakeWindow)
    .max(20)
    .default([])
    .describe('When it must be awake, for example for a backup at 00:08 that takes half an hour.'),
  wakesWithin: durationOr('3m').describe('How long it may take to wake when a window begins.'),
  startsWithin: durationOr('10m').describe('How long it may be there without being ready.'),
  atMost: Duration.optional().describe(
    'Awake for longer, outside its windows, is a warning. Absent: as long as it likes.',
  ),
  giveUpAfter: durationOr('4s').describe('No answer for so long means that it sleeps. Shorter than `timeout`.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'on-demand',
  about: 'A host or service that may rest: asleep is not down, unless it is wanted awake or stays awake for too long.',
  options: Options,
  reach: 'network',
  knowsSleep: true,
  resourceOf: (options) => resourceName(options.address),
  observe,
  evidence: { about: 'the addresses of the name, its windows and since when it is awake', gather },
});

type Phase = { is: 'asleep' | 'starting' | 'ready' } | { is: 'unknown'; reason: string };

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const said = { condition: 'on-demand-not-awake', resource: options.address };
  const phase = await phaseOf(options, context);
  if (phase.is === 'unknown') return [unseen(said, phase.reason)];
  const now = context.clock.now();
  const since = sinceWhen(context, phase.is, now);
  const open = openWindow(options.awake, now);
  const isDue = open !== undefined && now - open.startedAt >= options.wakesWithin;
  return [
    isDue && phase.is !== 'ready' ? notAwake(options, { open, now, phase }) : presence(options, phase.is),
    ...(phase.is === 'starting' ? [stuck(options, now - since.present)] : []),
    ...(phase.is === 'asleep' ? [] : tooLong(options, { awakeMs: now - since.present, isWanted: open !== undefined })),
  ];
}

async function phaseOf(options: Options, context: CheckContext): Promise<Phase> {
  const { address, giveUpAfter: ms } = options;
  const knocks = await Promise.all(options.ports.map((port) => knock({ address, port, ms }, context)));
  const unable = knocks.find((one) => typeof one === 'object');
  if (unable !== undefined) return { is: 'unknown', reason: unable.unknown };
  if (knocks.every((one) => one === 'open')) return { is: 'ready' };
  const isThere = knocks.some((one) => one === 'open' || (one === 'refused' && options.what === 'host'));
  return { is: isThere ? 'starting' : 'asleep' };
}

/** Since when it has been there, over all looks in which it was. */
function sinceWhen(context: CheckContext, phase: 'asleep' | 'starting' | 'ready', now: number): { present: number } {
  const before = context.memory.get('presentSince');
  const present = phase === 'asleep' ? undefined : typeof before === 'number' ? before : now;
  const ready = phase === 'ready' ? now : context.memory.get('readyAt');
  remember(context.memory, 'presentSince', present ?? null);
  // A minute is fine enough, and an unchanged value costs the store nothing.
  if (typeof ready === 'number') remember(context.memory, 'readyAt', Math.floor(ready / 3_600_000) * 3_600_000);
  return { present: present ?? now };
}

function presence(options: Options, phase: 'asleep' | 'starting' | 'ready'): Observation {
  const said = { condition: 'on-demand-not-awake', resource: options.address };
  switch (phase) {
    case 'ready':
      return state({ ...said, summary: `${options.address} is awake and ready`, ok: true, severity: 'critical' });
    case 'starting':
      return asleep(
        { ...said, summary: `${options.address} is starting: not all of its ports answer` },
        'it is starting',
      );
    case 'asleep':
      return asleep({ ...said, summary: `${options.address} is asleep, which it may` }, 'it is off, which it may');
  }
}

function notAwake(
  options: Options,
  of: { open: NonNullable<ReturnType<typeof openWindow>>; now: number; phase: Phase },
): Observation {
  const { window, startedAt } = of.open;
  const who = window.owner === undefined ? 'it is wanted' : `${oneLine(window.owner, 80)} wants it`;
  const word = of.phase.is === 'starting' ? 'there, but not ready' : 'asleep';
  return state({
    condition: 'on-demand-not-awake',
    resource: options.address,
    summary: `${options.address} is ${word}, and ${who} since ${formatDuration(minutes(of.now - startedAt))}`,
    ok: false,
    severity: 'critical',
    // The window itself has given it time.
    holdMs: 0,
    labels: { ...(options.mac !== undefined && { mac: options.mac }) },
  });
}

function stuck(options: Options, startingMs: number): Observation {
  const isStuck = startingMs >= options.startsWithin;
  return state({
    condition: 'on-demand-stuck-starting',
    resource: options.address,
    summary: `${options.address} has been there for ${formatDuration(minutes(startingMs))} and is not ready`,
    ok: !isStuck,
    severity: 'warning',
    holdMs: 0,
  });
}

function tooLong(options: Options, of: { awakeMs: number; isWanted: boolean }): Observation[] {
  if (options.atMost === undefined) return [];
  const isTooLong = of.awakeMs >= options.atMost && !of.isWanted;
  const text = isTooLong ? `, and nobody wants it longer than ${formatDuration(options.atMost)}` : '';
  return [
    state({
      condition: 'on-demand-awake-too-long',
      resource: options.address,
      summary: `${options.address} has been awake for ${formatDuration(minutes(of.awakeMs))}${text}`,
      ok: !isTooLong,
      severity: 'warning',
      holdMs: 0,
    }),
  ];
}

function minutes(ms: number): number {
  return ms < 60_000 ? Math.floor(ms / 1_000) * 1_000 : Math.floor(ms / 60_000) * 60_000;
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const windows = options.awake.map(
    ({ cron, timezone, for: length, owner }) =>
      `wanted at "${cron}" (${timezone}) for ${formatDuration(length)}${owner === undefined ? '' : ` by ${owner}`}`,
  );
  const since = context.memory.get('presentSince');
  const ready = context.memory.get('readyAt');
  const lines = [
    ...windows,
    ...(options.mac === undefined ? [] : [`wakes by a packet to ${options.mac}`]),
    ...(typeof since === 'number' ? [`there since ${new Date(since).toISOString()}`] : ['not there']),
    ...(typeof ready === 'number' ? [`last ready in the hour from ${new Date(ready).toISOString()}`] : []),
  ];
  return [
    ...evidenceOf('state', `When ${options.address} is wanted`, lines),
    ...(await resolveAddresses(options.address, context.signal)),
  ];
}
