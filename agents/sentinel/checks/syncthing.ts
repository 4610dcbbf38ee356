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
  secretOf,
} from '#agents/sentinel/probes/api.ts';
import { asleep, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  token: SecretRef.optional().describe('API key; with it folders and devices are watched.'),
  behindAfter: durationOr('1h').describe('A folder that lacks items for so long is behind.'),
  awayAfter: durationOr('1d').describe('A device that was not connected for so long is away.'),
  ignoreDevices: z
    .array(z.string().max(100))
    .max(100)
    .default([])
    .describe('Names or ids of devices that may be away.'),
  ignoreFolders: z.array(z.string().max(100)).max(100).default([]).describe('Labels or ids of folders to leave out.'),
});
type Options = z.output<typeof Options>;

/** `GET /rest/config/folders`, `/rest/config/devices`, `/rest/db/status`, `/rest/system/connections`, `/rest/stats/device`. */
const Folders = z.array(
  z.object({ id: z.string(), label: z.string().default(''), paused: z.boolean().default(false) }),
);
const Devices = z.array(
  z.object({ deviceID: z.string(), name: z.string().default(''), paused: z.boolean().default(false) }),
);
const FolderStatus = z.object({
  state: z.string(),
  error: z.string().nullish(),
  pullErrors: z.number().default(0),
  needTotalItems: z.number().default(0),
});
const Connections = z.object({ connections: z.record(z.string(), z.object({ connected: z.boolean() })) });
const DeviceStats = z.record(z.string(), z.object({ lastSeen: z.string() }));
const Status = z.object({ myID: z.string() });
const FolderErrors = z.object({ errors: z.array(z.object({ path: z.string(), error: z.string() })).nullable() });
const Errors = z.object({ errors: z.array(z.object({ when: z.string(), message: z.string() })).nullable() });

const holdMs = 5 * 60_000;
/** More folders or devices are not looked at one by one. */
const maximumItems = 100;

