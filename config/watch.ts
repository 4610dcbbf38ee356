import { z } from 'zod';
import { Labels, Severity } from '#bus/fields.ts';
import { Duration } from './duration.ts';
import { HostName } from './names.ts';

/** What every use of a preset has; the other keys are the parameters of that preset. */
export const WatchCommon = z.looseObject({
  preset: z.string().min(1).max(200).describe('Name of a preset: `lares presets` lists them with their parameters.'),
  as: HostName.optional().describe(
    'Tells it from other uses on the same host or service: it stands in the ids of its checks, `<host>-<as>-<check>`.',
  ),
  every: Duration.optional().describe('Interval of all its checks, instead of their own.'),
  for: Duration.optional().describe('How long a condition must hold, for all its checks.'),
  severity: Severity.optional().describe('Replaces the severity of all its checks.'),
  labels: Labels.default({}).describe('Labels that its findings get.'),
  dependsOn: z.array(HostName).default([]).describe('Hosts, services or checks without which it cannot be well.'),
  without: z.array(z.string().max(60)).max(50).default([]).describe('Checks of the preset to leave out, by suffix.'),
});

type CommonKeys = z.output<z.ZodObject<typeof WatchCommon.shape>>;

export interface WatchConfig extends CommonKeys {
  /** The preset's own parameters, not validated here. */
  parameters: Record<string, unknown>;
}

/** How something of the inventory is watched: by a preset. */
export const Watch = WatchCommon.transform((watch): WatchConfig => {
  const own = Object.entries(watch).filter(([key]) => !(key in WatchCommon.shape));
  return { ...watch, parameters: Object.fromEntries(own) };
});

/** The list below a host or a service. */
export const Watches = z.array(Watch).max(50).default([]).describe('How it is watched: presets with their parameters.');
