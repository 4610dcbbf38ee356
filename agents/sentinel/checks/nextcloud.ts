import { z } from 'zod';
import { durationOr } from '#config/duration.ts';
import { SecretRef } from '#config/schema.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { type Api, type ApiAnswer, apiOptions, createApi, presence, secretOf } from '#agents/sentinel/probes/api.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf, formatBytes } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  token: SecretRef.optional().describe('Token of the serverinfo app (NC-Token); with it room and updates are watched.'),
  maintenanceAtMost: durationOr('30m').describe('Maintenance mode that lasts longer is a warning.'),
  freeBelow: z.number().nonnegative().default(10).describe('GiB free for files below which it is a warning.'),
});
type Options = z.output<typeof Options>;

/** `GET /status.php`, the same since Nextcloud 12. */
const Status = z.object({
  installed: z.boolean(),
  maintenance: z.boolean(),
  needsDbUpgrade: z.boolean(),
  versionstring: z.string().default(''),
});

/** `GET /ocs/v2.php/apps/serverinfo/api/v1/info`. */
const Info = z.object({
  ocs: z.object({
    data: z.object({
      nextcloud: z.object({
        system: z.object({
          freespace: z.number().nullish(),
          apps: z.object({ num_updates_available: z.number().default(0) }).optional(),
        }),
      }),
    }),
  }),
});

const gibibyte = 1_073_741_824;

export const check = defineCheck({
  kind: 'nextcloud',
  about:
    'Nextcloud: whether it answers, stays in maintenance or waits for a database upgrade; its room and app updates.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'nextcloud',
  observe,
  evidence: { about: 'what its status page says', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const status = await statusOf(api);
  const there = presence(status, { condition: 'nextcloud-down', resource: 'nextcloud', name: 'Nextcloud' });
  if (status.is !== 'value') return [there];
  const { maintenance, needsDbUpgrade, installed, versionstring } = status.value;
  const said = { resource: 'nextcloud' };
  return [
    there,
    state({
      ...said,
      condition: 'nextcloud-maintenance',
      summary: `Nextcloud ${versionstring} is ${maintenance ? 'in maintenance mode' : 'in service'}`,
      ok: !maintenance,
      severity: 'warning',
      holdMs: options.maintenanceAtMost,
      hidesRest: maintenance,
    }),
    state({
      ...said,
      condition: 'nextcloud-upgrade-needed',
      summary: upgradeWords(installed, needsDbUpgrade),
      ok: installed && !needsDbUpgrade,
      severity: 'critical',
    }),
    // In maintenance the API refuses everything.
    ...(options.token === undefined || maintenance ? [] : await lookInside(api, options, context)),
  ];
}

/** In maintenance mode `status.php` answers 200; everything else 503. */
function statusOf(api: Api): Promise<ApiAnswer<z.output<typeof Status>>> {
  return api.json(Status, { path: '/status.php' });
}

function upgradeWords(installed: boolean, needsDbUpgrade: boolean): string {
  if (!installed) return 'Nextcloud is not installed';
  return needsDbUpgrade ? 'Nextcloud waits for the upgrade of its database' : 'the database of Nextcloud is up to date';
}

async function lookInside(api: Api, options: Options, context: CheckContext): Promise<Observation[]> {
  const said = { condition: 'nextcloud-disk-full', resource: 'files' };
  const blind = { ...said, hidesRest: true };
  const key = options.token === undefined ? undefined : secretOf(options.token, context);
  if (key?.ok !== true) return [unseen(blind, key?.reason ?? 'no token is given')];
  const info = await api.json(Info, {
    path: '/ocs/v2.php/apps/serverinfo/api/v1/info',
    // Without the first two it asks an update server at each call.
    query: { format: 'json', skipUpdate: true, skipApps: false },
    headers: { 'nc-token': key.value, 'ocs-apirequest': 'true' },
  });
  if (info.is !== 'value') return [unseen(blind, info.reason)];
  const { freespace, apps } = info.value.ocs.data.nextcloud.system;
  const updates = apps?.num_updates_available ?? 0;
  const summary = `free for files: ${formatBytes(freespace ?? 0)}`;
  return [
    ...(freespace === null || freespace === undefined
      ? []
      : [
          level({
            ...said,
            summary,
            value: freespace / gibibyte,
            unit: 'GiB',
            bad: 'below',
            warning: options.freeBelow,
          }),
        ]),
    state({
      condition: 'nextcloud-updates',
      resource: 'apps',
      summary: `${counted(updates, 'app')} of Nextcloud can be updated`,
      ok: updates === 0,
      severity: 'info',
      holdMs: 3 * 86_400_000,
    }),
  ];
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const answer = await createApi(options, context).text({ path: '/status.php' });
  if (answer.is !== 'value') return evidenceOf('state', 'Status page', [answer.reason]);
  return evidenceOf('state', 'Status page', answer.value.slice(0, 2_000).split('\n'));
}
