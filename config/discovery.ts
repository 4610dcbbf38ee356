import { z } from 'zod';
import { Ident } from '#bus/fields.ts';
import { durationOr } from './duration.ts';
import { HostName } from './names.ts';

/** What every source of discovery has, whatever it asks; the other keys are the source's own options. */
export const DiscoveryCommon = z.looseObject({
  source: Ident.describe('Whom to ask: a file in agents/sentinel/discovery.'),
  id: HostName.optional().describe('Unique name of this entry. Default: the source.'),
  every: durationOr('6h').describe('Interval between looks.'),
  timeout: durationOr('60s').describe('A look that takes longer did not happen; what it said last is kept.'),
  ignore: z
    .array(z.union([z.string().max(255), z.number().int()], { error: 'must be a text or a whole number' }))
    .max(500)
    .default([])
    .describe('Identities (vmid, id) that are left out. By identity, not by name: a rename would bring it back.'),
  aliases: z
    .record(z.string().max(255), HostName)
    .default({})
    .describe('What a name of the source is called here, where names or addresses do not tell.'),
});

type CommonKeys = z.output<z.ZodObject<typeof DiscoveryCommon.shape>>;

export interface DiscoveryConfig extends Omit<CommonKeys, 'id'> {
  id: string;
  /** The keys that are not common: the source's own options, not validated here. */
  options: Record<string, unknown>;
}

/** One source of discovery: common keys checked, its own keys gathered in `options`. */
export const DiscoveryEntry = DiscoveryCommon.transform((entry): DiscoveryConfig => {
  const options = Object.fromEntries(Object.entries(entry).filter(([key]) => !(key in DiscoveryCommon.shape)));
  return { ...entry, id: entry.id ?? entry.source, options };
});
