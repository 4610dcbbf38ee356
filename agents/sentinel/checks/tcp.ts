import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { matchesInTime } from '#config/bounded-pattern.ts';
import { Duration, durationOr, formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { startDeadline } from '#agents/sentinel/probes/deadline.ts';
import { lookNearby } from '#agents/sentinel/probes/nearby.ts';
import { classifyNetworkError } from '#agents/sentinel/probes/network-error.ts';
import { patternOption } from '#agents/sentinel/probes/pattern.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { evidenceOf, oneLine, resourceName } from '#agents/sentinel/probes/text.ts';
import { resolveAddresses } from '#agents/sentinel/probes/addresses.ts';

/** A greeting is one line; the rest of what a chatty service says is not read. */
const maximumBannerBytes = 4_096;

const Options = z.strictObject({
  address: z.string().min(1).max(255).describe('Name or address to connect to.'),
  port: z.number().int().min(1).max(65_535).describe('TCP port.'),
  condition: z
    .enum(['port-closed', 'host-down'])
    .default('port-closed')
    .describe('`host-down`: asks whether the host is there at all; a refused connection is an answer as well.'),
  expect: patternOption()
    .optional()
    .describe('Regular expression that what the service says first must match, for example ^SSH-2.'),
  say: z
    .string()
    .min(1)
    .max(1_000)
    .optional()
    .describe(
      'Text to send first, line ends included, where a service speaks only when spoken to: PING and a line end.',
    ),
  tls: z.boolean().default(false).describe('Whether it speaks TLS; the certificate is not judged here.'),
  slowAfter: Duration.optional().describe('An answer that takes longer is a warning. Absent: never.'),
  verySlowAfter: Duration.optional().describe('One that takes longer is critical. Absent: never.'),
  giveUpAfter: durationOr('4s').describe('No answer for so long means closed or down. Shorter than `timeout`.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'tcp',
  about: 'Whether a TCP port accepts connections, and optionally what it says first; or whether a host answers at all.',
  options: Options,
  reach: 'network',
  resourceOf: endpointOf,
  observe,
  evidence: { about: 'the addresses of the name, what else answers there and what it said before', gather },
});

function endpointOf(options: Options): string {
  const address = options.address.includes(':') ? `[${options.address}]` : options.address;
  return resourceName(`${address}:${options.port}`);
}

type Outcome =
  | { is: 'open'; ms: number; banner: string }
  | { is: 'closed'; text: string; answered: boolean }
  | { is: 'unknown'; text: string };

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const outcome = await tryPort(options, context);
  const endpoint = endpointOf(options);
  const base = { condition: options.condition, resource: endpoint };
  switch (outcome.is) {
    case 'unknown':
      return [unseen(base, outcome.text)];
    case 'open': {
      if (outcome.banner !== '') remember(context.memory, 'banner', oneLine(outcome.banner, 200));
      const summary = `${endpoint} answered in ${outcome.ms} ms`;
      return [state({ ...base, summary, ok: true, severity: 'critical' }), ...slowness(options, outcome.ms)];
    }
    case 'closed': {
      const isThere = options.condition === 'host-down' && outcome.answered;
      const summary = isThere
        ? `${options.address} is there: ${outcome.text} on port ${options.port}`
        : `${endpoint} does not answer: ${outcome.text}`;
      return [state({ ...base, summary, ok: isThere, severity: 'critical' })];
    }
  }
}

function slowness(options: Options, ms: number): Observation[] {
  const { slowAfter, verySlowAfter } = options;
  if (slowAfter === undefined && verySlowAfter === undefined) return [];
  const resource = endpointOf(options);
  const summary = `${resource} answered in ${ms} ms`;
  const limits = { bad: 'above', warning: slowAfter, critical: verySlowAfter } as const;
  return [level({ condition: 'port-slow', resource, summary, value: ms, unit: 'ms', ...limits })];
}

function tryPort(options: Options, context: CheckContext): Promise<Outcome> {
  context.signal.throwIfAborted();
  const started = context.clock.now();
  const expected = options.expect === undefined ? undefined : new RegExp(options.expect, 'u');
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  const socket = dial(options);
  const finish = (outcome: Outcome): void => {
    cancel();
    // No lingering half-closed connection on the target: it is told at once.
    socket.destroy();
    resolve(outcome);
  };
  let isConnected = false;
  let banner = '';
  const cancel = startDeadline({ ms: options.giveUpAfter, context }, (why) => {
    if (why === 'time') return finish(silence(options, isConnected));
    socket.destroy();
    reject(context.signal.reason as Error);
  });
  const open = (): void => finish({ is: 'open', ms: context.clock.now() - started, banner });
  socket.on('connect', () => {
    isConnected = true;
    if (options.tls && options.condition !== 'host-down') return;
    greet();
  });
  socket.on('secureConnect', () => greet());
  const greet = (): void => {
    if (options.say !== undefined) socket.write(options.say);
    if (expected === undefined || options.condition === 'host-down') open();
  };
  socket.on('data', (chunk: Buffer) => {
    banner += chunk.toString('latin1');
    const isExpected = expected === undefined ? false : matchesInTime(expected, banner.slice(0, maximumBannerBytes));
    if (isExpected === true) open();
    else if (isExpected === undefined) finish({ is: 'unknown', text: 'its banner keeps the expression busy too long' });
    else if (banner.includes('\n') || banner.length >= maximumBannerBytes) finish(otherBanner(banner));
  });
  socket.on('end', () => finish(banner === '' ? hungUp : otherBanner(banner)));
  socket.on('error', (error) => {
    const { cause, text } = classifyNetworkError(error);
    finish(
      cause === 'ours' ? { is: 'unknown', text } : { is: 'closed', text, answered: isConnected || isAnswer(cause) },
    );
  });
  return promise;
}

/** Whether a certificate is good is for "tls-expiry": here only what answers behind it counts. */
function dial({ address, port, tls, condition }: Options): Socket {
  if (!tls || condition === 'host-down') return connect({ host: address, port, noDelay: true });
  const socket = connectTls({
    host: address,
    port,
    rejectUnauthorized: false,
    ...(isIP(address) === 0 && { servername: address }),
  });
  return socket.setNoDelay(true);
}

/** A host that refuses or resets is there. */
function isAnswer(cause: string): boolean {
  return cause === 'refused' || cause === 'reset';
}

const hungUp: Outcome = { is: 'closed', text: 'it hung up without a word', answered: true };

function otherBanner(banner: string): Outcome {
  return { is: 'closed', text: `it says "${oneLine(banner, 80)}", which is not what is expected`, answered: true };
}

function silence(options: Options, isConnected: boolean): Outcome {
  const text = isConnected ? 'connected, but it says nothing' : 'no answer';
  return { is: 'closed', text: `${text} within ${formatDuration(options.giveUpAfter)}`, answered: isConnected };
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const before = context.memory.get('banner');
  const [addresses, nearby] = await Promise.all([
    resolveAddresses(options.address, context.signal),
    lookNearby(options.address, context, [options.port]),
  ]);
  const said = typeof before === 'string' ? [before] : [];
  return [...addresses, ...nearby, ...evidenceOf('state', 'What it said when it was well', said)];
}
