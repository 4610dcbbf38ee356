import { z } from 'zod';
import type { NodeType } from '#config/inventory-fields.ts';
import { SecretRef } from '#config/schema.ts';
import { type Discovered, defineSource, type DiscoveryContext, type Thing } from '../inventory/source.ts';
import { apiOptions, createApi, secretOf } from '../probes/api.ts';
import { readBounded } from '../probes/bounded-file.ts';
import { jsonOf } from '../probes/text.ts';

const text = z.string().nullish();
const LiveNode = z.object({
  id: z.coerce.string(),
  type: z.string().default(''),
  label: text,
  hostname: text,
  ip: text,
  parent_id: z.union([z.string(), z.number()]).nullish(),
});
type LiveNode = z.output<typeof LiveNode>;
const LiveView = z.object({ nodes: z.array(z.unknown()).max(5_000) });

const Leaf = z.object({ label: z.string(), nodeType: z.string().default(''), hostname: text, ipAddress: text });
type Leaf = z.output<typeof Leaf>;
const Zone = z.object({ ...Leaf.shape, children: z.array(z.unknown()).max(2_000).default([]) });
const Topology = z.object({
  roots: z.array(z.unknown()).max(2_000).default([]),
  peers: z.array(z.unknown()).max(2_000).default([]),
  zones: z.array(z.unknown()).max(500),
});

export const source = defineSource({
  source: 'homelable',
  about: 'Nodes of a Homelable canvas: its read-only live view, or the topology file that it exports.',
  options: z.object({
    ...apiOptions,
    url: apiOptions.url.optional().describe('Address of Homelable.'),
    token: SecretRef.optional().describe('Key of the live view. Homelable takes it in the address only.'),
    design: z.string().max(100).optional().describe('Identity of the design. Default: the first.'),
    file: z.string().max(1_000).optional().describe('Exported topology (JSON) instead of the live view.'),
  }),
  async discover({ url, token, design, file, ...rest }, context): Promise<Discovered> {
    if (file !== undefined) return fromFile(file, context);
    if (url === undefined || token === undefined) {
      return { is: 'silent', reason: 'it needs "url" and "token", or "file"' };
    }
    const secret = secretOf(token, context);
    if (!secret.ok) return { is: 'silent', reason: secret.reason };
    const query = { key: secret.value, ...(design !== undefined && { design_id: design }) };
    const answer = await createApi({ ...rest, url }, context).json(LiveView, { path: '/api/v1/liveview', query });
    if (answer.is !== 'value') return { is: 'silent', reason: answer.reason };
    return fromLiveView(answer.value.nodes);
  },
});

function fromLiveView(rows: readonly unknown[]): Discovered {
  const nodes = rows.flatMap((row) => LiveNode.safeParse(row).data ?? []);
  if (nodes.length === 0 && rows.length > 0) return { is: 'silent', reason: 'its nodes have another shape' };
  const names = new Map(nodes.map((node) => [node.id, nameOf(node)]));
  return { is: 'answered', things: nodes.map((node) => liveThing(node, names)), notes: [] };
}

function liveThing(node: LiveNode, names: ReadonlyMap<string, string>): Thing {
  const on = node.parent_id == null ? undefined : names.get(String(node.parent_id));
  const labels = { homelable_type: node.type.slice(0, 60) };
  const thing: Thing = { id: node.id, name: nameOf(node), type: typeOf(node.type), labels };
  return { ...thing, ...(on !== undefined && { on }), ...addressOf(node.ip) };
}

function nameOf({ label, hostname, id }: LiveNode): string {
  return [label, hostname, id].find((name) => name != null && name.trim() !== '') ?? id;
}

async function fromFile(file: string, context: DiscoveryContext): Promise<Discovered> {
  const read = await readBounded(file, context.baseFolder);
  if (!read.ok) return { is: 'silent', reason: read.reason };
  const parsed = Topology.safeParse(jsonOf(read.text));
  if (!parsed.success) return { is: 'silent', reason: 'the file is no exported topology' };
  const { roots, peers, zones } = parsed.data;
  const things = [...roots, ...peers].flatMap((row) => leafThing(Leaf.safeParse(row).data, undefined));
  for (const row of zones) {
    const zone = Zone.safeParse(row).data;
    things.push(...leafThing(zone, undefined));
    for (const child of zone?.children ?? []) things.push(...leafThing(Leaf.safeParse(child).data, zone?.label));
  }
  return { is: 'answered', things, notes: [] };
}

/** The export has no identities: its labels are unique on a canvas. */
function leafThing(leaf: Leaf | undefined, on: string | undefined): Thing[] {
  if (leaf === undefined) return [];
  const labels = { homelable_type: leaf.nodeType.slice(0, 60) };
  const thing: Thing = { id: leaf.label, name: leaf.label, type: typeOf(leaf.nodeType), labels };
  return [{ ...thing, ...(on !== undefined && { on }), ...addressOf(leaf.ipAddress) }];
}

/** Several addresses stand in one text, with commas between. */
function addressOf(text: string | null | undefined): { address?: string } {
  const [first = ''] = (text ?? '').split(/[,;\s/]+/).filter((part) => part !== '');
  return first === '' ? {} : { address: first };
}

function typeOf(type: string): NodeType {
  if (/proxmox|hypervisor|^node$/i.test(type)) return 'node';
  if (/lxc|^ct$|^vm$|qemu/i.test(type)) return 'guest';
  if (/docker|container/i.test(type)) return 'container';
  return /server|^nas$|computer|workstation|desktop|laptop/i.test(type) ? 'machine' : 'device';
}
