import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { CommandEnd, CommandRunner } from '#agents/runtime/command.ts';
import { classifyNetworkError } from './network-error.ts';
import { oneLine } from './text.ts';

export interface PingPlan {
  address: string;
  family?: 4 | 6 | undefined;
  count: number;
  sizeBytes: number;
  /** How long the last echo is waited for. */
  replyWithinMs: number;
  /** Address or interface to ask from. */
  source?: string | undefined;
}

export type PingEnd =
  | { is: 'counted'; sent: number; received: number; averageMs: number | undefined; said: string | undefined }
  /** The name does not exist. */
  | { is: 'nameless'; reason: string }
  /** This machine could not ask. */
  | { is: 'unable'; reason: string };

/** Least interval that an ordinary user may ask for. */
const intervalSeconds = 0.2;

/** The argv of the system's `ping`, for iputils, busybox and inetutils alike. */
function pingArgv(plan: PingPlan): string[] {
  const options = [
    ['-n'],
    ['-c', String(plan.count)],
    ['-i', String(intervalSeconds)],
    ['-s', String(plan.sizeBytes)],
    ['-W', String(Math.max(1, Math.ceil(plan.replyWithinMs / 1_000)))],
    plan.family === undefined ? [] : [`-${plan.family}`],
    plan.source === undefined ? [] : ['-I', plan.source],
  ];
  return ['ping', ...options.flat(), '--', plan.address];
}

/** Longer than `ping` itself takes: a look that is cut off by this was not answered and not counted. */
function pingTimeMs({ count, replyWithinMs }: PingPlan): number {
  return count * intervalSeconds * 1_000 + Math.ceil(replyWithinMs / 1_000) * 1_000 + 1_000;
}

/** Pings once. Contract: rejects only with the signal's reason. */
export async function ping(
  plan: PingPlan,
  on: { runner: CommandRunner; signal: AbortSignal; timeoutMs: number },
): Promise<PingEnd> {
  const { runner, ...limits } = on;
  const timeoutMs = Math.min(limits.timeoutMs, pingTimeMs(plan));
  return readPing(await runner.run(pingArgv(plan), { ...limits, timeoutMs }));
}

/** The first address of a name on this machine, so that "no such name" and "no resolver" stay apart. */
export async function resolveFirst(name: string, family: 4 | 6 | undefined): Promise<{ address: string } | PingEnd> {
  if (isIP(name.replace(/%.*$/, '')) !== 0) return { address: name };
  try {
    const { address } = await lookup(name, { family: family ?? 0 });
    return { address };
  } catch (error) {
    const { cause, text } = classifyNetworkError(error);
    return cause === 'dns' ? { is: 'nameless', reason: text } : { is: 'unable', reason: text };
  }
}

/** What a run of `ping` says. Counts come from its own summary; without one nobody was asked. */
export function readPing(end: CommandEnd): PingEnd {
  switch (end.end) {
    case 'unreachable':
      return { is: 'unable', reason: missing(end.reason) };
    case 'lost':
      return { is: 'unable', reason: `connection lost: ${oneLine(end.reason, 200)}` };
    case 'killed':
      return { is: 'unable', reason: `ping was killed by ${end.signal}` };
    case 'timed-out':
      return { is: 'unable', reason: 'ping did not end in time' };
    case 'exited':
      return readOutput(end.output, end.code);
  }
}

function missing(reason: string): string {
  return reason.includes('"ping" is not installed')
    ? 'there is no `ping` here: install iputils-ping, or use a check of kind "tcp"'
    : oneLine(reason, 300);
}

const statistics = /^(\d{1,6}) packets transmitted, (\d{1,6}) (?:packets )?received/m;
const roundTrip = /^(?:rtt|round-trip) min\/avg\/max(?:\/(?:mdev|stddev))? = [\d.]+\/([\d.]+)\//m;
/** Lines in which a router or this machine says why an echo cannot come back. */
const remark = /^(?:From \S+ icmp_seq=\d+ |ping: |From \S+: )(.{1,200})$/m;

function readOutput({ stdout, stderr }: { stdout: string; stderr: string }, code: number): PingEnd {
  const counts = statistics.exec(stdout);
  const said = remark.exec(`${stdout}\n${stderr}`)?.[1];
  if (counts === null) return withoutCounts(stderr === '' ? stdout : stderr, code);
  const [, sent, received] = counts.map(Number);
  if (sent === undefined || received === undefined || sent === 0) return withoutCounts(stderr, code);
  const average = Number(roundTrip.exec(stdout)?.[1]);
  // What this machine refuses to send was never on its way.
  if (received === 0 && /sendmsg|Operation not permitted|Permission denied/.test(stderr)) {
    return { is: 'unable', reason: oneLine(stderr, 200) };
  }
  return {
    is: 'counted',
    sent,
    // Duplicates are counted apart by all three, but a count above what was sent must not become a loss below 0.
    received: Math.min(sent, received),
    averageMs: Number.isFinite(average) ? average : undefined,
    said: said === undefined ? undefined : oneLine(said, 120),
  };
}

function withoutCounts(text: string, code: number): PingEnd {
  const said = oneLine(text.replace(/^.*?ping: /s, ''), 200);
  if (/not known|unknown host|bad address|No address associated/i.test(said)) return { is: 'nameless', reason: said };
  if (/not permitted|permission denied/i.test(said)) {
    return {
      is: 'unable',
      reason: `ping may not be used here (${said}): give it cap_net_raw or set net.ipv4.ping_group_range`,
    };
  }
  return { is: 'unable', reason: said === '' ? `ping ended with status ${code}` : said };
}