export const check = defineCheck({
  kind: 'syncthing',
  about: 'Syncthing: whether it answers, folders that fail or stay behind, and devices that have been away for long.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'syncthing',
  observe,
  evidence: { about: 'the errors that Syncthing noted, and those of the folder', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const there = presence(aliveAnswer(await api.text({ path: '/rest/noauth/health' })), {
    condition: 'syncthing-down',
    resource: 'syncthing',
    name: 'Syncthing',
  });
  if (options.token === undefined || there.reading.is !== 'state' || !there.reading.ok) return [there];
  const key = secretOf(options.token, context);
  if (!key.ok)
    return [there, unseen({ condition: 'syncthing-folder-failed', resource: 'folders', hidesRest: true }, key.reason)];
  const keyed = withKey(api, key.value);
  const [folders, devices] = [await lookAtFolders(keyed, options), await lookAtDevices(keyed, options, context)];
  return [there, ...folders, ...devices];
}

/** Before 1.22 there is no such route: the 403 for the missing key shows that somebody answers. */
function aliveAnswer(answer: ApiAnswer<string>): ApiAnswer<string> {
  if (answer.is !== 'refused' || answer.status !== 403 || !answer.body.startsWith('CSRF Error')) return answer;
  return answered(answer.body, answer.status);
}

type Keyed = <T>(schema: z.ZodType<T>, path: string, query?: Record<string, string>) => Promise<ApiAnswer<T>>;

function withKey(api: Api, key: string): Keyed {
  return (schema, path, query = {}) => api.json(schema, { path, query, headers: { 'x-api-key': key } });
}

async function lookAtFolders(api: Keyed, options: Options): Promise<Observation[]> {
  const said = { condition: 'syncthing-folder-failed', resource: 'folders' };
  const listed = await api(Folders, '/rest/config/folders');
  if (listed.is !== 'value') return [unseen({ ...said, hidesRest: true }, listed.reason)];
  const watched = listed.value.filter(
    ({ id, label }) => !options.ignoreFolders.some((name) => name === id || name === label),
  );
  const labels = watched.map(({ label }) => label);
  const found: Observation[] = [
    state({ ...said, summary: `looked at ${counted(watched.length, 'folder')}`, ok: true, severity: 'critical' }),
  ];
  for (const folder of watched.slice(0, maximumItems)) {
    const { id, label } = folder;
    // Nothing keeps two folders from having one label.
    const isOwn = label !== '' && labels.indexOf(label) === labels.lastIndexOf(label);
    found.push(...(await lookAtFolder(api, { ...folder, label: isOwn ? label : id }, options)));
  }
  return found;
}

async function lookAtFolder(
  api: Keyed,
  { id, label: name, paused }: z.output<typeof Folders>[number],
  { behindAfter }: Options,
): Promise<Observation[]> {
  const failed = { condition: 'syncthing-folder-failed', resource: name, labels: { folder: oneLine(id, 100) }, holdMs };
  if (paused) return [asleep({ ...failed, summary: `folder ${name} is paused` }, 'it is paused')];
  const answer = await api(FolderStatus, '/rest/db/status', { folder: id });
  if (answer.is !== 'value') return [unseen(failed, answer.reason)];
  const { state: now, error, pullErrors, needTotalItems } = answer.value;
  const why = error !== null && error !== undefined && error !== '' ? `: ${error}` : '';
  const pulls = pullErrors > 0 ? `, ${counted(pullErrors, 'item')} could not be fetched` : '';
  const ok = now !== 'error' && pullErrors === 0;
  const lacking = { ...failed, condition: 'syncthing-folder-behind', holdMs: behindAfter };
  return [
    state({
      ...failed,
      summary: `folder ${name} is ${now}${pulls}${why}`,
      ok,
      severity: now === 'error' ? 'critical' : 'warning',
    }),
    state({
      ...lacking,
      summary: `folder ${name} lacks ${counted(needTotalItems, 'item')}`,
      ok: needTotalItems === 0,
      severity: 'warning',
    }),
  ];
}

async function lookAtDevices(api: Keyed, options: Options, context: CheckContext): Promise<Observation[]> {
  const said = { condition: 'syncthing-device-away', resource: 'devices' };
  const self = await api(Status, '/rest/system/status');
  const devices = await api(Devices, '/rest/config/devices');
  const connections = await api(Connections, '/rest/system/connections');
  const stats = await api(DeviceStats, '/rest/stats/device');
  if (self.is !== 'value') return [unseen(said, self.reason)];
  if (devices.is !== 'value') return [unseen(said, devices.reason)];
  if (connections.is !== 'value') return [unseen(said, connections.reason)];
  if (stats.is !== 'value') return [unseen(said, stats.reason)];
  const names = devices.value.map(({ name }) => name);
  const others = devices.value.filter(
    ({ deviceID, name }) =>
      deviceID !== self.value.myID && !options.ignoreDevices.some((word) => word === name || word === deviceID),
  );
  return [
    state({ ...said, summary: `looked at ${counted(others.length, 'device')}`, ok: true, severity: 'warning' }),
    ...others.slice(0, maximumItems).map((device) => {
      const { deviceID, name, paused } = device;
      const isOwn = name !== '' && names.indexOf(name) === names.lastIndexOf(name);
      const title = isOwn ? name : deviceID.slice(0, 7);
      const one = { condition: said.condition, resource: title, labels: { device: deviceID.slice(0, 7) }, holdMs: 0 };
      if (paused) return asleep({ ...one, summary: `device ${title} is paused` }, 'it is paused');
      if (connections.value.connections[deviceID]?.connected === true) {
        return state({ ...one, summary: `device ${title} is connected`, ok: true, severity: 'warning' });
      }
      return away(one, Date.parse(stats.value[deviceID]?.lastSeen ?? ''), { options, now: context.clock.now() });
    }),
  ];
}

function away(
  one: { condition: string; resource: string; holdMs: number; labels: Record<string, string> },
  lastSeen: number,
  { options, now }: { options: Options; now: number },
): Observation {
  // A device that never was connected is told as last seen in 1970.
  const isNever = !Number.isFinite(lastSeen) || lastSeen <= 0;
  const silent = now - lastSeen;
  const ok = !isNever && silent < options.awayAfter;
  const ago = isNever
    ? 'was never connected'
    : `was last connected ${formatDuration(Math.floor(silent / 60_000) * 60_000)} ago`;
  return state({ ...one, summary: `device ${one.resource} ${ago}`, ok, severity: 'warning' });
}

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const key = options.token === undefined ? undefined : secretOf(options.token, context);
  if (key?.ok !== true) return [];
  const api = withKey(createApi(options, context), key.value);
  const errors = await api(Errors, '/rest/system/error');
  const folder = observation.labels?.['folder'];
  const files = folder === undefined ? undefined : await api(FolderErrors, '/rest/folder/errors', { folder });
  return [
    ...(errors.is === 'value'
      ? evidenceOf(
          'log',
          'Errors of Syncthing',
          (errors.value.errors ?? []).map(({ when, message }) => `${when} ${message}`),
        )
      : []),
    ...(files?.is === 'value'
      ? evidenceOf(
          'log',
          `Errors of folder ${observation.resource}`,
          (files.value.errors ?? []).map(({ path, error }) => `${path}: ${error}`),
        )
      : []),
  ];
}
