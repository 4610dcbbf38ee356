import { z } from 'zod';
import { formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { state } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';

/** A round that is late by this share of its interval was missed. */
const lateShare = 0.25;
/** The first round begins some minutes after the start. */
const firstRoundMs = 15 * 60_000;
/** One bad answer of a product is no broken guardian; its next look comes a minute later. */
const holdMs = 5 * 60_000;
const named = 3;

const Options = z.strictObject({
  name: z.string().min(1).max(80).describe('The guardian.'),
  members: z.array(z.string().max(200)).min(1).max(5_000).describe('Ids of the checks that it is made of.'),
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
  const all = counted(options.members.length, 'check');
  const said = { condition: 'guardian-broken', resource: options.name, holdMs, severity: 'warning' as const };
  if (troubles.length === 0) return state({ ...said, ok: true, summary: `guardian ${options.name} looks at ${all}` });
  const some = troubles.slice(0, named).map(({ id, why }) => `${id} (${oneLine(why, 100)})`);
  const more = troubles.length > named ? ` and ${troubles.length - named} more` : '';
  const summary = `guardian ${options.name} is broken: ${troubles.length} of ${all} did not look: ${some.join(', ')}${more}`;
  return state({ ...said, ok: false, summary });
}

function troublesOf({ members }: Options, context: CheckContext): { id: string; why: string }[] {
  return members.flatMap((id) => {
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
