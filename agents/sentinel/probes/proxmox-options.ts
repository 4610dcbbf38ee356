import { z } from 'zod';
import { durationOr } from '#config/duration.ts';
import { SecretRef } from '#config/schema.ts';
import { apiOptions } from './api.ts';
import { levels, spans } from './levels-option.ts';

/** What may be looked at; each costs calls of its own. */
const proxmoxParts = [
  'cluster',
  'nodes',
  'guests',
  'storage',
  'tasks',
  'replication',
  'backups',
  'services',
  'disks',
  'ha',
  'certificates',
  'updates',
  'firewall',
] as const;
export type ProxmoxPart = (typeof proxmoxParts)[number];

const Guests = z.array(z.number().int().min(100).max(999_999_999)).max(2_000).default([]);
const Names = z.array(z.string().min(1).max(100)).max(200);

/** Consoles end with "connection closed", which says nothing about the cluster. */
const consoles = ['vncproxy', 'vncshell', 'termproxy', 'spiceproxy', 'spiceshell'];

export const ProxmoxOptions = z.strictObject({
  ...apiOptions,
  otherUrls: z
    .array(apiOptions.url)
    .max(20)
    .default([])
    .describe('Addresses of other nodes of the cluster, asked in turn while the first is silent.'),
  token: SecretRef.describe('API token, the whole text USER@REALM!TOKENID=UUID. PVEAuditor on / is enough for most.'),
  look: z
    .array(z.enum(proxmoxParts))
    .min(1)
    .default(['cluster', 'nodes', 'guests', 'storage', 'tasks', 'replication'])
    .describe('What is looked at. `updates` needs Sys.Modify as well; `disks` asks SMART, which may spin disks up.'),
  onDemandNodes: Names.default([]).describe('Nodes that may be off: they and their guests then rest.'),
  onDemandStorages: Names.default([]).describe('Storages that may be inactive, such as one on a node that sleeps.'),
  ignoreGuests: Guests.describe('Ids of guests to leave out altogether.'),
  mayStop: Guests.describe('Ids of guests that may be stopped, though they start with their node or ran before.'),
  mustRun: Guests.describe('Ids of guests that must run, though they do not start with their node.'),
  mustRunTags: Names.default([]).describe('Guests with one of these tags must run.'),
  ignoreTasks: Names.default(consoles).describe('Types of tasks whose failure says nothing.'),
  taskWindow: durationOr('24h').describe('How far back failed tasks count.'),
  usage: levels({ warning: 85, critical: 95 })
    .prefault({})
    .describe('Percent used of storages, of the root filesystem of nodes and of the disks of containers.'),
  backups: z
    .strictObject({
      age: spans({ warning: '26h', critical: '48h' }).prefault({}).describe('Age of the newest backup of a guest.'),
      ignore: Guests.describe('Ids of guests that need no backup.'),
    })
    .prefault({})
    .describe('Limits of the freshness of backups.'),
  firewall: z
    .strictObject({
      required: z.boolean().default(false).describe('Whether the firewalls of cluster, nodes and guests must be on.'),
      ignore: Guests.describe('Ids of guests whose firewall may be as it likes.'),
    })
    .prefault({})
    .describe('What `firewall` expects beside that none gets weaker.'),
});
export type ProxmoxOptions = z.output<typeof ProxmoxOptions>;
