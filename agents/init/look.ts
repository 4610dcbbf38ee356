import { resolve } from 'node:path';
import { Failure } from '#bus/failure.ts';
import { inventoryName } from '#config/plain-name.ts';
import { importFile, remarks } from '../commands/import.ts';
import type { Format } from '../import/convert.ts';
import type { CarriedOver, Imported } from '../import/imported.ts';
import type { Thing } from '../sentinel/inventory/source.ts';
import { counted } from '../sentinel/probes/text.ts';
import { loadKinds } from '../sentinel/registry.ts';
import { type HostTarget, lookAtHosts, parseTarget, usualKey } from './host-look.ts';
import { distinct, type Found, type Proposal, proposal } from './proposal.ts';
import { askSource, lookAtDocker, lookAtProxmox, type SourceLook } from './source-look.ts';

/** Looks at all that the command line names, one after the other. Throws a Failure for what nobody can look at. */
export async function lookAround(look: SourceLook): Promise<Found> {
  const { context, say } = look;
  const targets = context.options('ssh').map((text) => {
    const target = parseTarget(text);
    if (target === undefined) throw usage(`--ssh "${text}" is not user@host or user@host:port`);
    return target;
  });
  const [here = 'localhost'] = Object.keys(context.loaded.config.hosts);
  const found: Found[] = [{ proposals: [thisMachine(here)], remarks: [] }];
  say(`this machine: ${here}`);
  found.push(await hosts(targets, look));
  found.push(await proxmox(look));
  if (context.flag('docker')) found.push(await lookAtDocker(here, look));
  const inventory = context.option('ansible');
  if (inventory !== undefined) found.push(await ansible(inventory, look));
  for (const format of ['uptime-kuma', 'gatus', 'prometheus-rules'] as const) found.push(await foreign(format, look));
  const prometheus = context.option('prometheus');
  if (prometheus !== undefined) found.push(await scraped(prometheus, look));
  return { proposals: distinct(found.flatMap((one) => one.proposals)), remarks: found.flatMap((one) => one.remarks) };
}

function usage(reason: string): Failure {
  return new Failure(`Cannot look: ${reason}`, { recoverable: false });
}

function thisMachine(name: string): Proposal {
  const text = `host ${name}: this machine; resources, units, containers`;
  return proposal({ section: 'hosts', name, text, entry: { via: 'local' }, notes: ['This machine.'] });
}

function hosts(targets: readonly HostTarget[], { context, say }: SourceLook): Promise<Found> {
  const key = context.option('key');
  const keyFile = key === undefined ? usualKey() : resolve(key);
  return lookAtHosts(targets, { context, say, keyFile });
}

async function proxmox(look: SourceLook): Promise<Found> {
  const url = look.context.option('proxmox');
  if (url === undefined) return { proposals: [], remarks: [] };
  const tokenFile = look.context.option('tokenFile');
  if (tokenFile === undefined) throw usage('--proxmox needs --token-file, a file with USER@REALM!ID=UUID');
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) throw usage(`--proxmox "${url}" is no address`);
  const hasCheck = (await loadKinds()).has('proxmox');
  return lookAtProxmox({ url: url.replace(/\/+$/, ''), tokenFile: resolve(tokenFile), hasCheck }, look);
}

/** Hosts of an inventory, with their keys when they answer, and the inventory as a source. */
async function ansible(file: string, look: SourceLook): Promise<Found> {
  const entry = { source: 'ansible', inventory: resolve(file) };
  look.say(`Ansible: reading ${file} ...`);
  const answer = await askSource(entry, look);
  if (answer.is === 'silent') return { proposals: [], remarks: [`Ansible: ${answer.reason}`] };
  const targets = answer.things.map(targetOf);
  look.say(`Ansible: ${counted(targets.length, 'host')}`);
  const found = await hosts(targets, look);
  const text = `discovery of the Ansible inventory: ${counted(targets.length, 'host')}`;
  const source = proposal({ section: 'discovery', name: 'ansible', text, entry });
  return {
    proposals: [...found.proposals, source],
    remarks: [...answer.notes.map((note) => `Ansible: ${note}`), ...found.remarks],
  };
}

function targetOf({ name, address, labels }: Thing): HostTarget {
  const user = labels?.['user'];
  return {
    name: inventoryName(name) ?? 'host',
    address: address ?? name,
    port: Number(labels?.['port'] ?? 22),
    ...(user !== undefined && { user }),
    about: `${name} of the Ansible inventory`,
  };
}

async function scraped(url: string, look: SourceLook): Promise<Found> {
  const entry = { source: 'prometheus', url };
  look.say(`Prometheus ${url}: asking ...`);
  const answer = await askSource(entry, look);
  if (answer.is === 'silent') return { proposals: [], remarks: [`Prometheus ${url}: ${answer.reason}`] };
  const text = `discovery of Prometheus: ${counted(answer.things.length, 'machine')}`;
  return {
    proposals: [proposal({ section: 'discovery', name: 'prometheus', text, entry })],
    remarks: answer.notes.slice(),
  };
}

async function foreign(format: Format, { context, say }: SourceLook): Promise<Found> {
  const file = context.option(optionOf[format]);
  if (file === undefined) return { proposals: [], remarks: [] };
  const imported = await importFile(context, format, file);
  say(`${file}: ${counted(imported.carried.length, 'check')}, ${imported.left.length} cannot be carried over`);
  return { proposals: imported.carried.map((one) => checkOf(one, imported)), remarks: remarks(imported) };
}

/** Commander's names of the options. */
const optionOf: Record<Format, string> = {
  'uptime-kuma': 'uptimeKuma',
  gatus: 'gatus',
  'prometheus-rules': 'prometheusRules',
};

function checkOf({ entry, check, notes }: CarriedOver, imported: Imported): Proposal {
  const used = JSON.stringify(check);
  return proposal({
    section: 'checks',
    name: check.id,
    text: `check ${check.id} (${check.kind})`,
    entry: check,
    notes: [...(entry === check.id ? [] : [entry]), ...notes],
    secrets: imported.secrets.filter(({ file }) => used.includes(JSON.stringify(file))),
  });
}
