import { z } from 'zod';

/** Perl writes a number as text when it was last used as one. */
const Numeric = z.union([z.number(), z.string().regex(/^-?[\d.]+(?:e[+-]?\d+)?$/i)]).transform(Number);
/** Booleans are 1 and 0. */
const Flag = z.union([z.boolean(), z.number(), z.string()]).transform((value) => value === true || Number(value) === 1);
const Name = z.string().max(300);

/** An item of `/cluster/resources`. Values come from the status daemons and are about 10 s old. */
export const Resource = z.object({
  type: z.string(),
  id: Name.default(''),
  node: Name.default(''),
  status: z.string().default('unknown'),
  vmid: Numeric.optional(),
  name: Name.optional(),
  /** A share of `maxcpu`, 0 to 1. */
  cpu: Numeric.optional(),
  maxcpu: Numeric.optional(),
  mem: Numeric.optional(),
  maxmem: Numeric.optional(),
  disk: Numeric.optional(),
  maxdisk: Numeric.optional(),
  uptime: Numeric.optional(),
  lock: Name.optional(),
  tags: z.string().max(2_000).optional(),
  template: Flag.default(false),
  hastate: Name.optional(),
  storage: Name.optional(),
  plugintype: Name.optional(),
  content: Name.optional(),
  shared: Flag.default(false),
});
export type Resource = z.output<typeof Resource>;
export const Resources = z.array(Resource).max(20_000);

export const ClusterStatus = z.array(
  z.object({
    type: z.string(),
    name: Name,
    quorate: Flag.optional(),
    nodes: Numeric.optional(),
    online: Flag.optional(),
  }),
);

export const NodeStatus = z.object({
  wait: Numeric.optional(),
  uptime: Numeric.optional(),
  swap: z.object({ total: Numeric.default(0), used: Numeric.default(0) }).optional(),
  pveversion: Name.optional(),
  kversion: Name.optional(),
});

export const GuestConfig = z.object({
  onboot: Flag.default(false),
  lock: Name.optional(),
  tags: z.string().max(2_000).optional(),
});

export const GuestStatus = z.object({ status: z.string(), lock: Name.optional(), uptime: Numeric.optional() });

/** An item of `/nodes/N/lxc`; the pressures are shares of the last 10 s in percent, told from version 9 on. */
export const ContainerPressures = z.array(z.object({ vmid: Numeric, pressurememoryfull: Numeric.optional() }));

/** One task. While it runs it has neither an end nor a status. */
export const Task = z.object({
  upid: z.string().max(500),
  type: z.string().max(100),
  id: z
    .union([z.string().max(300), z.number()])
    .nullish()
    .transform((id) => String(id ?? '')),
  user: Name.default(''),
  node: Name.default(''),
  starttime: Numeric,
  endtime: Numeric.optional(),
  status: z.string().max(2_000).optional(),
});
export type Task = z.output<typeof Task>;
export const Tasks = z.array(Task).max(5_000);

export const LogLines = z.array(z.object({ n: Numeric, t: z.string().nullable() }));

export const NodeStorages = z.array(
  z.object({
    storage: Name,
    active: Flag.default(false),
    enabled: Flag.default(true),
    total: Numeric.optional(),
    used: Numeric.optional(),
  }),
);

export const Volumes = z.array(
  z.object({
    volid: z.string().max(600),
    ctime: Numeric.default(0),
    size: Numeric.default(0),
    vmid: Numeric.optional(),
    content: Name.optional(),
    verification: z.object({ state: z.string() }).nullish(),
  }),
);
export type Volume = z.output<typeof Volumes>[number];

export const Uncovered = z.array(z.object({ vmid: Numeric, name: Name.optional(), type: Name.optional() }));

export const Replications = z.array(
  z.object({
    id: Name,
    guest: Numeric.optional(),
    target: Name.default(''),
    last_sync: Numeric.optional(),
    next_sync: Numeric.optional(),
    fail_count: Numeric.default(0),
    error: z.string().max(4_000).optional(),
    disable: Flag.optional(),
    pid: Numeric.optional(),
  }),
);
export type Replication = z.output<typeof Replications>[number];

export const NodeServices = z.array(
  z.object({
    service: Name,
    'active-state': Name.default('unknown'),
    'unit-state': Name.default('unknown'),
    state: Name.default('unknown'),
  }),
);

export const Disks = z.array(
  z.object({
    devpath: Name,
    model: Name.optional(),
    serial: Name.optional(),
    health: Name.default('UNKNOWN'),
    /** Percent of the life that is left, or `N/A`. */
    wearout: z.unknown().transform((value) => (typeof value === 'number' ? value : undefined)),
  }),
);

export const Pools = z.array(
  z.object({ name: Name, health: Name, alloc: Numeric.default(0), size: Numeric.default(0), frag: Numeric.optional() }),
);

export const HaStatus = z.array(
  z.object({
    id: Name,
    type: z.string(),
    node: Name.default(''),
    status: Name.default(''),
    state: Name.optional(),
    quorate: Flag.optional(),
    sid: Name.optional(),
  }),
);

export const NodeCertificates = z.array(
  z.object({
    filename: Name,
    notbefore: Numeric.optional(),
    notafter: Numeric,
    fingerprint: Name.default(''),
    subject: Name.default(''),
  }),
);

export const Updates = z.array(
  z.object({
    Package: Name,
    Version: Name.default(''),
    OldVersion: Name.nullish(),
    Origin: Name.default(''),
    Section: Name.nullish(),
    Title: Name.nullish(),
  }),
);

/** Only what somebody has set. */
export const FirewallOptions = z.object({ enable: Flag.optional(), policy_in: Name.optional() });

/** The network interfaces in a guest's configuration: `net0: name=eth0,bridge=vmbr0,firewall=1`. */
export const GuestNetworks = z.record(z.string(), z.unknown()).transform((config) =>
  Object.entries(config).flatMap(([name, value]) => {
    if (!/^net\d{1,2}$/.test(name) || typeof value !== 'string') return [];
    const settings = value.split(',');
    return [{ name, isFiltered: settings.includes('firewall=1'), isUp: !settings.includes('link_down=1') }];
  }),
);

/** Privileges by path of whoever asks: 1 here and below, 0 here only. */
export const Permissions = z.record(z.string(), z.record(z.string(), z.unknown()));
