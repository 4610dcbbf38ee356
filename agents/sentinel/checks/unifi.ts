import { z } from 'zod';
import { SecretRef } from '#config/schema.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { type Api, type ApiAnswer, apiOptions, cookiesOf, createApi, presence } from '#agents/sentinel/probes/api.ts';
import { type Session, Sessions } from '#agents/sentinel/probes/api-session.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  system: z
    .enum(['controller', 'os'])
    .default('controller')
    .describe('`controller`: classic, :8443. `os`: UniFi OS, :443.'),
  site: z
    .string()
    .regex(/^[\w-]{1,40}$/)
    .default('default')
    .describe('Short name of the site.'),
  user: z.string().min(1).max(100).optional().describe('A local user who may only view.'),
  password: SecretRef.optional().describe('Password of that user; with it devices and subsystems are watched.'),
  ignore: z.array(z.string().max(100)).max(200).default([]).describe('Names or MAC addresses of devices to leave out.'),
});
type Options = z.output<typeof Options>;

/** Every answer of the classic API: `{"meta":{"rc":"ok|error","msg"},"data":[...]}`. */
const envelope = <T extends z.ZodType>(item: T) =>
  z.object({ meta: z.object({ rc: z.string(), msg: z.string().optional() }), data: z.array(item).default([]) });
const Devices = envelope(
  z.object({
    name: z.string().optional(),
    mac: z.string(),
    model: z.string().default(''),
    state: z.number(),
    uptime: z.number().default(0),
    overheating: z.boolean().default(false),
    'system-stats': z.object({ cpu: z.coerce.number().optional(), mem: z.coerce.number().optional() }).nullish(),
  }),
);
type Device = z.output<typeof Devices>['data'][number];
const Health = envelope(z.object({ subsystem: z.string(), status: z.string() }));
const Status = z.object({ meta: z.object({ rc: z.string(), up: z.boolean().optional() }) });

/** Values of `state` in `stat/device`. */
const states: Record<number, { words: string; ok: boolean }> = {
  0: { words: 'is offline', ok: false },
  1: { words: 'is connected', ok: true },
  2: { words: 'waits for its adoption', ok: true },
  4: { words: 'is updating', ok: true },
  5: { words: 'is being set up', ok: true },
  6: { words: 'is unreachable', ok: false },
  7: { words: 'is being adopted', ok: true },
  9: { words: 'could not be adopted', ok: false },
  10: { words: 'could not be adopted', ok: false },
  11: { words: 'is isolated', ok: false },
};
const rebootMs = 5 * 60_000;

/** A session lives for hours and ends with a 401; failed logins lock the user out. */
const sessions = new Sessions();
const sessionLifeMs = 86_400_000;

