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
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf, formatBytes } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  user: z.string().min(1).max(100).optional().describe('Login name; with it and a password transfers are watched.'),
  password: SecretRef.optional().describe('Password of that login.'),
  freeBelow: z.number().nonnegative().default(10).describe('GiB free for downloads below which it is a warning.'),
});
type Options = z.output<typeof Options>;

/** `GET /api/v2/sync/maindata`. `free_space_on_disk` is -1 while it is not known. */
const MainData = z.object({
  server_state: z.object({ connection_status: z.string(), free_space_on_disk: z.number().default(-1) }),
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
  about: 'Whether qBittorrent answers, is connected and has room, and torrents that failed.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'qbittorrent',
  observe,
  evidence: { about: 'the torrents that failed and the state of the connection', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const alive = aliveAnswer(await api.text({ path: '/api/v2/app/version' }));
  const there = presence(alive, { condition: 'qbittorrent-down', resource: 'qbittorrent', name: 'qBittorrent' });
  if (options.password === undefined || alive.is !== 'value') return [there];
  const data = await mainData(api, options, context);
  if (data.is !== 'value') {
    const said = { condition: 'qbittorrent-disconnected', resource: 'connection', hidesRest: true };
    return [there, unseen(said, data.reason)];
  }
  return [there, ...judge(data.value, options)];
}

/** Without a login it answers 403 to everything: alive. */
function aliveAnswer(answer: ApiAnswer<string>): ApiAnswer<string> {
  if (answer.is !== 'refused' || (answer.status !== 403 && answer.status !== 401)) return answer;
  return answered(answer.body, answer.status);
}

function judge({ server_state: server, torrents }: MainData, options: Options): Observation[] {
  const all = Object.values(torrents);
  const failed = all.filter(isFailed);
  const status = server.connection_status;
  const free = server.free_space_on_disk;
  const summary = `free for downloads: ${formatBytes(Math.max(0, free))}`;
  const room = { condition: 'qbittorrent-disk-low', resource: 'downloads', summary };
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

async function mainData(api: Api, options: Options, context: CheckContext): Promise<ApiAnswer<MainData>> {
  const { url, user = 'admin', password } = options;
  const ask = (secret: string): Promise<ApiAnswer<Session>> => logIn(api, { url, user, password: secret });
  const login = { url, user, password, ask, ended: [401, 403], refusedMs };
  const { answer } = await sessions.open(login, context, (headers) =>
    api.json(MainData, { path: '/api/v2/sync/maindata', headers }),
  );
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
  const data = await mainData(createApi(options, context), options, context);
  if (data.is !== 'value') return [];
  const failed = Object.values(data.value.torrents).filter(isFailed);
  return [
    ...evidenceOf(
      'state',
      'Torrents that failed',
      failed.map(({ name, state: now }) => `${now}: ${name}`),
    ),
    ...evidenceOf('state', 'Connection', [data.value.server_state.connection_status]),
  ];
}
