import { z } from 'zod';
import { SecretRef } from '#config/schema.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import {
  type Api,
  type ApiAnswer,
  apiOptions,
  createApi,
  presence,
  secretHeaders,
} from '#agents/sentinel/probes/api.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  token: SecretRef.optional().describe('API key; with it scheduled tasks and a pending restart are watched.'),
  ignoreTasks: z.array(z.string().max(100)).max(50).default([]).describe('Names of scheduled tasks that may fail.'),
});
type Options = z.output<typeof Options>;

/** `GET /System/Info` and `GET /ScheduledTasks` of Jellyfin 10. */
const Info = z.object({ HasPendingRestart: z.boolean().default(false), Version: z.string().default('') });
const Tasks = z.array(
  z.object({
    Name: z.string(),
    LastExecutionResult: z
      .object({ Status: z.string(), EndTimeUtc: z.string().default(''), ErrorMessage: z.string().nullish() })
      .nullish(),
  }),
);
type Tasks = z.output<typeof Tasks>;

export const check = defineCheck({
  kind: 'jellyfin',
  about: 'Whether Jellyfin is healthy, and with an API key scheduled tasks that failed and a restart that waits.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'jellyfin',
  observe,
  evidence: { about: 'the last results of its scheduled tasks', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const health = await api.text({ path: '/health' });
  const down = { condition: 'jellyfin-down', resource: 'jellyfin', name: 'Jellyfin' };
  const there = presence(health, down);
  if (health.is !== 'value') return [there];
  // While it starts another page answers 200 there.
  if (health.value.trim() !== 'Healthy')
    return [unseen({ ...down, hidesRest: true }, 'its health page says something else than Healthy')];
  if (options.token === undefined) return [there];
  return [there, ...(await lookInside(api, options, context))];
}

async function lookInside(api: Api, options: Options, context: CheckContext): Promise<Observation[]> {
  const failed = { condition: 'jellyfin-task-failed', resource: 'tasks' };
  const headers = keyOf(options, context);
  if (typeof headers === 'string') return [unseen({ ...failed, hidesRest: true }, headers)];
  const info = await api.json(Info, { path: '/System/Info', headers });
  const restart = { condition: 'jellyfin-restart-pending', resource: 'jellyfin', holdMs: 24 * 3_600_000 };
  const waits =
    info.is === 'value'
      ? state({
          ...restart,
          summary: `Jellyfin ${info.value.Version} ${info.value.HasPendingRestart ? 'waits for a restart' : 'needs no restart'}`,
          ok: !info.value.HasPendingRestart,
          severity: 'info',
        })
      : unseen(restart, info.reason);
  const tasks = await api.json(Tasks, { path: '/ScheduledTasks', headers });
  return [waits, ...(tasks.is === 'value' ? judge(tasks.value, options) : [unseen(failed, tasks.reason)])];
}

function judge(tasks: Tasks, { ignoreTasks }: Options): Observation[] {
  const watched = tasks.filter(({ Name }) => !ignoreTasks.includes(Name));
  const bad = watched.filter(({ LastExecutionResult: last }) => last?.Status === 'Failed').slice(0, 50);
  const said = { condition: 'jellyfin-task-failed', severity: 'warning' as const };
  return [
    state({ ...said, resource: 'tasks', summary: `looked at ${counted(watched.length, 'scheduled task')}`, ok: true }),
    ...bad.map(({ Name, LastExecutionResult: last }) =>
      state({
        ...said,
        resource: Name,
        summary: `task "${Name}" of Jellyfin failed${last?.ErrorMessage ? `: ${last.ErrorMessage}` : ''}`,
        ok: false,
        holdMs: 0,
      }),
    ),
  ];
}

function keyOf(options: Options, context: CheckContext): Record<string, string> | string {
  return secretHeaders(options.token, context, (key) => ({ 'x-emby-token': key }));
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const headers = keyOf(options, context);
  if (typeof headers === 'string' || options.token === undefined) return [];
  const tasks: ApiAnswer<Tasks> = await createApi(options, context).json(Tasks, { path: '/ScheduledTasks', headers });
  if (tasks.is !== 'value') return [];
  const lines = tasks.value.flatMap(({ Name, LastExecutionResult: last }) =>
    last === null || last === undefined
      ? []
      : [`${last.EndTimeUtc} ${last.Status} ${Name} ${last.ErrorMessage ?? ''}`.trim()],
  );
  return evidenceOf('log', 'Scheduled tasks', lines.toSorted());
}
