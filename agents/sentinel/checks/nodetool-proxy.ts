import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr, formatDuration } from '#config/duration.ts';
import { SecretRef } from '#config/secret-ref.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { type Api, apiOptions, createApi, presence, secretHeaders } from '#agents/sentinel/probes/api.ts';
import { asleep, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { counted, evidenceOf, oneLine, timeText } from '#agents/sentinel/probes/text.ts';

/** Starts within so short a time that no idle service makes them. */
const loopWindowMs = 600_000;
const loopLimit = 3;
/** A request that has just come is still being answered while its container is created. */
const startPatienceMs = 60_000;
const maximumServices = 200;

const Options = z.strictObject({
  ...apiOptions,
  token: SecretRef.optional().describe('Bearer token of the proxy. Absent: only whether the proxy lives is asked.'),
  neverReapedAfter: durationOr('1h').describe('A service that runs so long without a known access is never stopped.'),
});
type Options = z.output<typeof Options>;

const Services = z
  .array(
    z.object({
      name: z.string().max(300),
      path: z.string().max(1_000).default(''),
      status: z.string().max(100),
      host_port: z.number().nullish(),
      last_access_epoch: z.number().nullish(),
    }),
  )
  .max(maximumServices * 10);
type Service = z.output<typeof Services>[number];

export const check = defineCheck({
  kind: 'nodetool-proxy',
  about: "NodeTool's proxy and its services, which start when they are asked for: a stopped one is asleep, not down.",
  options: Options,
  reach: 'network',
  resourceOf: ({ url }) => new URL(url).host,
  observe,
  evidence: { about: 'the path, the port and the last access of the service', gather },
});

/** Any path but these two starts a container and sets its idle time back. */
const health = { path: '/healthz' };
const statusPath = '/status';

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const { host } = new URL(options.url);
  const said = { condition: 'nodetool-down', resource: host, name: `the NodeTool proxy at ${host}` };
  const alive = await api.text(health);
  if (alive.is !== 'value') return [presence(alive, said)];
  if (alive.value.trim() !== 'ok') {
    return [unseen(said, `its health is no "ok" but "${oneLine(alive.value, 60)}"`)];
  }
  if (options.token === undefined) return [presence(alive, said)];
  const services = await listServices(api, options.token, context);
  if (!services.ok) return [presence(alive, said), unseen({ ...said, resource: `${host} services` }, services.reason)];
  const judged = judgeAll(services.value, { options, context });
  const asleepCount = judged.filter(({ reading }) => reading.is === 'asleep').length;
  const summary = `${said.name} answers: ${counted(services.value.length, 'service')}, ${asleepCount} asleep`;
  return [{ ...presence(alive, said), summary }, ...judged];
}

async function listServices(
  api: Api,
  ref: SecretRef,
  context: CheckContext,
): Promise<{ ok: true; value: Service[] } | { ok: false; reason: string }> {
  const headers = secretHeaders(ref, context);
  if (typeof headers === 'string') return { ok: false, reason: headers };
  const answer = await api.json(Services, { path: statusPath, headers });
  if (answer.is !== 'value') return { ok: false, reason: answer.reason };
  const names = new Set<string>();
  const value = answer.value.filter(({ name }) => name !== '' && !names.has(name) && names.add(name));
  return { ok: true, value: value.slice(0, maximumServices) };
}

/** What is kept of a service between looks: `run` is since when it runs without a known access, `starts` when it started. */
interface Past {
  status: string;
  run: number | null;
  starts: number[];
}

function judgeAll(services: readonly Service[], of: { options: Options; context: CheckContext }): Observation[] {
  const { context, options } = of;
  const now = context.clock.now();
  const before = pastIn(context.memory.get('services'));
  const after = services.map((service) => [service.name, pastOf(service, before.get(service.name), now)] as const);
  remember(context.memory, 'services', after);
  const pasts = new Map(after);
  return services.flatMap((service) => {
    const past = pasts.get(service.name);
    return past === undefined ? [] : [...stateOf(service, past, now), ...idling(service, past, { options, now })];
  });
}

function pastOf(service: Service, before: Past | undefined, now: number): Past {
  const isRunning = service.status === 'running';
  const isStart = before !== undefined && isRunning && before.status !== 'running';
  const starts = (before?.starts ?? []).filter((at) => at > now - loopWindowMs);
  const isForgotten = isRunning && (service.last_access_epoch ?? 0) === 0;
  const run = isForgotten ? (before?.run ?? now) : null;
  return { status: oneLine(service.status, 30), run, starts: [...starts, ...(isStart ? [now] : [])].slice(-10) };
}

