import { z } from 'zod';
import { SecretRef } from '#config/schema.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import {
  answered,
  type Api,
  type ApiAnswer,
  apiOptions,
  cookiesOf,
  createApi,
  presence,
} from '#agents/sentinel/probes/api.ts';
import { type Session, Sessions } from '#agents/sentinel/probes/api-session.ts';
import { boundTo, Preferences, SeenFrom, seenFrom } from '#agents/sentinel/probes/qbittorrent-vpn.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf, formatBytes } from '#agents/sentinel/probes/text.ts';

const Options = z
  .strictObject({
    ...apiOptions,
    user: z.string().min(1).max(100).optional().describe('Login name; with it and a password transfers are watched.'),
    password: SecretRef.optional().describe('Password of that login.'),
    freeBelow: z.number().nonnegative().default(10).describe('GiB free for downloads below which it is a warning.'),
    vpnInterface: z
      .string()
      .regex(/^[A-Za-z0-9_.-]{1,15}$/, 'must be the name of an interface')
      .optional()
      .describe('Interface of the VPN that its settings have to bind it to, such as tun0 or wg0. Needs the login.'),
    homeAddresses: z
      .array(z.string().regex(/^[A-Za-z0-9:][A-Za-z0-9:._/-]{0,254}$/, 'must be an address, a network or a name'))
      .max(20)
      .default([])
      .describe(
        'Public addresses, networks or names (dynamic DNS) of the connection without the VPN: being seen from one of them is a leak. Needs the login and qBittorrent 5.1.',
      ),
  })
  .refine(
    ({ password, vpnInterface, homeAddresses }) =>
      password !== undefined || (vpnInterface === undefined && homeAddresses.length === 0),
    { path: ['password'], error: 'must be given where the VPN is watched: nobody else is told of it' },
  );
type Options = z.output<typeof Options>;

/** `GET /api/v2/sync/maindata`. `free_space_on_disk` is -1 while it is not known. */
const MainData = z.object({
  server_state: SeenFrom.extend({ connection_status: z.string(), free_space_on_disk: z.number().default(-1) }),
  torrents: z.record(z.string(), z.object({ name: z.string().default(''), state: z.string().default('') })).default({}),
});
type MainData = z.output<typeof MainData>;

const gibibyte = 1_073_741_824;
/** A new address or tracker takes some minutes. */
const holdMs = 15 * 60_000;

/** Each login is a session that stays for an hour after its last use: it is used until it is refused. */
const sessions = new Sessions();
const sessionLifeMs = 30 * 86_400_000;
/** It bans an address after five wrong passwords, whatever time lies between them. */
const refusedMs = 86_400_000;

