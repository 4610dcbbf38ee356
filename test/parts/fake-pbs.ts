import { type ApiReply, type ApiRequest, type FakeApi, startFakeApi } from './fake-api.ts';

const token = 'lares@pbs!watch:12345678-aaaa-bbbb-cccc-1234567890ab';
export const backupServerToken = token;

interface ModelSnapshot {
  store: string;
  ns: string;
  type: 'ct' | 'vm' | 'host';
  id: string;
  /** Epoch seconds. */
  time: number;
  verification?: 'ok' | 'failed';
}

interface ModelStore {
  store: string;
  total: number;
  used: number;
  /** Epoch seconds; past: it is not filling up. */
  fullAt: number;
  error?: string;
  stillBad: number;
  collectedAt: number;
  collection: string;
}

interface ModelPbsTask {
  upid: string;
  worker_type: string;
  worker_id: string;
  starttime: number;
  endtime?: number;
  status?: string;
  log: string[];
}

/** A Proxmox Backup Server as data: one store, one good and verified snapshot of three hours ago per guest. */
export class BackupModel {
  stores: ModelStore[];
  snapshots: ModelSnapshot[] = [];
  tasks: ModelPbsTask[] = [];
  jobs: { sort: 'verify' | 'prune' | 'sync'; id: string; store: string; state: string; upid?: string }[] = [];
  namespaces = [''];
  mayAudit = true;
  refusalDelayMs = 3_000;
  /** Makes an answer larger than is read. */
  padding = '';
  readonly #now: () => number;
  #pid = 1;

  constructor(of: { guests?: number; now?: () => number } = {}) {
    this.#now = of.now ?? Date.now;
    const tib = 1_099_511_627_776;
    const collectedAt = this.seconds - 86_400;
    this.stores = [
      {
        store: 'main',
        total: 4 * tib,
        used: 2 * tib,
        fullAt: 1_600_000_000,
        stillBad: 0,
        collectedAt,
        collection: 'OK',
      },
    ];
    for (let vmid = 100; vmid < 100 + (of.guests ?? 5); vmid++) this.backedUp(`ct/${vmid}`, 3, { verification: 'ok' });
  }