export const check = defineCheck({
  kind: 'unifi',
  about: 'UniFi: whether the controller answers, and access points, switches and subsystems that are not well.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'unifi',
  observe,
  evidence: { about: 'all devices with their state, uptime and load', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  // UniFi OS has no such route without a login, but answers its own page.
  const status =
    options.system === 'os'
      ? await api.text({ path: '/', mayBePage: true })
      : await api.json(Status, { path: '/status' });
  const there = presence(status, { condition: 'unifi-down', resource: 'unifi', name: 'the controller of UniFi' });
  if (status.is !== 'value' || options.password === undefined) return [there];
  const offline = { condition: 'device-offline', resource: 'devices' };
  const devices = await ask(api, Devices, { what: 'device', options, context });
  if (devices.is !== 'value') return [there, unseen({ ...offline, hidesRest: true }, devices.reason)];
  if (devices.value.length === 0)
    return [there, unseen({ ...offline, hidesRest: true }, 'it shows no device to this user')];
  const health = await ask(api, Health, { what: 'health', options, context });
  return [there, ...judgeDevices(devices.value, options), ...judgeHealth(health)];
}

interface Question {
  what: 'device' | 'health';
  options: Options;
  context: CheckContext;
}

async function ask<T extends { meta: { rc: string; msg?: string | undefined }; data: unknown[] }>(
  api: Api,
  schema: z.ZodType<T>,
  { what, options, context }: Question,
): Promise<ApiAnswer<T['data']>> {
  const prefix = options.system === 'os' ? '/proxy/network' : '';
  const path = `${prefix}/api/s/${options.site}/stat/${what}`;
  const { url, user = '', password } = options;
  const login = { url, user, password, ask: (secret: string) => logIn(api, options, secret) };
  const { answer } = await sessions.open(login, context, (headers) => api.json(schema, { path, headers }));
  if (answer.is !== 'value') return answer;
  const { meta, data } = answer.value;
  if (meta.rc !== 'ok') return { is: 'unreadable', reason: `it says ${meta.msg ?? meta.rc}` };
  return { ...answer, value: data };
}

async function logIn(api: Api, { system, user = '' }: Options, password: string): Promise<ApiAnswer<Session>> {
  const path = system === 'os' ? '/api/auth/login' : '/api/login';
  const answer = await api.text({ method: 'POST', path, body: { username: user, password } });
  if (answer.is !== 'value') return answer;
  const cookie = cookiesOf(answer.headers).filter((one) => /^(?:unifises|TOKEN|csrf_token)=/.test(one));
  if (cookie.length === 0) return { is: 'unreadable', reason: 'its login gave no session' };
  return { ...answer, value: { headers: { cookie: cookie.join('; ') }, lifeMs: sessionLifeMs } };
}

function nameOf({ name, mac }: Device): string {
  return name ?? mac;
}

function judgeDevices(devices: readonly Device[], { ignore }: Options): Observation[] {
  const watched = devices.filter(({ name, mac }) => !ignore.includes(mac) && !ignore.includes(name ?? ''));
  const unique = [...new Map(watched.map((device) => [nameOf(device), device])).values()].slice(0, 200);
  const summary = `UniFi has ${counted(unique.length, 'device')}`;
  return [
    state({ condition: 'device-offline', resource: 'devices', summary, ok: true, severity: 'critical' }),
    ...unique.flatMap(judgeDevice),
  ];
}

function judgeDevice(device: Device): Observation[] {
  const name = nameOf(device);
  const said = { resource: name, labels: { device: name.slice(0, 100), mac: device.mac.slice(0, 20) } };
  const { words, ok } = states[device.state] ?? { words: `is in state ${device.state}`, ok: false };
  const memory = device['system-stats']?.mem;
  return [
    state({
      ...said,
      condition: 'device-offline',
      summary: `${name} ${words}`,
      ok,
      severity: 'critical',
      holdMs: rebootMs,
    }),
    state({
      ...said,
      condition: 'device-hot',
      summary: `${name} is ${device.overheating ? 'overheating' : 'not too hot'}`,
      ok: !device.overheating,
      severity: 'critical',
    }),
    ...(memory === undefined
      ? []
      : [
          level({
            ...said,
            condition: 'device-memory-low',
            summary: `${name} uses ${memory} % of its memory`,
            value: memory,
            unit: '%',
            bad: 'above',
            warning: 95,
            holdMs: 15 * 60_000,
          }),
        ]),
  ];
}

function judgeHealth(health: ApiAnswer<z.output<typeof Health>['data']>): Observation[] {
  if (health.is !== 'value') return [unseen({ condition: 'subsystem-unwell', resource: 'subsystems' }, health.reason)];
  // A subsystem without devices is `unknown` for ever.
  const known = [...new Map(health.value.map((one) => [one.subsystem, one])).values()].filter(
    ({ status }) => status !== 'unknown',
  );
  return known.slice(0, 20).map(({ subsystem, status }) =>
    state({
      condition: 'subsystem-unwell',
      resource: subsystem,
      summary: `${subsystem} of UniFi is ${status}`,
      ok: status === 'ok',
      severity: status === 'error' ? 'critical' : 'warning',
      holdMs: rebootMs,
    }),
  );
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  if (options.password === undefined) return [];
  const devices = await ask(createApi(options, context), Devices, { what: 'device', options, context });
  if (devices.is !== 'value') return [];
  const lines = devices.value.map((device) => {
    const words = states[device.state]?.words ?? `state ${device.state}`;
    return `${nameOf(device)} (${device.model}) ${words}, up ${Math.floor(device.uptime / 3_600)} h`;
  });
  return evidenceOf('state', 'Devices', lines);
}
