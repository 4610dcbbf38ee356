import { z } from 'zod';
import type { Observation } from '#agents/sentinel/check.ts';
import { fewAtOnce } from './few-at-once.ts';
import {
  type Blind,
  called,
  callsAtOnce,
  type Guest,
  onlineNodes,
  type ProxmoxLook,
  type Seen,
} from './proxmox-look.ts';
import { perNode } from './proxmox-node-looks.ts';
import { FirewallOptions, GuestNetworks } from './proxmox-shapes.ts';
import { state } from './reading.ts';
import { remember } from './remembered.ts';

/** What was weaker for so long is how it is wished. */
const acceptedMs = 7 * 86_400_000;
const hourMs = 3_600_000;
const maximumRemembered = 1_000;

/** 0: off; 1: on, and what no rule names comes in; 2: on, and it stays out. */
type Strength = 0 | 1 | 2;
const words = ['off', 'on and lets in what no rule refuses', 'on'] as const;

/** The strongest that each firewall was seen lately, and when. */
const Remembered = z.record(z.string(), z.tuple([z.literal([0, 1, 2]), z.number()]));
type Remembered = z.output<typeof Remembered>;

interface FirewallLook {
  look: ProxmoxLook;
  before: Remembered;
  now: Remembered;
}

/**
 * The firewalls of the cluster, its nodes and its guests. Each must be as strong as it lately was; and a guest's must be
 * able to do something: without the one of the cluster, or on an interface without `firewall=1`, its rules filter nothing.
 */
export async function observeFirewall(look: ProxmoxLook): Promise<Seen> {
  const answer = await look.api.get(FirewallOptions, '/cluster/firewall/options');
  if (answer.is !== 'value') return { observations: [], blind: [{ resource: 'firewall', reason: answer.reason }] };
  const known = Remembered.safeParse(look.context.memory.get('firewalls'));
  const of: FirewallLook = { look, before: known.success ? known.data : {}, now: {} };
  const strength = strengthOf(answer.value);
  const ofCluster = { key: 'cluster', resource: 'firewall', name: 'the firewall of the cluster', labels: {} };
  const cluster = judge(of, { ...ofCluster, strength });
  // A node's is on unless it is switched off; while the cluster's is off, which is told once, it does nothing.
  const nodes = await perNode(
    look,
    { schema: FirewallOptions, path: '/firewall/options', what: 'firewall' },
    (options, node) =>
      judge(of, {
        key: `node ${node}`,
        resource: node,
        name: `the firewall of node ${node}`,
        labels: { node },
        strength: options.enable === false ? 0 : 2,
        isShown: strength > 0,
      }),
  );
  const guests = await observeGuestFirewalls(of, strength > 0);
  // What could not be seen now was what it was.
  const kept = Object.entries({ ...of.before, ...of.now }).filter(([, [best]]) => best > 0);
  remember(look.context.memory, 'firewalls', Object.fromEntries(kept.slice(0, maximumRemembered)));
  return {
    observations: [...cluster, ...nodes.observations, ...guests.observations],
    blind: [...nodes.blind, ...guests.blind],
  };
}

function strengthOf({ enable = false, policy_in: policy }: z.output<typeof FirewallOptions>): Strength {
  if (!enable) return 0;
  return policy === 'ACCEPT' ? 1 : 2;
}

async function observeGuestFirewalls(of: FirewallLook, isClusterOn: boolean): Promise<Seen> {
  const { look } = of;
  const online = new Set(onlineNodes(look).map(({ name }) => name));
  const blind: Blind[] = [];
  const asked = look.guests.filter(
    ({ node, vmid }) => online.has(node) && !look.options.firewall.ignore.includes(vmid),
  );
  const found = await fewAtOnce(asked, callsAtOnce, async (guest) => {
    const path = `/nodes/${guest.node}/${guest.type}/${guest.vmid}`;
    const answer = await look.api.get(FirewallOptions, `${path}/firewall/options`);
    if (answer.is !== 'value') {
      blind.push({ resource: `${guest.title} firewall`, reason: answer.reason });
      return [];
    }
    const strength = strengthOf(answer.value);
    const said = { resource: guest.title, labels: guest.labels, name: `the firewall of ${called(guest)}` };
    const weakened = judge(of, { ...said, key: `guest ${guest.vmid}`, strength, isShown: strength > 0 });
    if (strength === 0) return weakened;
    const networks = await look.api.get(GuestNetworks, `${path}/config`);
    if (networks.is === 'value') return [...weakened, effectOf(guest, { networks: networks.value, isClusterOn })];
    blind.push({ resource: `${guest.title} networks`, reason: networks.reason });
    return weakened;
  });
  return { observations: found.flat(), blind };
}

interface Firewall {
  key: string;
  resource: string;
  name: string;
  labels: Record<string, string>;
  strength: Strength;
  /** Whether it is worth a word while it is as it was. */
  isShown?: boolean;
}

function judge({ look, before, now }: FirewallLook, firewall: Firewall): Observation[] {
  const { key, resource, name, labels, strength } = firewall;
  const [best, at] = before[key] ?? [0, 0];
  const isWeaker = strength < best && look.now - at < acceptedMs;
  // By the hour, so that a look of each minute is not stored each minute.
  now[key] = isWeaker ? [best, at] : [strength, Math.floor(look.now / hourMs) * hourMs];
  const isMissed = strength === 0 && look.options.firewall.required;
  const isWell = !isWeaker && !isMissed;
  if (isWell && firewall.isShown === false) return [];
  const missed = isMissed ? ', and has to be on' : '';
  const was = isWeaker ? `, it was ${words[best]}` : missed;
  const summary = `${name} is ${words[strength]}${was}`;
  const said = { condition: 'firewall-weakened', resource, severity: 'warning', holdMs: 0 } as const;
  return [state({ ...said, labels, summary, ok: isWell })];
}

function effectOf(
  guest: Guest,
  { networks, isClusterOn }: { networks: z.output<typeof GuestNetworks>; isClusterOn: boolean },
): Observation {
  const open = networks.filter(({ isUp, isFiltered }) => isUp && !isFiltered).map(({ name }) => name);
  const gap = open.length > 0 ? `not for ${open.slice(0, 8).join(', ')}: "firewall=1" is missing there` : undefined;
  const why = isClusterOn ? gap : 'does nothing: the firewall of the cluster is off';
  const name = `the firewall of ${called(guest)} is on`;
  return state({
    condition: 'firewall-without-effect',
    resource: guest.title,
    labels: guest.labels,
    summary: why === undefined ? `${name} for all of its networks` : `${name} and ${why}`,
    ok: why === undefined,
    severity: 'warning',
    holdMs: 0,
  });
}
