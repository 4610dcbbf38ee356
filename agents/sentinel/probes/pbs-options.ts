import { z } from 'zod';
import { durationOr } from '#config/duration.ts';
import { SecretRef } from '#config/secret-ref.ts';
import { apiOptions } from './api.ts';
import { levels, spans } from './levels-option.ts';

const Names = z.array(z.string().min(1).max(200)).max(500);

export const PbsOptions = z.strictObject({
  ...apiOptions,
  token: SecretRef.describe('API token, the whole text USER@REALM!NAME:SECRET, with the role Audit on /.'),
  onDemand: z
    .boolean()
    .default(false)
    .describe('Whether it may be off: silence is then sleep, and the age of backups is known from when it was awake.'),
  stores: Names.optional().describe('Datastores to look at. Absent: all.'),
  ignoreGroups: Names.default([]).describe('Groups to leave out, as `ct/101` or `host/*`; `*` stands for any text.'),
  age: spans({ warning: '26h', critical: '48h' }).prefault({}).describe('Age of the newest backup of a group.'),
  verifiedWithin: durationOr('30d').describe(
    'Without a snapshot that was verified within this time a group is a warning.',
  ),
  collectedWithin: durationOr('8d').describe('A garbage collection that is longer ago is a warning.'),
  fullWithin: durationOr('14d').describe('A store that will be full within this time is a warning.'),
  taskWindow: durationOr('24h').describe('How far back failed tasks count.'),
  usage: levels({ warning: 80, critical: 95 }).prefault({}).describe('Percent used of the stores.'),
});
export type PbsOptions = z.output<typeof PbsOptions>;
