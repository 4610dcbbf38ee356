/** A Proxmox VE cluster as data: what happens to it is said by setters, what its API shows is made from it. */

const hourMs = 3_600_000;
const gib = 1_073_741_824;

interface ModelNode {
  name: string;
  online: boolean;
  /** In the cluster, but its API does not answer. */
  isHung: boolean;
  /** Its status daemon stands still: what it should report is unknown. */
  isMute: boolean;
  cpu: number;
  mem: number;
  wait: number;
}

export interface ModelGuest {
  vmid: number;
  name: string;
  type: 'lxc' | 'qemu';
  node: string;
  status: 'running' | 'stopped';
  onboot: boolean;
  template: boolean;
  lock?: string;
  tags?: string;
  hastate?: string;
  /** Share of its disk that is used, 0 to 1. */
  disk: number;
  /** Percent of the time that it waits for memory; absent: Proxmox VE 8, which does not tell. */
  memoryPressure?: number;
  /** `net0` and so on, as its configuration has them. */
  networks?: Record<string, string>;
}

export interface ModelStorage {
  storage: string;
  plugintype: string;
  content: string;
  shared: boolean;
  /** Those that have it; all of a shared one see the same. */
  nodes: string[];
  enabled: boolean;
  active: boolean;
  /** Share that is used, 0 to 1. */
  used: number;
}

export interface ModelTask {
  upid: string;
  node: string;
  type: string;
  id: string;
  user: string;
  starttime: number;
  endtime?: number;
  status?: string;
  log: string[];
}

interface ModelVolume {
  storage: string;
  node: string;
  content: string;
  volid: string;
  vmid: number;
  ctime: number;
  size: number;
  verification?: { state: 'ok' | 'failed'; upid: string };
}

interface ModelFirewall {
  enable?: 0 | 1;
  policy_in?: 'ACCEPT' | 'DROP' | 'REJECT';
}

interface ModelReplication {
  id: string;
  guest: number;
  source: string;
  target: string;
  schedule: string;
  last_sync: number;
  next_sync: number;
  fail_count: number;
  error?: string;
}

const allPrivileges = ['Sys.Audit', 'VM.Audit', 'Datastore.Audit', 'Sys.Modify'];

/** Four nodes and fifty-three guests unless said otherwise; all is well, and each guest was backed up three hours ago. */
export class ClusterModel {
  readonly name = 'homelab';
  nodes: ModelNode[];
  guests: ModelGuest[];
  storages: ModelStorage[];
  volumes: ModelVolume[] = [];
  tasks: ModelTask[] = [];
  replications: ModelReplication[] = [];
  disks: { node: string; devpath: string; model: string; serial: string; health: string; wearout: number | 'N/A' }[];
  pools: { node: string; name: string; health: string; alloc: number; size: number; free: number; frag: number }[];
  updates: { node: string; Package: string; Version: string; OldVersion: string; Origin: string; Section: string }[] =
    [];
  ha: { id: string; type: string; node: string; status: string; state?: string; sid?: string; quorate?: number }[] = [];
  /** What somebody has set of the firewalls: by default all of them are off but those of the nodes. */
  readonly firewalls = {
    cluster: {} as ModelFirewall,
    nodes: new Map<string, ModelFirewall>(),
    guests: new Map<number, ModelFirewall>(),
  };
  quorate = true;
  /** No cluster: one node that is not in any. */
  isStandalone: boolean;
  /** Guests that no backup job covers. */
  readonly bare = new Set<number>();
  #privileges = new Set(allPrivileges);
  /** What the list of all resources shows while it lags. */
  frozen: object[] | undefined;
  readonly stoppedServices = new Map<string, string>();
  readonly certificateEndings = new Map<string, number>();
  readonly #now: () => number;
  #pid = 4_096;

  constructor(of: { nodes?: number; guests?: number; now?: () => number } = {}) {
    const { nodes = 4, guests = 53, now = Date.now } = of;
    this.#now = now;
    this.isStandalone = nodes === 1;
    this.nodes = Array.from({ length: nodes }, (_, index) => ({
      name: `pve${index + 1}`,
      online: true,
      isHung: false,
      isMute: false,
      cpu: 0.12,
      mem: 0.55,
      wait: 0.01,
    }));
    this.guests = Array.from({ length: guests }, (_, index) => ({
      vmid: 100 + index,
      name: `guest-${100 + index}`,
      type: index % 10 === 9 ? 'qemu' : 'lxc',
      node: `pve${(index % nodes) + 1}`,
      status: 'running',
      onboot: true,
      template: false,
      disk: 0.4,
    }));
    const names = this.nodes.map(({ name }) => name);
    const common = { enabled: true, active: true, used: 0.5, nodes: names };
    this.storages = [
      { ...common, storage: 'local-zfs', plugintype: 'zfspool', content: 'images,rootdir', shared: false },
      { ...common, storage: 'pbs', plugintype: 'pbs', content: 'backup', shared: true },
    ];
    this.disks = names.map((node) => {
      return { node, devpath: '/dev/sda', model: 'SAMSUNG', serial: `S-${node}`, health: 'PASSED', wearout: 97 };
    });
    const size = 1_000 * gib;
    this.pools = names.map((node) => {
      return { node, name: 'rpool', health: 'ONLINE', alloc: 400 * gib, size, free: 600 * gib, frag: 12 };
    });
    for (const { vmid } of this.guests) this.backedUp(vmid, 3 * hourMs);
  }

