import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr, formatDuration } from '#config/duration.ts';
import { SecretRef } from '#config/schema.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { resolveAddresses } from '#agents/sentinel/probes/addresses.ts';
import { secretOf } from '#agents/sentinel/probes/api.ts';
import { readAuthorities } from '#agents/sentinel/probes/authority.ts';
import { MqttConversation, MqttRefusal, type MqttTarget } from '#agents/sentinel/probes/mqtt.ts';
import { type BrokerStats, observeStats, readStats } from '#agents/sentinel/probes/mqtt-stats.ts';
import { observeTopics, TopicOption } from '#agents/sentinel/probes/mqtt-topics.ts';
import { listenTo, type Listening } from '#agents/sentinel/probes/mqtt-watch.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { rememberedTexts } from '#agents/sentinel/probes/remembered.ts';
import { evidenceOf, resourceName } from '#agents/sentinel/probes/text.ts';
import { withinTime } from '#agents/sentinel/probes/within-time.ts';

const Options = z.strictObject({
  url: z
    .url({ protocol: /^mqtts?$/, error: 'must start with mqtt:// or mqtts://' })
    .max(2_000)
    .refine((url) => !/^mqtts?:\/\/[^/?#]*@/i.test(url), { error: 'must hold no password' })
    .describe('Address of the broker: mqtt://host:1883, or mqtts://host:8883 with TLS.'),
  user: z.string().min(1).max(200).optional().describe('User to connect as.'),
  password: SecretRef.optional().describe('Password of the user.'),
  caFile: z.string().max(1_000).optional().describe('Certificates (PEM) to trust beside the usual authorities.'),
  verifyTls: z.boolean().default(true).describe('Whether the certificate must be trusted and for the name.'),
  stats: z
    .boolean()
    .default(false)
    .describe('Reads what Mosquitto tells of itself below $SYS. Its ACL must hold `topic read $SYS/#` for the user.'),
  statsInterval: durationOr('10s').describe(
    "The broker's `sys_interval`; values that stand still for three are critical.",
  ),
  roundTrip: z
    .string()
    .max(500)
    .regex(/^[^+#$][^+#]*$/, { error: 'must be one topic' })
    .optional()
    .describe(
      'Topic that the user may write and read: a number is published there and must come back. Never retained.',
    ),
  roundTripLimit: durationOr('2s').describe('How long that may take.'),
  topics: z
    .array(TopicOption)
    .max(50)
    .default([])
    .describe('Topics on which messages must come, and what they must say. Needs a connection that stays open.'),
  giveUpAfter: durationOr('5s').describe('A broker that takes longer to let us in is down. Shorter than `timeout`.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'mqtt',
  about:
    'An MQTT broker: that it takes connections and carries messages, what it tells of itself, and topics that must not fall silent.',
  options: Options,
  reach: 'network',
  resourceOf: brokerOf,
  observe,
  evidence: { about: 'the last values below $SYS and the addresses of the name', gather },
});

function brokerOf({ url }: Options): string {
  return resourceName(new URL(url).host);
}

interface Seen {
  stats?: BrokerStats | 'refused';
  /** Undefined: it did not come back in time. */
  roundTripMs?: number | undefined;
  listening?: Listening;
}

type Outcome = { is: 'seen'; seen: Seen } | { is: MqttRefusal['sort']; text: string };

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const resource = brokerOf(options);
  const down = { condition: 'broker-down', resource, hidesRest: true };
  const outcome = await look(options, context);
  switch (outcome.is) {
    case 'login':
    case 'ours':
      return [unseen(down, outcome.text)];
    case 'broker':
    case 'silent':
      return [
        state({
          ...down,
          summary: `the broker ${resource} takes no connection: ${outcome.text}`,
          ok: false,
          severity: 'critical',
        }),
      ];
    case 'seen':
      return [
        state({ ...down, summary: `the broker ${resource} takes connections`, ok: true, severity: 'critical' }),
        ...judge(outcome.seen, options, context),
      ];
  }
}

function judge(seen: Seen, options: Options, context: CheckContext): Observation[] {
  const resource = brokerOf(options);
  const { stats, listening } = seen;
  return [
    ...(stats === undefined ? [] : observeStats(stats, { resource, intervalMs: options.statsInterval }, context)),
    ...(options.roundTrip === undefined ? [] : [roundTripObservation(options, seen.roundTripMs)]),
    ...(listening === undefined ? [] : observeTopics(options.topics, listening, context)),
  ];
}

function roundTripObservation(options: Options, ms: number | undefined): Observation {
  const said = {
    condition: 'round-trip-failed',
    resource: brokerOf(options),
    labels: { topic: options.roundTrip ?? '' },
  };
  const text =
    ms === undefined
      ? `a message did not come back within ${formatDuration(options.roundTripLimit)}: the broker or its ACL holds it back`
      : `a message came back in ${ms} ms`;
  return state({ ...said, summary: text, ok: ms !== undefined, severity: 'critical' });
}

async function look(options: Options, context: CheckContext): Promise<Outcome> {
  const target = targetOf(options, context);
  if (!target.ok) return { is: 'ours', text: target.reason };
  const ms = options.giveUpAfter + (options.roundTrip === undefined ? 0 : options.roundTripLimit);
  try {
    const end = await withinTime({ ms, context }, (signal) => ask(target.value, options, { ...context, signal }));
    if (end.is === 'late') return { is: 'silent', text: `no answer within ${formatDuration(ms)}` };
    const listening =
      options.topics.length === 0
        ? undefined
        : await listenTo({ target: target.value, wishes: options.topics, settleMs }, context);
    return { is: 'seen', seen: { ...end.value, ...(listening !== undefined && { listening }) } };
  } catch (error) {
    context.signal.throwIfAborted();
    if (error instanceof MqttRefusal) return { is: error.sort, text: error.message };
    throw error;
  }
}

/** For what the broker has in store; it comes right behind the SUBACK. */
const settleMs = 300;

type Target = { ok: true; value: MqttTarget } | { ok: false; reason: string };

function targetOf(options: Options, context: CheckContext): Target {
  const authorities = options.caFile === undefined ? undefined : readAuthorities(options.caFile, context.baseFolder);
  if (authorities?.ok === false) return authorities;
  const password = options.password === undefined ? undefined : secretOf(options.password, context);
  if (password?.ok === false) return password;
  const { url, user, verifyTls: verify } = options;
  return { ok: true, value: { url, user, verify, password: password?.value, ca: authorities?.ca } };
}

async function ask(target: MqttTarget, options: Options, context: CheckContext): Promise<Seen> {
  const conversation = await MqttConversation.open(target, { signal: context.signal });
  const { clock, signal } = context;
  const seen: Seen = {};
  if (options.stats) seen.stats = await readStats(conversation, { ms: statsWaitMs, signal, clock });
  if (options.roundTrip !== undefined) {
    const of = { topic: options.roundTrip, ms: options.roundTripLimit };
    seen.roundTripMs = await roundTrip(conversation, of, context);
  }
  return seen;
}

/** The values are retained: they come at once or never. */
const statsWaitMs = 2_000;

async function roundTrip(
  conversation: MqttConversation,
  of: { topic: string; ms: number },
  { clock }: CheckContext,
): Promise<number | undefined> {
  const nonce = randomUUID();
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  const startedAt = clock.now();
  const cancel = clock.after(of.ms, () => resolve(undefined));
  conversation.listen(({ topic, payload }) => {
    if (topic === of.topic && payload.toString('latin1') === nonce) resolve(clock.now() - startedAt);
  });
  try {
    if (!(await conversation.subscribe([of.topic], 1))) return undefined;
    await conversation.publish(of.topic, nonce);
    return await promise;
  } finally {
    cancel();
  }
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const url = new URL(options.url);
  return [
    ...evidenceOf('values', `$SYS of ${brokerOf(options)}`, rememberedTexts(context.memory, 'stats') ?? []),
    ...(await resolveAddresses(url.hostname, context.signal)),
  ];
}