  get seconds(): number {
    return Math.floor(this.#now() / 1_000);
  }

  /** One more snapshot, so many hours old. */
  backedUp(group: string, hours: number, of: { verification?: 'ok' | 'failed'; ns?: string } = {}): void {
    const [type = 'ct', id = ''] = group.split('/');
    const verification = of.verification === undefined ? {} : { verification: of.verification };
    const time = this.seconds - Math.floor(hours * 3_600);
    this.snapshots.push({ store: 'main', ns: of.ns ?? '', type: type as 'ct', id, time, ...verification });
  }

  forget(group: string): void {
    this.snapshots = this.snapshots.filter(({ type, id }) => `${type}/${id}` !== group);
  }

  addTask(type: string, id: string, of: { status: string; log?: string[] }): ModelPbsTask {
    this.#pid += 1;
    const starttime = this.seconds - 600 + this.#pid;
    const hex = (value: number): string => value.toString(16).toUpperCase().padStart(8, '0');
    const upid = `UPID:pbs:${hex(this.#pid)}:0000AAAA:00000001:${hex(starttime)}:${type}:${id.replaceAll(':', '\\x3a')}:root@pam:`;
    const log = of.log ?? [];
    const task = { upid, worker_type: type, worker_id: id, starttime, endtime: starttime + 5, status: of.status, log };
    this.tasks.push(task);
    return task;
  }
}

export interface FakePbs extends FakeApi {
  readonly model: BackupModel;
}

/** The read side of the Backup Server's API as 3.2 answers: a colon in the token, refusals in plain words. */
export async function startFakePbs(model: BackupModel): Promise<FakePbs> {
  const fake = await startFakeApi((request) => answer(request, model));
  return Object.defineProperties(fake, { model: { value: model } }) as FakePbs;
}

function answer(request: ApiRequest, model: BackupModel): ApiReply {
  const path = request.path.replace(/^\/api2\/json/, '');
  if (path === '/ping') return { body: { data: { pong: true } } };
  if (request.headers.authorization !== `PBSAPIToken=${token}`) {
    return { status: 401, body: 'authentication failed - invalid credentials', delayMs: model.refusalDelayMs };
  }
  if (!model.mayAudit) return { status: 403, body: 'permission check failed.' };
  for (const [pattern, make] of paths) {
    const match = pattern.exec(path);
    if (match !== null) return make({ model, request, parts: match.slice(1).map(decodeURIComponent) });
  }
  return { status: 404, body: `Path '${path}' not found.` };
}

interface Asked {
  model: BackupModel;
  request: ApiRequest;
  parts: string[];
}

const paths: [RegExp, (asked: Asked) => ApiReply][] = [
  [/^\/status\/datastore-usage$/, ({ model }) => data(model.stores.map(usageOf))],
  [/^\/admin\/datastore\/([^/]+)\/namespace$/, ({ model }) => data(model.namespaces.map((ns) => ({ ns })))],
  [
    /^\/admin\/datastore\/([^/]+)\/groups$/,
    ({ model, request, parts }) => data(groupsOf(model, request, parts[0] ?? '')),
  ],
  [/^\/admin\/datastore\/([^/]+)\/snapshots$/, snapshotsOf],
  [/^\/admin\/datastore\/([^/]+)\/gc$/, collectionOf],
  [/^\/admin\/(verify|prune|sync)$/, jobsOf],
  [/^\/nodes\/localhost\/tasks$/, tasksOf],
  [/^\/nodes\/localhost\/tasks\/([^/]+)\/log$/, logOf],
];

function data(value: unknown): ApiReply {
  return { body: { data: value } };
}

function usageOf({ store, total, used, fullAt, error }: ModelStore): object {
  if (error !== undefined) return { store, history: [], error };
  return { store, total, used, avail: total - used, history: [], 'estimated-full-date': fullAt };
}

function inPlace(model: BackupModel, request: ApiRequest, store: string): ModelSnapshot[] {
  const ns = request.query.get('ns') ?? '';
  return model.snapshots.filter((snapshot) => snapshot.store === store && snapshot.ns === ns);
}

function groupsOf(model: BackupModel, request: ApiRequest, store: string): object[] {
  const groups = Map.groupBy(inPlace(model, request, store), ({ type, id }) => `${type}/${id}`);
  return [...groups.values()].map((snapshots) => ({
    'backup-type': snapshots[0]?.type,
    'backup-id': snapshots[0]?.id,
    'backup-count': snapshots.length,
    'last-backup': Math.max(...snapshots.map(({ time }) => time)),
    files: ['index.json.blob', 'root.pxar.didx'],
    owner: 'root@pam',
    comment: `guest-${snapshots[0]?.id}`,
  }));
}

function snapshotsOf({ model, request, parts }: Asked): ApiReply {
  const { query } = request;
  const id = query.get('backup-id');
  const wanted = inPlace(model, request, parts[0] ?? '').filter((snapshot) => id === null || snapshot.id === id);
  return data(
    wanted.map((snapshot) => ({
      'backup-type': snapshot.type,
      'backup-id': snapshot.id,
      'backup-time': snapshot.time,
      size: 3_000_000_000,
      protected: false,
      files: [{ filename: 'root.pxar.didx', size: 3_000_000_000, 'crypt-mode': 'none' }],
      ...(id === null && { comment: model.padding }),
      ...(snapshot.verification !== undefined && { verification: { state: snapshot.verification, upid: 'UPID:x' } }),
    })),
  );
}

function collectionOf({ model, parts }: Asked): ApiReply {
  const store = model.stores.find((one) => one.store === parts[0]);
  if (store === undefined) return { status: 400, body: 'no such datastore' };
  return data({
    store: store.store,
    'removed-bytes': 1,
    'pending-bytes': 0,
    'disk-bytes': store.used,
    'removed-bad': 0,
    'still-bad': store.stillBad,
    'last-run-state': store.collection,
    'last-run-endtime': store.collectedAt,
    schedule: 'daily',
  });
}

function jobsOf({ model, parts }: Asked): ApiReply {
  const jobs = model.jobs.filter(({ sort }) => sort === parts[0]);
  return data(
    jobs.map(({ id, store, state, upid }) => ({
      id,
      store,
      schedule: 'daily',
      'last-run-state': state,
      'last-run-endtime': model.seconds - 3_600,
      ...(upid !== undefined && { 'last-run-upid': upid }),
    })),
  );
}

function tasksOf({ model, request }: Asked): ApiReply {
  const since = Number(request.query.get('since') ?? 0);
  const found = model.tasks.filter(({ starttime }) => starttime >= since).toReversed();
  return data(found.map(({ log: _log, ...task }) => ({ ...task, node: 'pbs', user: 'root@pam' })));
}

function logOf({ model, parts }: Asked): ApiReply {
  const task = model.tasks.find(({ upid }) => upid === parts[0]);
  if (task === undefined) return { status: 400, body: 'no such task' };
  return { body: { data: task.log.map((t, index) => ({ n: index + 1, t })), total: task.log.length } };
}
