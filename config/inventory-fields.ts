import { z } from 'zod';
import { HostName, Port } from './names.ts';

/** What a thing of the inventory is. `machine`, `node` and `guest` have a system of their own. */
export const nodeTypes = ['machine', 'node', 'guest', 'container', 'device'] as const;
export type NodeType = (typeof nodeTypes)[number];

const Group = HostName.describe(
  'Redundancy group: its members stand in for each other, so never two are touched at once.',
);

export const criticalities = ['low', 'normal', 'high'] as const;
export type Criticality = (typeof criticalities)[number];

const CriticalityField = z
  .enum(criticalities)
  .default('normal')
  .describe('How much it matters to you. Orders what is shown and is a label of its findings; hides nothing.');

/** How a host that rests by intent is woken. */
const OnDemand = z
  .strictObject({
    mac: z
      .string()
      .regex(/^(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$/, 'must be a MAC address such as 00:11:22:aa:bb:cc')
      .optional()
      .describe('Address of the network card that wakes it. Absent: it is not woken from here.'),
    broadcast: z
      .ipv4({ error: 'must be an IPv4 address such as 192.168.1.255' })
      .default('255.255.255.255')
      .describe('Where the wake-up packet is sent.'),
    wakePort: Port.default(9).describe('UDP port of the wake-up packet.'),
  })
  .describe('It may rest: being off is as its owner wishes. Absent: it is expected to be on.');

/** Keys of a host that say what it is in the fleet. */
export const hostFields = {
  type: z
    .enum(nodeTypes)
    .default('machine')
    .describe('`node` runs guests, `guest` is a VM or a container of a node, `device` has no login.'),
  group: Group.optional(),
  criticality: CriticalityField,
  onDemand: OnDemand.optional(),
};

/** The same for a service. */
export const serviceFields = {
  group: Group.optional(),
  criticality: CriticalityField,
  onDemand: z.boolean().default(false).describe('It may rest: being stopped is as its owner wishes.'),
};
