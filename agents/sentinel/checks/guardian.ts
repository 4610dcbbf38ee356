import { z } from 'zod';
import { formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { state } from '#agents/sentinel/probes/reading.ts';
import { remember, rememberedTexts } from '#agents/sentinel/probes/remembered.ts';
import { counted, evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';

/** A round that is late by this share of its interval was missed. */
const lateShare = 0.25;
/** The first round begins some minutes after the start. */
const firstRoundMs = 15 * 60_000;
/** One bad answer of a product is no broken guardian; its next look comes a minute later. */
const holdMs = 5 * 60_000;
const named = 3;
/** Memory holds 64 kB. */
const maximumKnown = 1_000;

const Options = z.strictObject({
  name: z.string().min(1).max(80).describe('The guardian.'),
  members: z.array(z.string().max(200)).max(5_000).describe('Ids of the checks that it is made of.'),
  tried: z
    .array(z.string().max(200))
    .max(5_000)
    .default([])
    .describe('Ids of further checks, which count once they could look: not every host has what they look at.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'guardian',
  about:
    'Whether a guardian does its job: one finding for all of its checks that could not look or missed their round.',
  options: Options,
  reach: 'network',
  resourceOf: ({ name }) => name,
  observe: (options, context) => Promise.resolve([observe(options, context)]),
  evidence: {
    about: 'each of its checks that did not look, and why',
    gather: (options, context) => {
      const lines = troublesOf(options, context).map(({ id, why }) => `${id}: ${why}`);
      return Promise.resolve(evidenceOf('state', 'Checks that did not look', lines));
    },
  },
});

function observe(options: Options, context: CheckContext): Observation {
  const troubles = troublesOf(options, context);
  const all = counted(watched(options, context).length, 'check');
  const said = { condition: 'guardian-broken', resource: options.name, holdMs, severity: 'warning' as const };
  if (troubles.length === 0) return state({ ...said, ok: true, summary: `guardian ${options.name} looks at ${all}` });
  const some = troubles.slice(0, named).map(({ id, why }) => `${id} (${oneLine(why, 100)})`);
  const more = troubles.length > named ? ` and ${troubles.length - named} more` : '';
  const summary = `guardian ${options.name} is broken: ${troubles.length} of ${all} did not look: ${some.join(', ')}${more}`;
  return state({ ...said, ok: false, summary });
}

const knownKey = 'known';

/** The members, and of those that are tried the ones that could look at some time: what they saw has to stay in sight. */
function watched({ members, tried }: Options, { others, memory }: CheckContext): string[] {
  const known = new Set(rememberedTexts(memory, knownKey));
  const isClear = (id: string): boolean => {
    const other = others(id);
    return other?.lookedAt !== undefined && other.unseen === undefined && other.resources > 0;
  };
  const counting = tried.filter((id) => known.has(id) || isClear(id));
  remember(memory, knownKey, counting.slice(0, maximumKnown));
  return [...members, ...counting];
}

function troublesOf(options: Options, context: CheckContext): { id: string; why: string }[] {
  return watched(options, context).flatMap((id) => {
    const why = troubleOf(id, context);
    return why === undefined ? [] : [{ id, why }];
  });
}

function troubleOf(id: string, { others, clock }: CheckContext): string | undefined {
  const other = others(id);
  if (other === undefined) return 'there is no such check';
  if (other.unseen !== undefined) return other.unseen;
  const patience = other.lookedAt === undefined ? firstRoundMs : other.intervalMs * (1 + lateShare);
  const silent = clock.now() - (other.lookedAt ?? other.since);
  if (silent <= patience) return undefined;
  return `not looked at for ${formatDuration(Math.round(silent / 60_000) * 60_000)}`;
}
