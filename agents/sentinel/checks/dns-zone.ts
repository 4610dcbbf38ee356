import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { askDns, type DnsEnd } from '#agents/sentinel/probes/dns.ts';
import { resolverJournal } from '#agents/sentinel/probes/dns-journal.ts';
import { answerLines, ownSoa, plainValue, rcodeText, valuesOf } from '#agents/sentinel/probes/dns-record.ts';
import { DomainName } from '#agents/sentinel/probes/domain-name.ts';
import { type Endpoint, endpointOption, endpointText, parseEndpoint } from '#agents/sentinel/probes/endpoint.ts';
import { spans } from '#agents/sentinel/probes/levels-option.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { observeLag, observeSerial } from '#agents/sentinel/probes/zone-serial.ts';
import { evidenceOf, resourceName } from '#agents/sentinel/probes/text.ts';
import { observeTransfers, TransferKey } from '#agents/sentinel/probes/zone-transfer.ts';

const Options = z
  .strictObject({
    zone: DomainName.describe('The zone.'),
    primary: endpointOption().describe('Server that the others follow, with its port where that is not 53.'),
    secondaries: z.array(endpointOption()).max(8).default([]).describe('Servers that follow the primary.'),
    serials: z
      .boolean()
      .default(true)
      .describe('Off: only `names` and transfers are looked at, where another check looks at the zone itself.'),
    names: z
      .array(DomainName)
      .max(10)
      .default([])
      .describe('Names of the zone for which all servers must give the same addresses.'),
    lag: spans({ warning: '60s', critical: '15m' })
      .prefault({})
      .describe('How long a secondary may be behind the primary.'),
    transfersTo: z
      .array(endpointOption())
      .max(8)
      .default([])
      .describe('Servers that must let this machine transfer the zone (AXFR), with `transferKey` where that is given.'),
    transferKey: TransferKey.optional().describe('Key with which `transfersTo` asks (TSIG).'),
    transfersRefusedBy: z
      .array(endpointOption())
      .max(8)
      .default([])
      .describe('Servers that must not let this machine transfer the zone when it asks without a key.'),
    giveUpAfter: durationOr('3s').describe(
      'A server that does not answer for so long is down. Shorter than `timeout`.',
    ),
  })
  .refine(({ transferKey, transfersTo }) => transferKey === undefined || transfersTo.length > 0, {
    path: ['transfersTo'],
    error: 'must name servers where transferKey is given: only these are asked with it',
  });
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'dns-zone',
  about:
    'Whether the servers of a zone serve it, agree on its serial and its answers, and transfer it only to whom they should.',
  options: Options,
  reach: 'network',
  resourceOf: ({ zone }) => resourceName(zone),
  observe,
  evidence: { about: 'the SOA of every server and the journal of the name server', gather },
});

interface Server {
  name: string;
  endpoint: Endpoint;
}

function serverAt(text: string): Server {
  const endpoint = parseEndpoint(text, 53) ?? { address: text, port: 53 };
  return { name: endpointText(endpoint), endpoint };
}

/** The same server in two lists is one. */
function uniqueServers(texts: readonly string[]): Server[] {
  return [...new Map(texts.map(serverAt).map((server) => [server.name, server])).values()];
}

interface Question {
  server: Server;
  name: string;
  type: 'SOA' | 'A';
}

