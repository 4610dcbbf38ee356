import { z } from 'zod';
import { Failure, messageOf } from '#bus/failure.ts';
import { formatDuration } from '#config/duration.ts';
import type { SecretRef } from '#config/secret-ref.ts';
import { resolveSecret } from '#config/secrets.ts';
import { bindLoaded } from '../commands/checks-of.ts';
import type { CommandContext } from '../commands/command.ts';
import { ask, withConsole } from '../commands/console.ts';
import { systemClock } from '../runtime/clock.ts';
import { bindIntakes } from '../sentinel/foreign/bind.ts';
import { readToken } from '../sentinel/foreign/credentials.ts';
import type { Source } from '../sentinel/foreign/source.ts';
import type { BoundCheck } from '../sentinel/registry.ts';
import { waitingFor } from '../sentinel/heartbeat/waiting.ts';
import { counted } from '../sentinel/probes/text.ts';
import type { Finding } from './finding.ts';

const Visit = z.object({ at: z.string(), text: z.string() });
const LastPing = z.object({ kind: z.string(), exitStatus: z.number().optional(), at: z.string() });
/** What the running sentinel tells of its doors. */
const Visits = z.object({
  since: z.string(),
  intakes: z.array(
    z.object({
      name: z.string(),
      open: z.number(),
      taken: Visit.optional(),
      complaint: Visit.extend({ count: z.number() }).optional(),
    }),
  ),
  heartbeats: z.array(z.object({ name: z.string(), since: z.string(), last: LastPing.optional() })),
});
type Visits = z.output<typeof Visits>;

const answerMs = 5_000;

/** Who may report to Lares: whether the door is open, what came last, and what was turned away. */
export async function* examineIntakes(context: CommandContext): AsyncGenerator<Finding> {
  const { sources } = await bindIntakes(context.loaded.config);
  const checks = (await bindLoaded(context.loaded)).filter(({ kind }) => kind === 'heartbeat');
  if (sources.length === 0 && checks.length === 0) return;
  const door = await examineDoor(context);
  yield door;
  const visits = door.ok ? await visitsOf(context) : undefined;
  if (typeof visits === 'string') yield { subject: 'door', ok: false, text: visits, mend: 'lares up' };
  const known = typeof visits === 'string' ? undefined : visits;
  for (const source of sources) yield examineSource(context, source, known);
  for (const check of checks) yield examineHeartbeat(context, check, known);
}

function addressOf({ loaded }: CommandContext): string {
  const { address, port } = loaded.config.http;
  const host = ['0.0.0.0', '::'].includes(address) ? '127.0.0.1' : address;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

async function examineDoor(context: CommandContext): Promise<Finding> {
  const subject = 'door';
  const address = addressOf(context);
  const { http } = context.loaded.config;
  if (http.port === 0) {
    return { subject, ok: false, text: 'takes another port at each start', mend: 'set http.port, for example 9477' };
  }
  try {
    const signal = AbortSignal.any([context.signal, AbortSignal.timeout(answerMs)]);
    await (await fetch(`${address}/healthz`, { signal })).body?.cancel();
  } catch (error) {
    context.signal.throwIfAborted();
    const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return { subject, ok: false, text: `${address} does not answer: ${messageOf(reason)}`, mend: 'lares up' };
  }
  const isPrivate = /^(?:127\.|::1$|localhost$)/.test(http.address);
  const text = `${address} answers${isPrivate ? '; for this machine only, until http.address is another' : ''}`;
  return { subject, ok: true, text };
}

/** What the running sentinel knows, or why it does not say it. */
async function visitsOf(context: CommandContext): Promise<Visits | string> {
  try {
    return Visits.parse(await withConsole(context, (bus) => ask(bus, context, { verb: 'intakes', data: {} })));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return error.message;
  }
}

function examineSource(context: CommandContext, source: Source, visits: Visits | undefined): Finding {
  const { name, config } = source;
  const subject = `intake ${name}`;
  const { token } = config;
  const read = (ref: SecretRef): string => resolveSecret(ref, context.loaded.baseFolder);
  const unreadable = token === undefined ? undefined : problemOf(subject, () => readToken(name, token, read));
  if (unreadable !== undefined) return unreadable;
  const at = `${source.kind} at ${placeOf(context, source)}`;
  const visit = visits?.intakes.find((one) => one.name === name);
  if (visits === undefined || visit === undefined) return { subject, ok: true, text: at };
  return { subject, ...howItGoes(visit, { at, since: visits.since, mend: mendOf(source) }) };
}

function placeOf(context: CommandContext, { name, definition, options }: Source): string {
  const subscription = definition.subscription?.(options);
  if (subscription === undefined) return `${addressOf(context)}/in/${name}`;
  return `${subscription.topics.join(', ')} of ${subscription.broker?.url ?? 'the bus'}`;
}

function howItGoes(
  { taken, complaint, open }: Visits['intakes'][number],
  of: { at: string; since: string; mend: string },
): Omit<Finding, 'subject'> {
  const came = taken === undefined ? `nothing came since ${of.since}` : `last ${lastly(taken)}`;
  const text = `${of.at}; ${came}, ${open} open`;
  if (complaint === undefined) return { ok: true, text };
  const trouble = `${counted(complaint.count, 'complaint')}, last ${lastly(complaint)}`;
  // What was taken since then shows that it goes well again.
  const isOver = taken !== undefined && taken.at > complaint.at;
  return { ok: isOver, text: `${text}; ${trouble}`, ...(!isOver && { mend: of.mend }) };
}

function mendOf({ name, kind, config }: Source): string {
  const token =
    config.token === undefined ? 'has no token: only this machine may send' : 'shows the token of this intake';
  return `look at the sender of "${name}": that it ${token} and sends what the kind "${kind}" reads (agents/sentinel/intake/README.md)`;
}

function examineHeartbeat(context: CommandContext, check: BoundCheck, visits: Visits | undefined): Finding {
  const name = String(check.options['ping']);
  const subject = `heartbeat ${name}`;
  const read = (ref: SecretRef): string => resolveSecret(ref, context.loaded.baseFolder);
  const unreadable = problemOf(subject, () => waitingFor([check], read));
  if (unreadable !== undefined) return unreadable;
  const where = `${addressOf(context)}/ping/${check.options['token'] === undefined ? name : '<token>'}`;
  const known = visits?.heartbeats.find((one) => one.name === name);
  if (known === undefined) return { subject, ok: true, text: `at ${where}` };
  const { last, since } = known;
  if (last === undefined) {
    const mend = `curl -fsS ${where} at the end of the job`;
    return { subject, ok: false, text: `never came since ${since}`, mend };
  }
  const exit = last.exitStatus === undefined ? '' : ` (exit status ${last.exitStatus})`;
  const text = `last ${last.kind}${exit} ${ago(last.at)}`;
  if (last.kind === 'fail') return { subject, ok: false, text, mend: 'look at the job: it reports that it failed' };
  return { subject, ok: true, text };
}

function problemOf(subject: string, read: () => unknown): Finding | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { subject, ok: false, text: error.message, mend: 'openssl rand -hex 16 > FILE && chmod 600 FILE' };
  }
}

function lastly({ at, text }: z.output<typeof Visit>): string {
  return `${ago(at)}: ${text}`;
}

function ago(at: string): string {
  const seconds = Math.floor(Math.max(0, systemClock.now() - Date.parse(at)) / 1_000);
  return seconds === 0 ? 'just now' : `${formatDuration(seconds * 1_000)} ago`;
}
