import { z } from 'zod';
import { durationOr, formatDuration } from '#config/duration.ts';
import { SecretRef } from '#config/schema.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { type Api, type ApiAnswer, apiOptions, createApi, presence } from '#agents/sentinel/probes/api.ts';
import { type Session, Sessions } from '#agents/sentinel/probes/api-session.ts';
import { lookAtContainers, lookAtDisks } from '#agents/sentinel/probes/beszel-parts.ts';
import { asleep, level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  user: z.string().min(1).max(200).optional().describe('E-mail of a read-only user with whom the systems are shared.'),
  password: SecretRef.optional().describe('Password of that user; with it all systems are watched.'),
  silentAfter: durationOr('5m').describe('A system that is up and was not updated for so long is not known.'),
  ignore: z.array(z.string().max(100)).max(200).default([]).describe('Names of systems to leave out.'),
});
type Options = z.output<typeof Options>;

/** PocketBase's answers and Beszel 0.18's collection `systems`. */
const Token = z.object({ token: z.string() });
const Systems = z.object({
  totalItems: z.number(),
  items: z.array(
    z.object({
      id: z.string().default(''),
      name: z.string(),
      host: z.string().default(''),
      status: z.string(),
      updated: z.string().default(''),
      info: z
        .object({
          cpu: z.number().optional(),
          mp: z.number().optional(),
          dp: z.number().optional(),
          /** Percent used of further filesystems, by name. */
          efs: z.record(z.string(), z.number()).optional(),
          sv: z.array(z.number()).optional(),
        })
        .nullish(),
    }),
  ),
});
type System = z.output<typeof Systems>['items'][number];

/** A login is not free for the hub, and PocketBase's tokens live for seven days unless it was told otherwise. */
const sessions = new Sessions();
const tokenLifeMs = 5 * 86_400_000;

export const check = defineCheck({
  kind: 'beszel',
  about:
    'Beszel: whether the hub answers, and systems that are down, silent, full or have failed services, unhealthy containers or failing disks.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'beszel',
  observe,
  evidence: { about: 'the last values of the system as the hub has them', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const health = await api.json(z.object({ code: z.number() }), { path: '/api/health' });
  const there = presence(health, { condition: 'beszel-down', resource: 'beszel', name: 'the hub of Beszel' });
  if (health.is !== 'value' || options.password === undefined) return [there];
  const systems = await systemsOf(api, options, context);
  const all = { condition: 'system-down', resource: 'systems' };
  if (systems.answer.is !== 'value') return [there, unseen({ ...all, hidesRest: true }, systems.answer.reason)];
  const watched = systems.answer.value.items.filter(({ name }) => !options.ignore.includes(name));
  const summary = `Beszel knows ${counted(watched.length, 'system')}`;
  const hub = {
    api,
    headers: systems.headers,
    systems: new Map(watched.map(({ id, name }) => [id, name])),
  };
  const sick = await Promise.all([lookAtContainers(hub), lookAtDisks(hub)]);
  return [
    there,
    state({ ...all, summary, ok: true, severity: 'critical' }),
    ...unique(watched).flatMap((system) => judge(system, options, context.clock.now())),
    ...sick.flat(),
  ];
}

function unique(systems: readonly System[]): System[] {
  return [...new Map(systems.map((system) => [system.name, system])).values()].slice(0, 200);
}

/**
 * All systems. A junk or old token is no error to PocketBase: its list rules filter, and the answer is 200 and empty. So
 * a refresh is asked for first, which is refused when the token is not good.
 */
async function systemsOf(
  api: Api,
  options: Options,
  context: CheckContext,
): Promise<{ answer: ApiAnswer<z.output<typeof Systems>>; headers: Record<string, string> }> {
  const { url, user = '', password } = options;
  const ask = (secret: string): Promise<ApiAnswer<Session>> => logIn(api, user, secret);
  const login = { url, user, password, ask, ended: [400, 401, 403, 404] };
  const { answer, headers } = await sessions.open(login, context, (authorization) =>
    api.json(Token, { method: 'POST', path: '/api/collections/users/auth-refresh', headers: authorization }),
  );
  if (answer.is !== 'value') return { answer, headers };
  const query = { perPage: 200 };
  const systems = await api.json(Systems, { path: '/api/collections/systems/records', query, headers });
  if (systems.is !== 'value' || systems.value.totalItems > 0) return { answer: systems, headers };
  return { answer: { is: 'unreadable', reason: 'it shows no system to this user: share them with it' }, headers };
}

async function logIn(api: Api, identity: string, password: string): Promise<ApiAnswer<Session>> {
  const path = '/api/collections/users/auth-with-password';
  const answer = await api.json(Token, { method: 'POST', path, body: { identity, password } });
  if (answer.is !== 'value') return answer;
  return { ...answer, value: { headers: { authorization: answer.value.token }, lifeMs: tokenLifeMs } };
}

function judge(system: System, options: Options, now: number): Observation[] {
  const { name, status, info } = system;
  const said = { condition: 'system-down', resource: name, labels: { system: name.slice(0, 100) } };
  if (status === 'paused') return [asleep({ ...said, summary: `${name} is paused in Beszel` }, 'it is paused')];
  const silent = now - Date.parse(system.updated.replace(' ', 'T'));
  if (status === 'up' && silent > options.silentAfter) {
    const span = formatDuration(Math.floor(silent / 60_000) * 60_000);
    return [unseen(said, `Beszel calls it up but has heard nothing for ${span}`)];
  }
  const down = state({
    ...said,
    summary: `${name} is ${status}, says Beszel`,
    ok: status !== 'down',
    severity: 'critical',
  });
  if (status !== 'up' || info === null || info === undefined) return [down];
  const failed = info.sv?.[1] ?? 0;
  return [
    down,
    ...(info.dp === undefined ? [] : [diskOf(said, `the disk of ${name}`, info.dp)]),
    ...Object.entries(info.efs ?? {})
      .slice(0, 20)
      .map(([disk, used]) => diskOf({ ...said, resource: `${name} ${disk}` }, `${disk} of ${name}`, used)),
    state({
      ...said,
      condition: 'system-services-failed',
      summary: `${counted(failed, 'service')} of ${name} failed`,
      ok: failed === 0,
      severity: 'warning',
    }),
  ];
}

function diskOf(said: { resource: string; labels: Record<string, string> }, what: string, used: number): Observation {
  const summary = `${what} is ${used} % full`;
  return level({
    ...said,
    condition: 'system-disk-full',
    summary,
    value: used,
    unit: '%',
    bad: 'above',
    warning: 85,
    critical: 95,
  });
}

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  if (options.password === undefined) return [];
  const { answer: systems } = await systemsOf(createApi(options, context), options, context);
  if (systems.is !== 'value') return [];
  const own = systems.value.items.find(({ name }) => name === observation.labels?.['system']);
  if (own === undefined) return [];
  const { cpu, mp, dp } = own.info ?? {};
  const values = { CPU: cpu, memory: mp, disk: dp };
  const lines = Object.entries(values).flatMap(([what, value]) => (value === undefined ? [] : [`${what} ${value} %`]));
  return evidenceOf('values', `Last values of ${own.name}, ${own.updated}`, [`${own.status} at ${own.host}`, ...lines]);
}