function ask(question: Question, options: Options, context: CheckContext): Promise<DnsEnd> {
  return askDns(
    {
      server: question.server.endpoint,
      transport: 'udp',
      name: question.name,
      type: question.type,
      recursion: false,
      giveUpAfterMs: options.giveUpAfter,
    },
    context,
  );
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const [primary = serverAt(options.primary), ...secondaries] = uniqueServers([
    options.primary,
    ...options.secondaries,
  ]);
  // The primary first: what changes between two questions then makes a secondary look ahead for a moment, never behind.
  const first = await ask({ server: primary, name: options.zone, type: 'SOA' }, options, context);
  const [others, transfers] = await Promise.all([
    Promise.all(secondaries.map((server) => ask({ server, name: options.zone, type: 'SOA' }, options, context))),
    observeTransfers(wishesOf(options), context),
  ]);
  const ends = [first, ...others];
  const servers = [primary, ...secondaries];
  const soas = servers.map((server, index) => served(server, ends[index], options.zone));
  const serials = soas.map(({ serial }) => serial);
  const serving = servers.filter((_, index) => serials[index] !== undefined);
  const lag = {
    zone: options.zone,
    primary: serials[0],
    secondaries: secondaries.map(({ name }, index) => ({ name, serial: serials[index + 1] })),
    warningMs: options.lag.warning,
    criticalMs: options.lag.critical,
  };
  const found = [
    ...(options.serials ? [...soas.map(({ observation }) => observation), ...observeLag(lag, context)] : []),
    ...(await observeNames(serving, options, context)),
    ...transfers,
  ];
  if (found.length > 0) return found;
  const silent =
    serving.length < 2 && options.names.length > 0
      ? 'fewer than two servers answer for it'
      : 'no names or transfers are given';
  return [unseen({ condition: 'zone-answers-differ', resource: options.zone, labels: { zone: options.zone } }, silent)];
}

function wishesOf(options: Options): Parameters<typeof observeTransfers>[0] {
  return {
    zone: options.zone,
    allowed: uniqueServers(options.transfersTo),
    refused: uniqueServers(options.transfersRefusedBy),
    key: options.transferKey,
    giveUpAfterMs: options.giveUpAfter,
  };
}

interface Served {
  observation: Observation;
  serial?: number;
}

/** A server that is silent and one that does not have the zone are the same to whoever asks: critical. */
function served(server: Server, end: DnsEnd | undefined, zone: string): Served {
  const said = {
    condition: 'zone-not-served',
    resource: `${zone} @${server.name}`,
    labels: { zone, server: server.name },
  };
  const not = (reason: string): Served => ({
    observation: state({
      ...said,
      summary: `${server.name} does not serve ${zone}: ${reason}`,
      ok: false,
      severity: 'critical',
    }),
  });
  if (end === undefined || end.is === 'unable' || end.is === 'unreadable') {
    return { observation: unseen(said, end?.reason ?? '') };
  }
  if (end.is === 'silent') return not(end.reason);
  const soa = ownSoa(end.message, zone);
  if (typeof soa === 'string') return not(soa);
  const serial = soa.serial ?? 0;
  return { observation: observeSerial(said, { server: server.name, zone, serial }), serial };
}

async function observeNames(
  servers: readonly Server[],
  options: Options,
  context: CheckContext,
): Promise<Observation[]> {
  if (servers.length < 2) return [];
  return Promise.all(
    options.names.map(async (name) => {
      const ends = await Promise.all(servers.map((server) => ask({ server, name, type: 'A' }, options, context)));
      const answers = ends.map(addressesText);
      const [first] = answers;
      const isSame = answers.every((answer) => answer === first);
      const said = servers.map((server, index) => `${server.name} ${answers[index] ?? ''}`).join('; ');
      const observation = { condition: 'zone-answers-differ', resource: name, labels: { zone: options.zone, name } };
      const missed = ends.find((end) => end.is !== 'answered');
      if (missed !== undefined) return unseen(observation, missed.reason);
      return state({
        ...observation,
        summary: isSame ? `all servers give ${first} for ${name}` : `servers differ on ${name}: ${said}`,
        ok: isSame,
        severity: 'warning',
      });
    }),
  );
}

function addressesText(end: DnsEnd): string {
  if (end.is !== 'answered') return 'no answer';
  if (end.message.rcode !== 'NOERROR') return rcodeText(end.message.rcode);
  const values = valuesOf(end.message, 'A').map(plainValue).toSorted();
  return values.length === 0 ? 'no address' : values.slice(0, 8).join(', ');
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const servers = uniqueServers([options.primary, ...options.secondaries]);
  const lines = await Promise.all(
    servers.map(async (server) => {
      const end = await ask({ server, name: options.zone, type: 'SOA' }, options, context);
      return answerLines(end).map((line) => `${server.name}: ${line}`);
    }),
  );
  return [...evidenceOf('state', `SOA of ${options.zone}`, lines.flat()), ...(await resolverJournal(context))];
}
