import { z } from 'zod';
import { SecretRef } from '#config/schema.ts';
import type { Severity } from '#bus/fields.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { type Api, apiOptions, createApi, presence, secretOf } from '#agents/sentinel/probes/api.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  product: z.enum(['sonarr', 'radarr', 'lidarr', 'readarr', 'prowlarr', 'bazarr']).describe('Which of them it is.'),
  token: SecretRef.optional().describe('API key; with it what the product says of its own health is watched.'),
  ignore: z
    .array(z.string().max(100))
    .max(50)
    .default([])
    .describe('Health sources to leave out, as IndexerStatusCheck.'),
});
type Options = z.output<typeof Options>;

/** `GET /api/v3/health` of Sonarr and Radarr, v1 of the others. */
const Issues = z.array(z.object({ source: z.string(), type: z.string(), message: z.string().default('') }));
/** `GET /api/system/health` of Bazarr. */
const BazarrIssues = z.object({ data: z.array(z.object({ object: z.string(), issue: z.string() })) });

interface Issue {
  source: string;
  severity: Severity;
  message: string;
}

export const check = defineCheck({
  kind: 'arr',
  about: 'Sonarr, Radarr, Lidarr, Readarr, Prowlarr and Bazarr: whether they answer, and their own health messages.',
  options: Options,
  reach: 'network',
  resourceOf: ({ product }) => product,
  observe,
  evidence: { about: 'all health messages as the product words them', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const alive = await api.text({ path: options.product === 'bazarr' ? '/api/system/ping' : '/ping' });
  const { product } = options;
  const there = presence(alive, { condition: 'arr-down', resource: product, name: product });
  if (alive.is !== 'value' || options.token === undefined) return [there];
  const issues = await issuesOf(api, options, context);
  const said = { condition: 'arr-health', resource: 'health' };
  if (!issues.ok) return [there, unseen(said, issues.reason)];
  const counts = `${product} reports ${counted(issues.issues.length, 'health problem')}`;
  return [
    there,
    state({ ...said, summary: counts, ok: true, severity: 'warning' }),
    ...[...Map.groupBy(issues.issues, ({ source }) => source)].map(([source, own]) => observed(product, source, own)),
  ];
}

/** One per source: the text of a message holds counts and names that come and go. */
function observed(product: string, source: string, issues: readonly Issue[]): Observation {
  const severity = issues.some((issue) => issue.severity === 'critical')
    ? 'critical'
    : (issues[0]?.severity ?? 'warning');
  const words = issues.map(({ message }) => message).join('; ');
  return state({
    condition: 'arr-health',
    resource: source,
    summary: `${product}: ${words === '' ? source : words}`,
    ok: false,
    severity,
    holdMs: 5 * 60_000,
  });
}

type Listed = { ok: true; issues: Issue[] } | { ok: false; reason: string };

async function issuesOf(api: Api, options: Options, context: CheckContext): Promise<Listed> {
  const key = options.token === undefined ? undefined : secretOf(options.token, context);
  if (key === undefined || !key.ok) return { ok: false, reason: key?.reason ?? 'no API key is given' };
  const headers = { 'x-api-key': key.value };
  const keep = (issues: Issue[]): Listed => ({
    ok: true,
    issues: issues.filter(({ source }) => !options.ignore.includes(source)).slice(0, 100),
  });
  if (options.product === 'bazarr') {
    const answer = await api.json(BazarrIssues, { path: '/api/system/health', headers });
    if (answer.is !== 'value') return { ok: false, reason: answer.reason };
    return keep(
      answer.value.data.map(({ object, issue }) => ({ source: object, severity: 'warning', message: issue })),
    );
  }
  const version = ['sonarr', 'radarr'].includes(options.product) ? 'v3' : 'v1';
  const answer = await api.json(Issues, { path: `/api/${version}/health`, headers });
  if (answer.is !== 'value') return { ok: false, reason: answer.reason };
  const bad = answer.value.filter(({ type }) => type !== 'ok' && type !== 'notice');
  return keep(
    bad.map(({ source, type, message }) => ({ source, severity: type === 'error' ? 'critical' : 'warning', message })),
  );
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  if (options.token === undefined) return [];
  const issues = await issuesOf(createApi(options, context), options, context);
  if (!issues.ok) return [];
  const lines = issues.issues.map(({ source, severity, message }) => `${severity} ${source}: ${message}`);
  return evidenceOf('state', `Health of ${options.product}`, lines);
}
