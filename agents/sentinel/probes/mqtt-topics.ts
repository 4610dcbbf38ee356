import { z } from 'zod';
import { Duration, formatDuration } from '#config/duration.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { FieldPath } from './json-field.ts';
import type { Heard, Listening } from './mqtt-watch.ts';
import { limitsOf, oneSided, oneSidedFault, sideOptions } from './levels-option.ts';
import { level, type Limits, state, unseen } from './reading.ts';
import { remember } from './remembered.ts';

/** One topic filter and what is expected of its messages. */
export const TopicOption = z
  .strictObject({
    filter: z
      .string()
      .max(500)
      .regex(/^(?:[^+#/]*|\+)(?:\/(?:[^+#/]*|\+))*(?:\/?#)?$/, { error: 'must be a topic filter' })
      .refine((filter) => filter !== '', { error: 'must be a topic filter' })
      .describe('Topics to listen to; `+` is one level, `#` all below.'),
    within: Duration.optional().describe(
      'A message must come at least that often. Retained ones count by their own time.',
    ),
    timePath: FieldPath.optional().describe(
      'Field of a JSON payload that says when it was made: ISO 8601, s or ms since 1970.',
    ),
    path: FieldPath.optional().describe('Field of a JSON payload that is judged. Default: the payload.'),
    equals: z
      .union([z.string().max(300), z.number(), z.boolean()])
      .optional()
      .describe('The value must be just that.'),
    ...sideOptions,
    unit: z.string().max(10).default('').describe('Unit of the value.'),
  })
  .refine(oneSided, oneSidedFault)
  .refine(({ within, equals, ...sides }) => [within, equals, limitsOf(sides)].some((wish) => wish !== undefined), {
    error: 'must say what is expected: within, equals, above or below',
  });
export type TopicOption = z.output<typeof TopicOption>;

/** Freshness and value of each filter. */
export function observeTopics(
  topics: readonly TopicOption[],
  listening: Listening,
  context: CheckContext,
): Observation[] {
  const named = [...new Map(topics.map((topic) => [topic.filter, topic])).values()];
  if (listening.is === 'refused') {
    return named.map(({ filter }) =>
      unseen(saidOf(filter, 'topic-silent'), 'the broker does not let this user read it'),
    );
  }
  const known = knownIn(context.memory.get('heard'));
  for (const { filter } of named) {
    const at = listening.heard.get(filter)?.at;
    if (at !== undefined) known[filter] = at;
  }
  remember(
    context.memory,
    'heard',
    Object.fromEntries(
      named.flatMap(({ filter }) => {
        const at = known[filter];
        return at === undefined ? [] : [[filter, at]];
      }),
    ),
  );
  return named.flatMap((topic) => [
    ...observeFreshness(topic, { at: known[topic.filter], since: listening.since, now: context.clock.now() }),
    ...observeValue(topic, listening.heard.get(topic.filter)),
  ]);
}

function saidOf(filter: string, condition: string) {
  return { condition, resource: filter, labels: { topic: filter } };
}

/**
 * The age of the last message. While nobody listened, as over a restart, messages may have come: an age that is too high
 * counts only once this listener has heard nothing for as long itself.
 */
function observeFreshness(
  { filter, within }: TopicOption,
  of: { at: number | undefined; since: number; now: number },
): Observation[] {
  if (within === undefined) return [];
  const said = { ...saidOf(filter, 'topic-silent'), holdMs: 0 };
  const ageMs = of.now - Math.max(of.at ?? 0, of.at === undefined ? of.since : 0);
  const listenedMs = of.now - of.since;
  if (listenedMs < within && (of.at === undefined || ageMs >= within)) {
    return [unseen(said, `nothing came yet, and it has been listened to for only ${seconds(listenedMs)}`)];
  }
  return [
    level({
      ...said,
      summary:
        of.at === undefined
          ? `no message on ${filter} since this began to listen ${seconds(listenedMs)} ago`
          : `the last message on ${filter} came ${seconds(ageMs)} ago`,
      value: Math.round(ageMs / 1_000),
      unit: 's',
      bad: 'above',
      critical: within / 1_000,
    }),
  ];
}

function seconds(ms: number): string {
  return formatDuration(Math.round(ms / 1_000) * 1_000);
}

function observeValue(topic: TopicOption, heard: Heard | undefined): Observation[] {
  const limits = limitsOf(topic);
  if (topic.equals === undefined && limits === undefined) return [];
  const said = saidOf(topic.filter, 'topic-value');
  if (heard === undefined) return [unseen(said, 'no message came yet')];
  if (heard.value === undefined) return [unseen(said, `its last message has no field "${topic.path ?? ''}"`)];
  return [limits === undefined ? equalityOf(topic, heard.value) : levelOf(topic, heard.value, limits)];
}

function nameOf({ path, filter }: TopicOption): string {
  return path === undefined ? filter : `${path} of ${filter}`;
}

function equalityOf(topic: TopicOption, value: string | number): Observation {
  const equals = String(topic.equals);
  const ok = String(value) === equals;
  const summary = ok ? `${nameOf(topic)} is ${value}` : `${nameOf(topic)} is ${value}, not ${equals}`;
  return state({ ...saidOf(topic.filter, 'topic-value'), summary, ok, severity: 'warning' });
}

function levelOf(topic: TopicOption, heard: string | number, limits: Limits): Observation {
  const said = saidOf(topic.filter, 'topic-value');
  const value = heard === '' ? Number.NaN : Number(heard);
  if (!Number.isFinite(value)) return unseen(said, `its value is no number: "${heard}"`);
  const { unit } = topic;
  const summary = `${nameOf(topic)} is ${value}${unit === '' ? '' : ` ${unit}`}`;
  return level({ ...said, summary, value, unit, ...limits });
}

function knownIn(value: unknown): Record<string, number> {
  if (value === null || typeof value !== 'object') return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );
}