export const check = defineCheck({
  kind: 'qbittorrent',
  about: 'Whether qBittorrent answers, is connected, has room and stays behind its VPN, and torrents that failed.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'qbittorrent',
  observe,
  evidence: { about: 'the torrents that failed, the state of the connection and from where it is seen', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const alive = aliveAnswer(await api.text({ path: '/api/v2/app/version' }));
  const there = presence(alive, { condition: 'qbittorrent-down', resource: 'qbittorrent', name: 'qBittorrent' });
  if (options.password === undefined || alive.is !== 'value') return [there];
  const data = await ask(api, options, { context, ...mainData });
  if (data.is !== 'value') {
    const said = { condition: 'qbittorrent-disconnected', resource: 'connection', hidesRest: true };
    return [there, unseen(said, data.reason)];
  }
  return [there, ...judge(data.value, options), ...(await behindVpn(api, data.value, { options, context }))];
}

async function behindVpn(
  api: Api,
  { server_state: server }: MainData,
  { options, context }: { options: Options; context: CheckContext },
): Promise<Observation[]> {
  const { vpnInterface, homeAddresses } = options;
  return [
    ...(vpnInterface === undefined
      ? []
      : [boundTo(vpnInterface, await ask(api, options, { context, schema: Preferences, path: preferencesPath }))]),
    ...(homeAddresses.length === 0 ? [] : [await seenFrom(homeAddresses, server, context)]),
  ];
}

/** Without a login it answers 403 and a word of plain text to everything: alive. A page or JSON is of a proxy before it. */
function aliveAnswer(answer: ApiAnswer<string>): ApiAnswer<string> {
  if (answer.is !== 'refused' || (answer.status !== 403 && answer.status !== 401)) return answer;
  if (/^\s*[<{]/.test(answer.body)) return answer;
  return answered(answer.body, answer.status);
}

function judge({ server_state: server, torrents }: MainData, options: Options): Observation[] {
  const all = Object.values(torrents);
  const failed = all.filter(isFailed);
  const status = server.connection_status;
  const free = server.free_space_on_disk;
  const summary = `free for downloads: ${formatBytes(Math.max(0, free))}`;
  const room = { condition: 'qbittorrent-disk-full', resource: 'downloads', summary };
  return [
    state({
      condition: 'qbittorrent-disconnected',
      resource: 'connection',
      summary: `qBittorrent is ${status}`,
      ok: status !== 'disconnected',
      severity: 'warning',
      holdMs,
    }),
    state({
      condition: 'qbittorrent-torrents-failed',
      resource: 'torrents',
      summary: `${failed.length} of ${counted(all.length, 'torrent')} failed`,
      ok: failed.length === 0,
      severity: 'warning',
      holdMs,
    }),
    ...(free < 0
      ? []
      : [level({ ...room, value: free / gibibyte, unit: 'GiB', bad: 'below', warning: options.freeBelow })]),
  ];
}

function isFailed({ state: now }: MainData['torrents'][string]): boolean {
  return now === 'error' || now === 'missingFiles';
}

const mainData = { schema: MainData, path: '/api/v2/sync/maindata' };
const preferencesPath = '/api/v2/app/preferences';

async function ask<T>(
  api: Api,
  { url, user = 'admin', password }: Options,
  { context, schema, path }: { context: CheckContext; schema: z.ZodType<T>; path: string },
): Promise<ApiAnswer<T>> {
  const enter = (secret: string): Promise<ApiAnswer<Session>> => logIn(api, { url, user, password: secret });
  const login = { url, user, password, ask: enter, ended: [401, 403], refusedMs };
  const { answer } = await sessions.open(login, context, (headers) => api.json(schema, { path, headers }));
  return answer;
}

async function logIn(
  api: Api,
  { url, user, password }: { url: string; user: string; password: string },
): Promise<ApiAnswer<Session>> {
  const answer = await api.text({
    method: 'POST',
    path: '/api/v2/auth/login',
    headers: { referer: url },
    body: new URLSearchParams({ username: user, password }),
  });
  if (answer.is !== 'value') return answer;
  // Up to 5.1 a wrong password is answered with 200 and this text.
  if (answer.value.startsWith('Fails')) {
    return { is: 'refused', status: 401, body: answer.value, reason: 'it does not accept the user or the password' };
  }
  // `SID`, and `QBT_SID_<port>` from 5.2 on.
  const cookie = cookiesOf(answer.headers).find((pair) => /^[A-Z_0-9]*SID[^=]*=\S+$/.test(pair));
  if (cookie === undefined) return { is: 'unreadable', reason: 'its login gave no session' };
  return { ...answer, value: { headers: { cookie, referer: url }, lifeMs: sessionLifeMs } };
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  if (options.password === undefined) return [];
  const data = await ask(createApi(options, context), options, { context, ...mainData });
  if (data.is !== 'value') return [];
  const { server_state: server, torrents } = data.value;
  const failed = Object.values(torrents).filter(isFailed);
  return [
    ...evidenceOf(
      'state',
      'Torrents that failed',
      failed.map(({ name, state: now }) => `${now}: ${name}`),
    ),
    ...evidenceOf('state', 'Connection', [
      server.connection_status,
      ...[server.last_external_address_v4, server.last_external_address_v6].flatMap((seen) =>
        seen === undefined || seen === '' ? [] : [`seen from ${seen}`],
      ),
    ]),
  ];
}
