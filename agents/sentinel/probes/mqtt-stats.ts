import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { ratesOf } from './counter-rate.ts';
import type { MqttConversation } from './mqtt.ts';
import { state, unseen } from './reading.ts';
import { remember } from './remembered.ts';
import { oneLine } from './text.ts';
import { restartedSince } from './uptime-drop.ts';

const uptimeTopic = '$SYS/broker/uptime';
/**
 * Mosquitto sends the retained values of a subscription filter by filter: when the uptime is there, so are the others.
 * `#` alone does not reach `$SYS`.
 */
const filters = [
  '$SYS/broker/version',
  '$SYS/broker/clients/#',
  '$SYS/broker/publish/messages/dropped',
  '$SYS/broker/messages/stored',
  '$SYS/broker/retained messages/count',
  uptimeTopic,
];
const maximumValues = 60;

/** Values by topic, without `$SYS/broker/`. */
export type BrokerStats = ReadonlyMap<string, string>;

/** What Mosquitto tells of itself. Empty when nothing came within `ms`. */
export async function readStats(
  conversation: MqttConversation,
  of: { ms: number; signal: AbortSignal; clock: CheckContext['clock'] },
): Promise<BrokerStats | 'refused'> {
  const values = new Map<string, string>();
  const { promise, resolve } = Promise.withResolvers<void>();
  conversation.listen(({ topic, payload }) => {
    if (!topic.startsWith('$SYS/broker/') || values.size >= maximumValues) return;
    values.set(topic.slice('$SYS/broker/'.length), oneLine(payload.toString('utf8'), 100));
    if (topic === uptimeTopic) resolve();
  });
  if (!(await conversation.subscribe(filters))) return 'refused';
  const cancel = of.clock.after(of.ms, resolve);
  of.signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
  cancel();
  return values;
}

/** What the values and those of earlier looks say. */
export function observeStats(
  stats: BrokerStats | 'refused',
  of: { resource: string; intervalMs: number },
  context: CheckContext,
): Observation[] {
  const said = { condition: 'broker-stalled', resource: of.resource };
  if (stats === 'refused') return [unseen(said, 'it does not let this user read $SYS')];
  const uptime = stats.get('uptime');
  if (uptime === undefined) {
    return [unseen(said, 'it tells nothing below $SYS: its ACL needs "topic read $SYS/#" for this user')];
  }
  // "27 seconds"
  const seconds = Number.parseInt(uptime, 10);
  if (!Number.isFinite(seconds)) return [unseen(said, `its uptime is no number: "${uptime}"`)];
  remember(
    context.memory,
    'stats',
    [...stats].map(([name, value]) => `${name}: ${value}`),
  );
  return [
    observeProgress(uptime, { ...of, said }, context),
    observeRestart(seconds, of.resource, context),
    ...observeDropped(stats, of.resource, context),
    ...observeSessions(stats, of.resource, context),
  ];
}

/** The uptime is sent anew each interval: one that stands still is a broker that no longer does its work. */
function observeProgress(
  uptime: string,
  of: { said: { condition: string; resource: string }; intervalMs: number },
  context: CheckContext,
): Observation {
  const now = context.clock.now();
  const before = context.memory.get('progress');
  const known = isProgress(before) && before.uptime === uptime && before.since <= now ? before : { uptime, since: now };
  remember(context.memory, 'progress', known);
  const isStalled = now - known.since > 3 * of.intervalMs;
  const summary = isStalled
    ? `the broker's own values have stood still for ${Math.round((now - known.since) / 1_000)} s`
    : `the broker has been up for ${uptime}`;
  return state({ ...of.said, summary, ok: !isStalled, severity: 'critical' });
}

function observeRestart(seconds: number, resource: string, context: CheckContext): Observation {
  const restarted = restartedSince({ key: 'broker-uptime', uptimeMs: seconds * 1_000 }, context);
  return state({
    condition: 'broker-restarted',
    resource,
    summary: restarted ? `the broker was started again ${seconds} s ago` : 'the broker has run on',
    ok: !restarted,
    severity: 'info',
    holdMs: 0,
  });
}

function observeDropped(stats: BrokerStats, resource: string, context: CheckContext): Observation[] {
  const dropped = Number(stats.get('publish/messages/dropped'));
  if (!Number.isFinite(dropped)) return [];
  const counters = new Map([['dropped', dropped]]);
  const rate = ratesOf({ key: 'dropped', counters }, context).get('dropped') ?? 0;
  return [
    state({
      condition: 'messages-dropped',
      resource,
      summary:
        rate > 0
          ? `the broker drops ${rate.toFixed(2)} messages a second: a client is too slow or away for too long`
          : 'the broker drops no messages',
      ok: rate === 0,
      severity: 'warning',
    }),
  ];
}

const sampleEveryMs = 3_600_000;
const keptSamples = 24;
const enoughSamples = 6;
const leastGrowth = 10;

/** Sessions of clients that are away for ever fill the broker: hour by hour never fewer, and a good half more. */
function observeSessions(stats: BrokerStats, resource: string, context: CheckContext): Observation[] {
  const away = Number(stats.get('clients/disconnected') ?? stats.get('clients/inactive'));
  if (!Number.isFinite(away)) return [];
  const now = context.clock.now();
  const samples = samplesIn(context.memory.get('sessions'));
  const last = samples.at(-1);
  if (last === undefined || now - last.at >= sampleEveryMs) samples.push({ at: now, away });
  const kept = samples.slice(-keptSamples);
  remember(context.memory, 'sessions', kept);
  const values = [...kept.map((sample) => sample.away), away];
  const [first = away] = values;
  const neverLess = values.every((value, index) => index === 0 || value >= (values[index - 1] ?? 0));
  const isGrowing = kept.length >= enoughSamples && neverLess && away - first >= Math.max(leastGrowth, first / 2);
  return [
    state({
      condition: 'sessions-pile-up',
      resource,
      summary: isGrowing
        ? `sessions of clients that are away grew from ${first} to ${away} in ${kept.length} hours`
        : `${away} sessions of clients that are away`,
      ok: !isGrowing,
      severity: 'warning',
    }),
  ];
}

interface Progress {
  uptime: string;
  since: number;
}

function isProgress(value: unknown): value is Progress {
  return (
    value !== null &&
    typeof value === 'object' &&
    'uptime' in value &&
    'since' in value &&
    typeof value.since === 'number'
  );
}

function samplesIn(value: unknown): { at: number; away: number }[] {
  return Array.isArray(value)
    ? value.filter((one: unknown): one is { at: number; away: number } => {
        return one !== null && typeof one === 'object' && 'at' in one && 'away' in one;
      })
    : [];
}