function stateOf(service: Service, past: Past, now: number): Observation[] {
  const name = oneLine(service.name, 100);
  // Its container has the name of the service.
  const said = { condition: 'nodetool-service-down', resource: name, labels: { service: name, container: name } };
  const isLoop = past.starts.length >= loopLimit || service.status === 'restarting';
  const loop = state({
    ...said,
    condition: 'nodetool-service-restarting',
    summary: `${name} started ${counted(past.starts.length, 'time')} within ${loopWindowMs / 60_000} minutes`,
    ok: !isLoop,
    severity: 'critical',
  });
  return [presenceOf(service, said, now), ...(past.starts.length === 0 && !isLoop ? [] : [loop])];
}

function presenceOf(
  service: Service,
  said: { condition: string; resource: string; labels: Record<string, string> },
  now: number,
): Observation {
  const name = said.resource;
  switch (service.status) {
    case 'running':
    case 'restarting':
      return state({ ...said, summary: `${name} runs`, ok: true, severity: 'critical' });
    case 'exited':
    case 'created':
    case 'removing':
      return asleep(
        { ...said, summary: `${name} is asleep (${service.status}) until it is asked for` },
        'it starts on demand',
      );
    case 'not_created':
      return notCreated(service, said, now);
    case 'paused':
      return state({ ...said, summary: `${name} is paused: requests to it hang`, ok: false, severity: 'warning' });
    case 'dead':
      return state({ ...said, summary: `${name} is dead: Docker cannot remove it`, ok: false, severity: 'critical' });
    default:
      return unseen(said, `its status is "${oneLine(service.status, 40)}"`);
  }
}

/** Never asked for, it has no container yet; asked for and without one, it could not be made. */
function notCreated(
  service: Service,
  said: { condition: string; resource: string; labels: Record<string, string> },
  now: number,
): Observation {
  const askedAt = (service.last_access_epoch ?? 0) * 1_000;
  if (askedAt === 0)
    return asleep({ ...said, summary: `${said.resource} has not been asked for yet` }, 'it starts on demand');
  const isFailed = now - askedAt >= startPatienceMs;
  const summary = `${said.resource} was asked for ${formatDuration(Math.floor(Math.max(0, now - askedAt) / 1_000) * 1_000)} ago and has no container`;
  return state({ ...said, summary, ok: !isFailed, severity: 'critical' });
}

/** After a restart of the proxy nothing is known of the last access, and what runs then is never stopped. */
function idling(service: Service, past: Past, of: { options: Options; now: number }): Observation[] {
  if (past.run === null) return [];
  const ranFor = of.now - past.run;
  const isForgotten = ranFor >= of.options.neverReapedAfter;
  const name = oneLine(service.name, 100);
  const text = `runs for ${formatDuration(Math.floor(ranFor / 60_000) * 60_000)} without a known access`;
  return [
    state({
      condition: 'nodetool-never-stopped',
      resource: name,
      labels: { service: name, container: name },
      summary: `${name} ${text}${isForgotten ? ': the proxy has forgotten it and will not stop it' : ''}`,
      ok: !isForgotten,
      severity: 'warning',
      holdMs: 0,
    }),
  ];
}

function pastIn(value: unknown): Map<string, Past> {
  const entries: unknown[] = Array.isArray(value) ? value : [];
  return new Map(entries.filter((entry): entry is [string, Past] => Array.isArray(entry) && isPast(entry[1])));
}

function isPast(value: unknown): value is Past {
  return (
    value !== null && typeof value === 'object' && 'starts' in value && Array.isArray(value.starts) && 'run' in value
  );
}

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  if (options.token === undefined) return [];
  const services = await listServices(createApi(options, context), options.token, context);
  if (!services.ok) return [];
  const service = services.value.find(({ name }) => oneLine(name, 100) === observation.labels?.['service']);
  if (service === undefined) return [];
  const at = service.last_access_epoch ?? 0;
  return evidenceOf('state', `Service ${service.name}`, [
    `path ${service.path}, status ${service.status}, port ${service.host_port ?? 'none'}`,
    at === 0 ? 'no access since the proxy started' : `last access ${timeText(at * 1_000)}`,
  ]);
}
