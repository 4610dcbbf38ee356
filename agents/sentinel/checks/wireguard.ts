import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { asRootHead, isRefused, rootHint, sudoOption, sudoValue } from '#agents/sentinel/probes/as-root.ts';
import { askHost, linesOf, partFailure, scriptHead } from '#agents/sentinel/probes/host-answer.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';
import {
  parsePeers,
  peerObservations,
  rememberPeers,
  shortKey,
  type WireguardPeer,
} from '#agents/sentinel/probes/wireguard.ts';

const all = 'wireguard';
/** Never `dump` and never without a topic: both print private keys. */
const topics = ['latest-handshakes', 'transfer', 'endpoints', 'persistent-keepalive'] as const;
const commands = topics.map((topic) => `/usr/bin/wg show all ${topic}`);

const PublicKey = z.string().regex(/^[A-Za-z0-9+/]{43}=$/, 'must be a public key as "wg show" prints it');

const Options = z.strictObject({
  interfaces: z
    .array(z.string().regex(/^[A-Za-z0-9_.=+-]{1,15}$/, 'must be the name of an interface'))
    .max(20)
    .default([])
    .describe('Interfaces that have to be up, such as wg0.'),
  peers: z
    .array(
      z.strictObject({
        key: PublicKey.describe('Public key of the peer.'),
        name: z.string().min(1).max(60).describe('Your name for it.'),
        always: z.boolean().default(true).describe('Whether it is connected all the time; a telephone is not.'),
      }),
    )
    .max(200)
    .default([])
    .describe('Peers by name. Others are judged where their keepalive is set.'),
  handshake: z
    .strictObject({
      warning: durationOr('3m').describe('Age where a warning begins: with traffic it is below 150 seconds.'),
      critical: durationOr('10m').describe('Age where it is critical.'),
    })
    .prefault({})
    .describe('Age of the last handshake of a peer that is always connected.'),
  endpoints: z
    .boolean()
    .default(false)
    .describe('Whether a peer that is always connected and comes from another address is told, for an hour.'),
  sudo: sudoOption(commands),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'wireguard',
  about: 'WireGuard: interfaces that are missing, peers without a handshake, tunnels that send and receive nothing.',
  options: Options,
  reach: 'host',
  resourceOf: () => all,
  observe,
  evidence: { about: 'the endpoints of the peer, the route to it, the state of the unit of the interface', gather },
});

const script = String.raw`${scriptHead}${asRootHead}
part interfaces wg show interfaces
${topics.map((topic) => `part ${topic} as_root wg show all ${topic}`).join('\n')}
part time date +%s
`;

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const answer = await askHost(context, { script, values: [sudoValue(options.sudo)] });
  if (!answer.ok) return [blind(answer.reason)];
  const { sections } = answer;
  const listed = sections.get('interfaces');
  if (listed === undefined || listed.code !== 0) {
    return [blind(listed?.code === 127 ? '"wg" is not installed' : partFailure(listed, '"wg show interfaces"'))];
  }
  const interfaces = linesOf(sections, 'interfaces').flatMap((line) => line.trim().split(/\s+/));
  const found = interfaceObservations(options, interfaces);
  if (interfaces.length === 0) return [...found, summary(0, [])];
  const refused = topics.map((topic) => sections.get(topic)).find((section) => section?.code !== 0);
  if (refused !== undefined) {
    const why = isRefused(refused.text) ? rootHint('the peers') : partFailure(refused, '"wg show"');
    return [...found, blind(why)];
  }
  const peers = parsePeers({
    handshakes: linesOf(sections, 'latest-handshakes'),
    transfer: linesOf(sections, 'transfer'),
    endpoints: linesOf(sections, 'endpoints'),
    keepalive: linesOf(sections, 'persistent-keepalive'),
  });
  // By the clock of the host: it is the one that stamped the handshakes.
  const now = Number(linesOf(sections, 'time')[0]) * 1_000;
  if (!Number.isFinite(now)) return [...found, blind('the host did not tell its time')];
  const before = rememberPeers(context.memory, peers, now);
  return [
    ...found,
    summary(interfaces.length, peers),
    ...peers.flatMap((peer) => peerObservations(peer, { options, now, before: before.get(peer.key) })),
    ...unknownPeers(options, peers),
  ];
}

function blind(reason: string): Observation {
  return unseen({ condition: 'wireguard-peer-silent', resource: all }, reason);
}

function summary(interfaces: number, peers: readonly WireguardPeer[]): Observation {
  return state({
    condition: 'wireguard-interface-missing',
    resource: all,
    summary: `looked at ${counted(interfaces, 'interface')} with ${counted(peers.length, 'peer')}`,
    ok: true,
    severity: 'critical',
  });
}

function interfaceObservations(options: Options, interfaces: readonly string[]): Observation[] {
  return [...new Set(options.interfaces)].map((name) =>
    state({
      condition: 'wireguard-interface-missing',
      resource: name,
      labels: { interface: name, unit: `wg-quick@${name}.service` },
      summary: `interface ${name} is ${interfaces.includes(name) ? 'there' : 'not there'}`,
      ok: interfaces.includes(name),
      severity: 'critical',
    }),
  );
}

/** A key that no interface has is misspelt or was taken out of the configuration. */
function unknownPeers(options: Options, peers: readonly WireguardPeer[]): Observation[] {
  const known = new Set(peers.map(({ key }) => key));
  return options.peers
    .filter(({ key }) => !known.has(key))
    .map(({ key, name }) =>
      state({
        condition: 'wireguard-peer-missing',
        resource: `${name} (${shortKey(key)})`,
        labels: { peer: name },
        summary: `no interface has the peer ${name}`,
        ok: false,
        severity: 'critical',
      }),
    );
}

const evidenceScript = String.raw`${scriptHead}${asRootHead}
unit() { limit 3 systemctl show --no-pager -p ActiveState,SubState,Result,StateChangeTimestamp -- "wg-quick@$1.service"; }
part endpoints as_root wg show all endpoints
if [ -n "$1" ]; then part unit unit "$1"; part link limit 2 ip -s link show dev "$1"; fi
`;

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const name = observation.labels?.['interface'] ?? '';
  const answer = await askHost(context, {
    script: evidenceScript,
    values: [sudoValue(options.sudo), /^[A-Za-z0-9_.=+][A-Za-z0-9_.=+-]{0,14}$/.test(name) ? name : ''],
    timeoutMs: 5_000,
  });
  if (!answer.ok) return [];
  const endpoints = linesOf(answer.sections, 'endpoints').map((line) =>
    line.replaceAll(/[A-Za-z0-9+/]{43}=/g, (key) => shortKey(key)),
  );
  return [
    ...evidenceOf('state', `Unit wg-quick@${name}`, linesOf(answer.sections, 'unit')),
    ...evidenceOf('state', `Link ${name}`, linesOf(answer.sections, 'link')),
    ...evidenceOf('state', 'Endpoints', endpoints),
  ];
}
