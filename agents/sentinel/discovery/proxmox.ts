import { z } from 'zod';
import { SecretRef } from '#config/schema.ts';
import { defineSource, type Discovered, type Thing } from '../inventory/source.ts';
import { type ApiAnswer, type ApiFault, apiOptions, createApi, secretHeaders } from '../probes/api.ts';
import { fewAtOnce } from '../probes/few-at-once.ts';
import { counted } from '../probes/text.ts';

const NodeRow = z.object({ type: z.string(), name: z.string(), ip: z.string().optional() });
const Guest = z.object({
  type: z.enum(['lxc', 'qemu']),
  vmid: z.number().int(),
  name: z.string().optional(),
  node: z.string(),
  status: z.string().optional(),
  tags: z.string().optional(),
  template: z.number().optional(),
});
type Guest = z.output<typeof Guest>;
const GuestConfig = z.looseObject({ onboot: z.number().optional(), hostname: z.string().optional() });
const Interfaces = z.array(z.looseObject({ name: z.string().optional(), inet: z.string().nullish() })).nullable();
const envelope = <T extends z.ZodType>(data: T) => z.object({ data });

/** Two calls for each guest; a cluster of 500 is read in seconds and not in one burst. */
const parallel = 6;
const maximumGuests = 1_000;
/** Proxmox delays a refusal by 3 s, and one node that hangs must not hold up the others. */
const callMs = 10_000;

export const source = defineSource({
  source: 'proxmox',
  about: 'Nodes and guests of a Proxmox VE cluster, with the addresses that it knows. Needs a token with PVEAuditor.',
  options: z.object({
    ...apiOptions,
    token: SecretRef.describe('API token as USER@REALM!ID=UUID.'),
  }),
  async discover(options, context): Promise<Discovered> {
    const headers = secretHeaders(options.token, context, (token) => ({ authorization: `PVEAPIToken=${token}` }));
    if (typeof headers === 'string') return { is: 'silent', reason: headers };
    const api = createApi(options, { ...context, timeoutMs: Math.min(context.timeoutMs, callMs) });
    const get: Get = (schema, path) => api.json(schema, { path: `/api2/json${path}`, headers });
    const status = await get(envelope(z.array(z.unknown())), '/cluster/status');
    if (status.is !== 'value') return silent(status);
    const listed = await get(envelope(z.array(z.unknown())), '/cluster/resources?type=vm');
    if (listed.is !== 'value') return silent(listed);
    const guests = listed.value.data.flatMap((row) => Guest.safeParse(row).data ?? []).slice(0, maximumGuests);
    const nodes = status.value.data.flatMap((row) => NodeRow.safeParse(row).data ?? []).filter(isNode);
    // Without Sys.Audit the list of guests is empty and the answer is 200 all the same.
    if (nodes.length === 0) return { is: 'silent', reason: 'it lists no node: the token may see nothing' };
    const read = await readGuests(guests.filter(isNoTemplate), get);
    const notes = [...read.notes, ...(guests.length === 0 ? ['it lists no guest, or the token may not see them'] : [])];
    return { is: 'answered', things: [...nodes.map(thingOfNode), ...read.things], notes };
  },
});

function isNode(row: z.output<typeof NodeRow>): boolean {
  return row.type === 'node';
}

function isNoTemplate(guest: Guest): boolean {
  return guest.template !== 1;
}

function silent(fault: ApiFault): Discovered {
  return { is: 'silent', reason: fault.reason };
}

function thingOfNode({ name, ip }: z.output<typeof NodeRow>): Thing {
  return { id: `node/${name}`, name, type: 'node', ...(ip !== undefined && { address: ip }), labels: { node: name } };
}

type Get = <T>(schema: z.ZodType<T>, path: string) => Promise<ApiAnswer<T>>;

async function readGuests(guests: readonly Guest[], get: Get): Promise<{ things: Thing[]; notes: string[] }> {
  const read = await fewAtOnce(guests, parallel, (guest) => readGuest(guest, get));
  const things = read.map(({ thing }) => thing).toSorted((a, b) => Number(a.id) - Number(b.id));
  const unreadable = read.filter(({ isRead }) => !isRead).length;
  const notes = unreadable === 0 ? [] : [`the configuration of ${counted(unreadable, 'guest')} could not be read`];
  return { things, notes };
}

async function readGuest(guest: Guest, get: Get): Promise<{ thing: Thing; isRead: boolean }> {
  const base = `/nodes/${encodeURIComponent(guest.node)}/${guest.type}/${guest.vmid}`;
  const config = await get(envelope(GuestConfig), `${base}/config`);
  const said = config.is === 'value' ? config.value.data : undefined;
  const address = fixedAddress(said ?? {}) ?? (await leasedAddress(guest, get));
  const labels = {
    vmid: String(guest.vmid),
    node: guest.node,
    guest_type: guest.type,
    ...(said?.onboot !== undefined && { onboot: String(said.onboot) }),
    ...(guest.tags !== undefined && guest.tags !== '' && { tags: guest.tags.slice(0, 200) }),
  };
  const name = guest.name ?? said?.hostname ?? String(guest.vmid);
  const thing: Thing = { id: String(guest.vmid), name, type: 'guest', on: guest.node, labels };
  return { thing: address === undefined ? thing : { ...thing, address }, isRead: said !== undefined };
}

/** `net0: name=eth0,bridge=vmbr0,ip=192.168.0.82/24`, and for VMs `ipconfig0: ip=...`. */
function fixedAddress(config: Readonly<Record<string, unknown>>): string | undefined {
  for (const key of ['net0', 'ipconfig0', 'net1', 'ipconfig1']) {
    const value = config[key];
    const found = typeof value === 'string' ? /(?:^|,)ip=(\d+(?:\.\d+){3})(?:\/|,|$)/.exec(value)?.[1] : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Of a running container only: for a VM its agent would have to be asked, which PVEAuditor may not. */
async function leasedAddress(guest: Guest, get: Get): Promise<string | undefined> {
  if (guest.type !== 'lxc' || guest.status !== 'running') return undefined;
  const path = `/nodes/${encodeURIComponent(guest.node)}/lxc/${guest.vmid}/interfaces`;
  const answer = await get(envelope(Interfaces), path);
  const rows = answer.is === 'value' ? (answer.value.data ?? []) : [];
  const [first] = rows.flatMap(({ name, inet }) => (name === 'lo' || inet == null ? [] : [inet]));
  return first?.split('/')[0];
}
