import { connect } from 'node:tls';
import { DiscoveryEntry } from '#config/discovery.ts';
import { inventoryName } from '#config/plain-name.ts';
import type { CommandContext } from '../commands/command.ts';
import { systemClock } from '../runtime/clock.ts';
import { ask } from '../sentinel/inventory/ask.ts';
import { bindSources, loadSources } from '../sentinel/inventory/registry.ts';
import type { Discovered, Thing } from '../sentinel/inventory/source.ts';
import { counted } from '../sentinel/probes/text.ts';
import { createProbes } from '../sentinel/probe.ts';
import { type Found, type Proposal, proposal } from './proposal.ts';

export interface SourceLook {
  context: CommandContext;
  say: (text: string) => void;
}

/** Asks one source as it would stand in the configuration. */
export async function askSource(entry: Record<string, unknown>, { context }: SourceLook): Promise<Discovered> {
  const known = await loadSources(new Set([String(entry['source'])]));
  const config = { discovery: [DiscoveryEntry.parse(entry)] };
  const { sources, faults } = bindSources(config, { known, names: [...known.keys()] });
  const [source] = sources;
  if (source === undefined) {
    const [fault] = faults;
    return { is: 'silent', reason: `${fault?.path.slice(2).join('.') ?? ''} ${fault?.message ?? ''}`.trim() };
  }
  const { hosts } = context.loaded.config;
  const probes = createProbes({ config: { hosts }, clock: systemClock, log: context.log });
  try {
    return await ask(source, { clock: systemClock, signal: context.signal, baseFolder: process.cwd(), hosts, probes });
  } finally {
    await probes.close();
  }
}

/** A cluster: its nodes as hosts, a source of discovery for its guests, and a check. */
export async function lookAtProxmox(
  of: { url: string; tokenFile: string; hasCheck: boolean },
  look: SourceLook,
): Promise<Found> {
  const pin = await selfSignedPin(of.url, look);
  const access = {
    url: of.url,
    token: { file: of.tokenFile },
    ...(pin !== undefined && { certificateFingerprint: pin }),
  };
  const entry = { source: 'proxmox', ...access };
  look.say(`Proxmox ${of.url}: asking ...`);
  const answer = await askSource(entry, look);
  if (answer.is === 'silent') return { proposals: [], remarks: [`Proxmox ${of.url}: ${answer.reason}`] };
  const nodes = answer.things.filter(({ type }) => type === 'node');
  const guests = answer.things.filter(({ type }) => type === 'guest');
  const counts = `${counted(nodes.length, 'node')} and ${counted(guests.length, 'guest')}`;
  look.say(`Proxmox ${of.url}: ${counts}`);
  const pinned =
    pin === undefined ? [] : ['Its certificate is self-signed and pinned: compare it with the web console.'];
  const proposals: Proposal[] = [
    ...nodes.map(nodeHost),
    proposal({ section: 'discovery', name: 'proxmox', text: `discovery of Proxmox: ${counts}`, entry, notes: pinned }),
  ];
  if (of.hasCheck) {
    const check = { id: 'proxmox', kind: 'proxmox', ...access };
    const text = `check proxmox: nodes, guests, storage, backups and tasks of ${of.url}`;
    proposals.push(proposal({ section: 'checks', name: 'proxmox', text, entry: check, notes: [] }));
  }
  return { proposals, remarks: answer.notes.map((note) => `Proxmox: ${note}`) };
}

function nodeHost({ name, address }: Thing): Proposal {
  const key = inventoryName(name) ?? 'node';
  return proposal({
    section: 'hosts',
    name: key,
    text: `host ${key}: a node, without a login`,
    entry: { type: 'node', via: 'none', ...(address !== undefined && { address }) },
    notes: ['With `read: { user: ... }` and `hostKeys` instead of `via: none` its system is looked at too.'],
  });
}

/** Proxmox signs its own certificates: the one that it shows is pinned, after it was shown. */
async function selfSignedPin(url: string, { context, say }: SourceLook): Promise<string | undefined> {
  const { protocol, hostname, port } = new URL(url);
  if (protocol !== 'https:') return undefined;
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const socket = connect({
    host: hostname.replaceAll(/^\[|\]$/g, ''),
    port: port === '' ? 443 : Number(port),
    servername: '',
    rejectUnauthorized: false,
  });
  const abort = AbortSignal.any([context.signal, AbortSignal.timeout(10_000)]);
  abort.addEventListener('abort', () => resolve(undefined), { once: true });
  socket.on('error', () => resolve(undefined));
  socket.on('secureConnect', () => {
    const fingerprint = socket.getPeerCertificate().fingerprint256;
    resolve(socket.authorized ? undefined : fingerprint);
  });
  try {
    const pin = await promise;
    if (pin !== undefined) say(`${url}: it shows the certificate ${pin}, which no authority signed`);
    return pin;
  } finally {
    socket.destroy();
  }
}

/** The containers of this machine as services, and the engine as a source. */
export async function lookAtDocker(host: string, look: SourceLook): Promise<Found> {
  look.say('Docker: asking the engine of this machine ...');
  const entry = { source: 'docker', host };
  const answer = await askSource(entry, look);
  if (answer.is === 'silent') return { proposals: [], remarks: [`Docker: ${answer.reason}`] };
  const text = `discovery of Docker: ${counted(answer.things.length, 'container')} of this machine`;
  look.say(`Docker: ${counted(answer.things.length, 'container')}`);
  const services = answer.things.map(({ name }) => serviceOf(name, host));
  return { proposals: [...services, proposal({ section: 'discovery', name: 'docker', text, entry })], remarks: [] };
}

function serviceOf(container: string, host: string): Proposal {
  const name = inventoryName(container) ?? 'container';
  return proposal({
    section: 'services',
    name,
    text: `service ${name}: a container on ${host}`,
    entry: { on: host, labels: { container } },
  });
}
