import { z } from 'zod';
import { durationOr, formatDuration } from '#config/duration.ts';
import { SecretRef } from '#config/schema.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import {
  answered,
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
  token: SecretRef.optional().describe('API token; with it the last task of each template is watched.'),
  project: z.number().int().positive().optional().describe('Number of the project. Absent: all that the token sees.'),
  runningAtMost: durationOr('2h').describe('A task that runs for longer hangs.'),
  ignoreTemplates: z.array(z.string().max(100)).max(100).default([]).describe('Names of templates that may fail.'),
});
type Options = z.output<typeof Options>;

/** `GET /api/projects` and `GET /api/project/{id}/templates`. */
const Projects = z.array(z.object({ id: z.number(), name: z.string().default('') }));
const Templates = z.array(
  z.object({
    id: z.number(),
    name: z.string(),
    last_task: z
      .object({ id: z.number(), status: z.string(), start: z.string().nullish(), end: z.string().nullish() })
      .nullish(),
  }),
);
type Template = z.output<typeof Templates>[number];
const Output = z.array(z.object({ output: z.string() }));

const underWay = new Set(['waiting', 'starting', 'running', 'stopping']);
const maximumProjects = 20;

export const check = defineCheck({
  kind: 'semaphore',
  about: 'Whether Semaphore answers, and with a token templates whose last task failed, hangs or waits for a person.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'semaphore',
  observe,
  evidence: { about: 'the last lines of the task that failed', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const ping = await api.text({ path: '/api/ping' });
  const there = presence(ping, { condition: 'semaphore-down', resource: 'semaphore', name: 'Semaphore' });
  if (ping.is !== 'value' || options.token === undefined) return [there];
  const said = { condition: 'semaphore-task-failed', resource: 'templates', hidesRest: true };
  const headers = headersOf(options, context);
  if (typeof headers === 'string') return [there, unseen(said, headers)];
  const projects = await projectsOf(api, options, headers);
  if (projects.is !== 'value') return [there, unseen(said, projects.reason)];
  if (projects.value.length === 0) return [there, unseen(said, 'it shows no project to this token')];
  const found = await Promise.all(
    projects.value
      .slice(0, maximumProjects)
      .map((project) => lookAtProject(api, project, { options, headers, context })),
  );
  return [there, ...found.flat()];
}

type Headers = Record<string, string>;

/** Semaphore lower-cases the header before it compares. */
function headersOf(options: Options, context: CheckContext): Headers | string {
  return secretHeaders(options.token, context, (token) => ({ authorization: `Bearer ${token.toLowerCase()}` }));
}

function projectsOf(api: Api, { project }: Options, headers: Headers): Promise<ApiAnswer<z.output<typeof Projects>>> {
  if (project === undefined) return api.json(Projects, { path: '/api/projects', headers });
  return Promise.resolve(answered([{ id: project, name: `${project}` }]));
}

interface Looking {
  options: Options;
  headers: Headers;
  context: CheckContext;
}

async function lookAtProject(
  api: Api,
  project: { id: number; name: string },
  { options, headers, context }: Looking,
): Promise<Observation[]> {
  const said = { condition: 'semaphore-task-failed', resource: `project ${project.name || project.id}` };
  const answer = await api.json(Templates, { path: `/api/project/${project.id}/templates`, headers });
  if (answer.is !== 'value') return [unseen({ ...said, hidesRest: true }, answer.reason)];
  const watched = answer.value.filter(({ name }) => !options.ignoreTemplates.includes(name));
  const summary = `looked at ${counted(watched.length, 'template')}`;
  return [
    state({ ...said, summary, ok: true, severity: 'warning' }),
    ...watched.slice(0, 200).flatMap((template) => judge(template, { project, options, now: context.clock.now() })),
  ];
}

function judge(
  { id, name, last_task: task }: Template,
  of: { project: { id: number; name: string }; options: Options; now: number },
): Observation[] {
  if (task === null || task === undefined) return [];
  const labels = { project: String(of.project.id), template: String(id) };
  const clues = { task: String(task.id) };
  const said = { resource: `${of.project.name || of.project.id}/${name}`, labels, clues, severity: 'warning' as const };
  const runningMs = underWay.has(task.status) ? of.now - Date.parse(task.start ?? '') : 0;
  const hangs = runningMs > of.options.runningAtMost;
  const waits = task.status === 'waiting_confirmation';
  return [
    state({
      ...said,
      condition: 'semaphore-task-failed',
      summary: `the last task of ${name} ${task.status === 'error' ? 'failed' : `is ${task.status}`}`,
      ok: task.status !== 'error',
      holdMs: 0,
    }),
    state({
      ...said,
      condition: 'semaphore-task-hangs',
      summary: hangs
        ? `${name} has been ${task.status} for ${formatDuration(Math.floor(runningMs / 60_000) * 60_000)}`
        : `${name} does not hang`,
      ok: !hangs,
    }),
    state({
      ...said,
      severity: 'info',
      condition: 'semaphore-task-waits',
      summary: `${name} ${waits ? 'waits for a confirmation' : 'waits for nobody'}`,
      ok: !waits,
    }),
  ];
}

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const headers = headersOf(options, context);
  const { labels, clues, resource } = observation;
  const [project, task] = [labels?.['project'], clues?.['task']];
  // What came from the product is foreign text: only numbers become a path.
  if (typeof headers === 'string' || !/^\d+$/.test(project ?? '') || !/^\d+$/.test(task ?? '')) return [];
  const path = `/api/project/${project}/tasks/${task}/output`;
  const answer = await createApi(options, context).json(Output, { path, headers });
  if (answer.is !== 'value') return [];
  // oxlint-disable-next-line no-control-regex -- Ansible colours its output
  const lines = answer.value.map(({ output }) => output.replaceAll(/\u001b\[[0-9;]*m/g, ''));
  return evidenceOf('log', `Output of ${resource}`, lines);
}
