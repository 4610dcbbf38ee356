import { z } from 'zod';
import { durationOr, formatDuration } from '#config/duration.ts';
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
import { counted, evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  token: SecretRef.optional().describe('API token, from Settings, API Tokens; with it flows are watched. Only read.'),
  flow: z.number().int().positive().optional().describe('Number of the one flow to look at. Absent: all.'),
  runningAtMost: durationOr('12h').describe('A flow that runs for so long without a change hangs.'),
  quietAfter: durationOr('2d').describe(
    'A flow that failed or waits is told for so long: they stay in the list for ever.',
  ),
  finishedFor: durationOr('2h').describe('A flow that is finished is told for so long, as information.'),
});
type Options = z.output<typeof Options>;

/** `GET /api/v1/flows/`, newest first. */
const Flow = z.object({
  id: z.number(),
  title: z.string().default(''),
  status: z.string(),
  created_at: z.string().default(''),
  updated_at: z.string().default(''),
});
type Flow = z.output<typeof Flow>;
const Flows = z.object({ data: z.object({ flows: z.array(Flow).nullable(), total: z.number().default(0) }) });
const OneFlow = z.object({ data: Flow });
const Tasks = z.object({
  data: z.object({ tasks: z.array(z.object({ id: z.number(), title: z.string(), status: z.string() })).nullable() }),
});

const pageSize = 100;

export const check = defineCheck({
  kind: 'pentagi',
  about:
    'PentAGI: whether it answers, and flows that failed, hang, wait for a person or are finished. It starts nothing.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'pentagi',
  observe,
  evidence: { about: 'the tasks of the flow and how each ended', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const info = await api.json(z.object({ status: z.string() }), { path: '/api/v1/info' });
  const there = presence(info, { condition: 'pentagi-down', resource: 'pentagi', name: 'PentAGI' });
  if (info.is !== 'value' || options.token === undefined) return [there];
  const said = { condition: 'flow-failed', resource: 'flows' };
  const blind = { ...said, hidesRest: true };
  const headers = secretHeaders(options.token, context);
  if (typeof headers === 'string') return [there, unseen(blind, headers)];
  const flows = await flowsOf(api, options, headers);
  if (flows.is !== 'value') return [there, unseen(blind, flows.reason)];
  const unique = [...new Map(flows.value.map((flow) => [flow.id, flow])).values()];
  const counts = [...Map.groupBy(unique, ({ status }) => oneLine(status, 20))].map(
    ([is, own]) => `${own.length} ${is}`,
  );
  const summary = `looked at ${counted(unique.length, 'flow')}${counts.length > 0 ? `: ${counts.join(', ')}` : ''}`;
  return [
    there,
    state({ ...said, summary, ok: true, severity: 'warning' }),
    ...unique.flatMap((flow) => judge(flow, options, context.clock.now())),
  ];
}

async function flowsOf(api: Api, { flow }: Options, headers: Record<string, string>): Promise<ApiAnswer<Flow[]>> {
  if (flow !== undefined) {
    const one = await api.json(OneFlow, { path: `/api/v1/flows/${flow}`, headers });
    return one.is === 'value' ? { ...one, value: [one.value.data] } : one;
  }
  const query = { page: 1, pageSize, type: 'page' };
  const all = await api.json(Flows, { path: '/api/v1/flows/', query, headers });
  return all.is === 'value' ? { ...all, value: all.value.data.flows ?? [] } : all;
}

/** What a status means, in words; nothing for one that needs nobody. */
const told = {
  failed: { condition: 'flow-failed', words: 'failed', severity: 'warning' },
  waiting: { condition: 'flow-waits', words: 'waits for a person', severity: 'info' },
  finished: { condition: 'flow-finished', words: 'is finished, its report can be read', severity: 'info' },
} as const;

function judge(flow: Flow, options: Options, now: number): Observation[] {
  const changedAt = Date.parse(flow.updated_at || flow.created_at);
  const ageMs = Number.isNaN(changedAt) ? 0 : Math.max(0, now - changedAt);
  const name = `${flow.id} ${oneLine(flow.title, 150)}`.trim();
  // Its title is written while it runs: the number is what stays.
  const said = { resource: `flow ${flow.id}`, labels: { flow: String(flow.id) }, holdMs: 0 };
  if (flow.status === 'running' || flow.status === 'created') {
    const hangs = ageMs > options.runningAtMost;
    const span = formatDuration(Math.floor(ageMs / 60_000) * 60_000);
    const summary = `the flow ${name} is ${flow.status}, without a change for ${span}`;
    return [state({ ...said, condition: 'flow-hangs', summary, ok: !hangs, severity: 'warning' })];
  }
  const of = flow.status in told ? told[flow.status as keyof typeof told] : undefined;
  if (of === undefined) return [];
  const limitMs = flow.status === 'finished' ? options.finishedFor : options.quietAfter;
  if (ageMs > limitMs) return [];
  const { condition, words, severity } = of;
  return [state({ ...said, condition, summary: `the flow ${name} ${words}`, ok: false, severity })];
}

async function gather(options: Options, context: CheckContext, { labels, resource }: Observation): Promise<Evidence[]> {
  const id = labels?.['flow'] ?? '';
  const headers = secretHeaders(options.token, context);
  // Labels of a finding are foreign text: only numbers become a path.
  if (typeof headers === 'string' || options.token === undefined || !/^\d{1,15}$/.test(id)) return [];
  const query = { page: 1, pageSize: 30, type: 'page' };
  const tasks = await createApi(options, context).json(Tasks, { path: `/api/v1/flows/${id}/tasks/`, query, headers });
  const list = tasks.is === 'value' ? (tasks.value.data.tasks ?? []) : [];
  const sorted = list.toSorted((a, b) => a.id - b.id);
  return evidenceOf(
    'state',
    `Tasks of ${resource}`,
    sorted.map(({ status, title }) => `${status}: ${title}`),
  );
}