  get seconds(): number {
    return Math.floor(this.#now() / 1_000);
  }

  guest(vmid: number): ModelGuest {
    const found = this.guests.find((one) => one.vmid === vmid);
    if (found === undefined) throw new Error(`The model has no guest ${vmid}`);
    return found;
  }

  node(name: string): ModelNode {
    const found = this.nodes.find((one) => one.name === name);
    if (found === undefined) throw new Error(`The model has no node ${name}`);
    return found;
  }

  storage(name: string): ModelStorage {
    const found = this.storages.find((one) => one.storage === name);
    if (found === undefined) throw new Error(`The model has no storage ${name}`);
    return found;
  }

  /** By a person's task, or, without one, as a crash or a `poweroff` inside does it. */
  stopGuest(vmid: number, by?: { user: string }): void {
    const guest = this.guest(vmid);
    guest.status = 'stopped';
    const type = guest.type === 'lxc' ? 'vzshutdown' : 'qmshutdown';
    if (by !== undefined) this.addTask({ type, id: String(vmid), node: guest.node, user: by.user, status: 'OK' });
  }

  startGuest(vmid: number): void {
    this.guest(vmid).status = 'running';
  }

  nodeDown(name: string): void {
    this.node(name).online = false;
  }

  nodeUp(name: string): void {
    this.node(name).online = true;
  }

  /** The newest backup of a guest is so old; without an age it has none. */
  backedUp(vmid: number, ageMs?: number, of: { verification?: 'ok' | 'failed' } = {}): void {
    this.volumes = this.volumes.filter((volume) => volume.vmid !== vmid);
    if (ageMs === undefined) return;
    const ctime = this.seconds - Math.floor(ageMs / 1_000);
    const { type, node } = this.guest(vmid);
    const stamp = new Date(ctime * 1_000).toISOString().slice(0, 19);
    const volid = `pbs:backup/${type === 'lxc' ? 'ct' : 'vm'}/${vmid}/${stamp}Z`;
    const verification =
      of.verification === undefined ? {} : { verification: { state: of.verification, upid: 'UPID:x' } };
    this.volumes.push({ storage: 'pbs', node, content: 'backup', volid, vmid, ctime, size: 3 * gib, ...verification });
  }

  fillStorage(name: string, share: number): void {
    this.storage(name).used = share;
  }

  addTask(of: Partial<ModelTask> & { type: string; node: string }): ModelTask {
    const { id = '', user = 'root@pam', starttime = this.seconds - 60, log = [] } = of;
    const hex = (value: number): string => value.toString(16).toUpperCase().padStart(8, '0');
    this.#pid += 1;
    const upid = `UPID:${of.node}:${hex(this.#pid)}:${hex(this.#pid * 7)}:${hex(starttime)}:${of.type}:${id}:${user}:`;
    const end = of.status === undefined ? {} : { endtime: of.endtime ?? starttime + 30, status: of.status };
    const task: ModelTask = { upid, node: of.node, type: of.type, id, user, starttime, log, ...end };
    this.tasks.push(task);
    return task;
  }

  /** One backup task for many guests, as a job runs it; those that failed with the reason. */
  addBackupTask(node: string, of: { failed?: Record<number, string>; ageMs?: number }): ModelTask {
    const failed = of.failed ?? {};
    const starttime = this.seconds - Math.floor((of.ageMs ?? hourMs) / 1_000);
    const log = this.guests
      .filter((guest) => guest.node === node)
      .flatMap(({ vmid, type }) => {
        const reason = failed[vmid];
        return [
          `INFO: Starting Backup of VM ${vmid} (${type})`,
          reason === undefined
            ? `INFO: Finished Backup of VM ${vmid} (00:00:12)`
            : `ERROR: Backup of VM ${vmid} failed - ${reason}`,
        ];
      });
    const status = Object.keys(failed).length === 0 ? 'OK' : 'job errors';
    const last = status === 'OK' ? 'INFO: Backup job finished successfully' : 'INFO: Backup job finished with errors';
    return this.addTask({ type: 'vzdump', node, starttime, endtime: starttime + 600, status, log: [...log, last] });
  }

  failReplication(vmid: number, target: string, of: { count: number; error: string }): void {
    const id = `${vmid}-0`;
    const source = this.guest(vmid).node;
    this.replications = this.replications.filter((job) => job.id !== id);
    const fails = of.count === 0 ? { fail_count: 0 } : { fail_count: of.count, error: of.error };
    const times = { last_sync: this.seconds - 3_600, next_sync: this.seconds + 300 };
    this.replications.push({ id, guest: vmid, source, target, schedule: '*/15', ...times, ...fails });
  }

  stopService(node: string, service: string): void {
    this.stoppedServices.set(node, service);
  }

  certificateEnds(node: string, inMs: number): void {
    this.certificateEndings.set(node, this.seconds + Math.floor(inMs / 1_000));
  }

  /** What the token may not do any more. */
  revoke(...privileges: string[]): void {
    for (const privilege of privileges) this.#privileges.delete(privilege);
  }

  may(privilege: string): boolean {
    return this.#privileges.has(privilege.split('|')[0] ?? '');
  }

  permissions(): Record<string, Record<string, number>> {
    return { '/': Object.fromEntries([...this.#privileges].map((privilege) => [privilege, 1])) };
  }
}
