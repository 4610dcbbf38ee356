import type { ServerKeys } from './certificates.ts';
import type { ClusterModel, ModelGuest, ModelTask } from './cluster-model.ts';
import {
  certificatesOf,
  clusterStatus,
  nodeStatus,
  nodeStorages,
  resources,
  servicesOf,
  uncovered,
} from './cluster-view.ts';
import { type ApiReply, type ApiRequest, type FakeApi, startFakeApi } from './fake-api.ts';

export interface FakeProxmox extends FakeApi {
  readonly model: ClusterModel;
  /** Proxmox VE holds back each refusal of a login for 3 s; a test may wait less. */
  refusalDelayMs: number;
}

/** Of a configuration file, as every answer that shows one carries it. */
const digest = 'd'.repeat(40);

const token = 'lares@pve!watch=12345678-aaaa-bbbb-cccc-1234567890ab';
export const proxmoxToken = token;

/**
 * The read side of Proxmox VE's API, as pve-manager 9 answers: the envelope, numbers for booleans, lists that lack what
 * the token may not see, 403 that names the privilege, 595 for a node that is down, and resources that lag.
 */
export async function startFakeProxmox(model: ClusterModel, options: { keys?: ServerKeys } = {}): Promise<FakeProxmox> {
  const state = { refusalDelayMs: 3_000 };
  const fake = await startFakeApi((request) => answer(request, model, state), options);
  return Object.defineProperties(fake, {
    model: { value: model },
    refusalDelayMs: {
      get: () => state.refusalDelayMs,
      set: (value: number) => {
        state.refusalDelayMs = value;
      },
    },
  }) as FakeProxmox;
}

function answer(request: ApiRequest, model: ClusterModel, state: { refusalDelayMs: number }): ApiReply {
  if (request.headers.authorization !== `PVEAPIToken=${token}`) {
    return { status: 401, body: { data: null, message: 'No ticket\n' }, delayMs: state.refusalDelayMs };
  }
  if (!request.path.startsWith('/api2/json/')) return { status: 501, body: { data: null, message: 'no such file\n' } };
  if (request.method !== 'GET') return { status: 501, body: { data: null, message: 'this fake is only read\n' } };
  const path = request.path.slice('/api2/json'.length);
  const [, node, rest = ''] = /^\/nodes\/([^/]+)(\/.*)$/.exec(path) ?? [];
  if (node !== undefined) return ofNode({ node, rest, request, model });
  const lacking = clusterPrivileges[path];
  if (lacking !== undefined && !model.may(lacking)) return forbidden('/', lacking);
  const make = clusterPaths[path];
  return make === undefined ? notImplemented(path) : { body: { data: make(model, request) } };
}

const clusterPrivileges: Record<string, string> = {
  '/cluster/status': 'Sys.Audit',
  '/cluster/ha/status/current': 'Sys.Audit',
  '/cluster/firewall/options': 'Sys.Audit',
  '/cluster/backup-info/not-backed-up': 'Sys.Audit',
};

const clusterPaths: Record<string, (model: ClusterModel, request: ApiRequest) => unknown> = {
  '/cluster/status': clusterStatus,
  '/cluster/resources': (model, { query }) => resources(model, query.get('type')),
  '/cluster/tasks': (model) => model.tasks.slice(-25).map(taskOf),
  '/cluster/backup-info/not-backed-up': uncovered,
  '/cluster/ha/status/current': (model) => model.ha,
  '/cluster/firewall/options': ({ firewalls }) => ({ digest, ...firewalls.cluster }),
  '/access/permissions': (model) => model.permissions(),
};

interface NodeRequest {
  node: string;
  rest: string;
  request: ApiRequest;
  model: ClusterModel;
}

function ofNode(of: NodeRequest): ApiReply {
  const { node, rest, model } = of;
  const found = model.nodes.find(({ name }) => name === node);
  if (found === undefined) return { status: 500, body: { data: null, message: `hostname lookup '${node}' failed\n` } };
  if (!found.online) return { status: 595, body: { data: null, message: 'No route to host\n' } };
  if (found.isHung) return { status: 596, body: { data: null, message: 'Connection timed out\n' } };
  const privilege = nodePrivileges.find(([pattern]) => pattern.test(rest))?.[1];
  if (privilege !== undefined && !model.may(privilege)) return forbidden(`/nodes/${node}`, privilege);
  for (const [pattern, make] of nodePatterns) {
    const match = pattern.exec(rest);
    if (match !== null) return make(of, match.slice(1).map(decodeURIComponent));
  }
  const make = nodePaths[rest];
  return make === undefined ? notImplemented(rest) : { body: { data: make(of) } };
}

const nodePatterns: [RegExp, (of: NodeRequest, parts: string[]) => ApiReply][] = [
  [/^\/(lxc|qemu)\/(\d+)\/(config|status\/current|firewall\/options)$/, ofGuest],
  [/^\/storage\/([^/]+)\/content$/, ofStorage],
  [/^\/tasks\/([^/]+)\/(?:log|status)$/, ofTask],
];

