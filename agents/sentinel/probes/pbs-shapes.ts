import { z } from 'zod';

const Name = z.string().max(300);
const Counter = z.number().nullish();

export const DatastoreUsage = z.array(
  z.object({
    store: Name,
    total: Counter,
    used: Counter,
    avail: Counter,
    /** Epoch seconds; 0 or past: it is not filling up. */
    'estimated-full-date': Counter,
    error: z.string().max(2_000).nullish(),
  }),
);
export type DatastoreUsage = z.output<typeof DatastoreUsage>[number];

export const Namespaces = z.array(z.object({ ns: Name }));

export const Groups = z.array(
  z.object({
    'backup-type': z.enum(['ct', 'vm', 'host']),
    'backup-id': Name,
    'last-backup': z.number(),
    'backup-count': z.number().default(0),
    comment: z.string().max(1_000).nullish(),
  }),
);
export type Group = z.output<typeof Groups>[number];

export const Snapshots = z.array(
  z.object({
    'backup-type': z.enum(['ct', 'vm', 'host']),
    'backup-id': Name,
    'backup-time': z.number(),
    size: Counter,
    verification: z.object({ state: z.string() }).nullish(),
  }),
);
export type Snapshot = z.output<typeof Snapshots>[number];

export const GarbageCollection = z.object({
  'still-bad': Counter,
  'removed-bad': Counter,
  'pending-bytes': Counter,
  'last-run-state': Name.nullish(),
  'last-run-endtime': Counter,
  schedule: Name.nullish(),
});
export type GarbageCollection = z.output<typeof GarbageCollection>;

export const Jobs = z.array(
  z.object({
    id: Name,
    store: Name.nullish(),
    'last-run-state': z.string().max(2_000).nullish(),
    'last-run-endtime': Counter,
    'last-run-upid': z.string().max(500).nullish(),
    disable: z.boolean().nullish(),
  }),
);

export const PbsTasks = z.array(
  z.object({
    upid: z.string().max(500),
    worker_type: z.string().max(100),
    worker_id: Name.nullish(),
    user: Name.nullish(),
    starttime: z.number(),
    endtime: Counter,
    status: z.string().max(2_000).nullish(),
  }),
);