const nodePrivileges: [RegExp, string][] = [
  [/^\/apt\/update$/, 'Sys.Modify'],
  [/^\/(?:status|services|disks\/.*|tasks.*|firewall\/options)$/, 'Sys.Audit'],
  [/^\/(?:lxc|qemu)\//, 'VM.Audit'],
];

const nodePaths: Record<string, (of: NodeRequest) => unknown> = {
  '/status': ({ node, model }) => nodeStatus(model, node),
  '/tasks': ({ node, request, model }) => {
    const { query } = request;
    const since = Number(query.get('since') ?? 0);
    const vmid = query.get('vmid');
    return model.tasks
      .filter((task) => task.node === node && task.starttime >= since && task.endtime !== undefined)
      .filter((task) => vmid === null || task.id === vmid)
      .toReversed()
      .slice(0, Number(query.get('limit') ?? 50))
      .map(taskOf);
  },
  '/lxc': ({ node, model }) =>
    model.guests.filter((guest) => guest.node === node && guest.type === 'lxc').map(listedOf),
  '/firewall/options': ({ node, model }) => ({ digest, ...model.firewalls.nodes.get(node) }),
  '/storage': ({ node, model }) => nodeStorages(model, node),
  '/replication': ({ node, model }) => model.replications.filter((job) => job.source === node),
  '/services': ({ node, model }) => servicesOf(model, node),
  '/disks/list': ({ node, model }) => model.disks.filter((disk) => disk.node === node),
  '/disks/zfs': ({ node, model }) => model.pools.filter((pool) => pool.node === node),
  '/certificates/info': ({ node, model }) => certificatesOf(model, node),
  '/apt/update': ({ node, model }) => model.updates.filter((update) => update.node === node),
};

function ofGuest({ node, model }: NodeRequest, [type = '', id = '', what = '']: string[]): ApiReply {
  const vmid = Number(id);
  const guest = model.guests.find((one) => one.vmid === vmid && one.node === node && one.type === type);
  if (guest === undefined) {
    const message = `Configuration file 'nodes/${node}/${type === 'lxc' ? 'lxc' : 'qemu-server'}/${vmid}.conf' does not exist\n`;
    return { status: 500, body: { data: null, message } };
  }
  const views: Record<string, () => object> = {
    config: () => configOf(guest),
    'firewall/options': () => ({ digest, ...model.firewalls.guests.get(vmid) }),
  };
  return { body: { data: (views[what] ?? (() => statusOf(guest)))() } };
}

function configOf(guest: ModelGuest): object {
  return {
    digest,
    hostname: guest.name,
    memory: 1_024,
    ...guest.networks,
    ...(guest.onboot && { onboot: 1 }),
    ...(guest.lock !== undefined && { lock: guest.lock }),
    ...(guest.tags !== undefined && { tags: guest.tags }),
  };
}

/** As a container stands in the list of its node; Perl turned its numbers into texts on the way. */
function listedOf({ memoryPressure, ...guest }: ModelGuest): object {
  const pressure = memoryPressure === undefined ? {} : { pressurememoryfull: memoryPressure.toFixed(2) };
  return { ...statusOf(guest), vmid: String(guest.vmid), type: 'lxc', ...pressure };
}

function statusOf(guest: ModelGuest): object {
  const lock = guest.lock === undefined ? {} : { lock: guest.lock };
  return {
    vmid: guest.vmid,
    name: guest.name,
    status: guest.status,
    uptime: guest.status === 'running' ? 3_600 : 0,
    ...lock,
  };
}

function ofStorage({ node, model, request }: NodeRequest, [storage = '']: string[]): ApiReply {
  const found = model.storages.find((one) => one.storage === storage);
  if (found === undefined)
    return { status: 500, body: { data: null, message: `storage '${storage}' does not exist\n` } };
  if (!found.enabled || !found.active) {
    return { status: 500, body: { data: null, message: `storage '${storage}' is not online\n` } };
  }
  if (!model.may('Datastore.Audit')) return forbidden(`/storage/${storage}`, 'Datastore.Audit|Datastore.AllocateSpace');
  const content = request.query.get('content');
  const volumes = model.volumes.filter(
    (volume) => volume.storage === storage && (content === null || volume.content === content),
  );
  return { body: { data: volumes.filter((volume) => found.shared || volume.node === node) } };
}

function ofTask({ model, request }: NodeRequest, [upid = '']: string[]): ApiReply {
  const task = model.tasks.find((one) => one.upid === upid);
  if (task === undefined) return { status: 500, body: { data: null, message: 'no such task\n' } };
  const start = Number(request.query.get('start') ?? 0);
  const limit = Number(request.query.get('limit') ?? 50);
  const lines = task.log.length === 0 ? ['no content'] : task.log;
  return {
    body: { data: lines.map((t, index) => ({ n: index + 1, t })).slice(start, start + limit), total: lines.length },
  };
}

/** While a task runs it has neither an end nor a status. */
function taskOf({ log: _log, ...task }: ModelTask): object {
  return task;
}

function forbidden(path: string, privilege: string): ApiReply {
  return { status: 403, body: { data: null, message: `Permission check failed (${path}, ${privilege})\n` } };
}

function notImplemented(path: string): ApiReply {
  return { status: 501, body: { data: null, message: `Method 'GET ${path}' not implemented\n` } };
}
