import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { readAuthorities } from '#agents/sentinel/probes/authority.ts';
import { askDns, type DnsEnd, type DnsMessage, type DnsQuestion } from '#agents/sentinel/probes/dns.ts';
import { answerLines, isBlocked, plainValue, rcodeText, valuesOf } from '#agents/sentinel/probes/dns-record.ts';
import { resolverJournal } from '#agents/sentinel/probes/dns-journal.ts';
import { DomainName } from '#agents/sentinel/probes/domain-name.ts';
import { endpointOption, endpointText, parseEndpoint } from '#agents/sentinel/probes/endpoint.ts';
import { chainLines, judgePeer } from '#agents/sentinel/probes/peer-shown.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf, resourceName } from '#agents/sentinel/probes/text.ts';

const recordTypes = ['A', 'AAAA', 'CAA', 'CNAME', 'MX', 'NS', 'PTR', 'SOA', 'SRV', 'TXT'] as const;
const Value = z.string().min(1).max(300);

const Options = z.strictObject({
  server: endpointOption().describe('Server that is asked, with its port where that is not 53 (853 over TLS).'),
  name: DomainName.describe('Name to ask for.'),
  type: z.enum(recordTypes).default('A').describe('Type of record to ask for.'),
  transport: z
    .enum(['udp', 'tcp', 'tls'])
    .default('udp')
    .describe(
      '`udp` asks again over TCP when the answer is cut short; `tls` is DNS over TLS and looks at its certificate.',
    ),
  tlsName: z.string().min(1).max(255).optional().describe('Name that the certificate is for. Default: the server.'),
  caFile: z.string().max(1_000).optional().describe('Certificates (PEM) to trust beside the usual authorities.'),
  recursion: z.boolean().default(true).describe('Whether the server may ask others. Off for one that serves a zone.'),
  values: z.array(Value).max(50).optional().describe('The answer must be exactly these values, in any order.'),
  contains: z.array(Value).max(50).default([]).describe('Values that must be among the answer.'),
  atLeast: z.number().int().min(1).max(100).default(1).describe('How many records the answer must have.'),
  missing: z.boolean().default(false).describe('The name must not exist: NXDOMAIN.'),
  blocked: z
    .boolean()
    .optional()
    .describe(
      'Canary of a blocklist: true for a name that must be blocked (no such name, no record or an address that leads nowhere), false for one that must not. Choose a name that exists.',
    ),
  sinkholes: z.array(Value).max(20).default([]).describe('Addresses that the blocklist gives beside 0.0.0.0 and ::.'),
  dnssec: z.boolean().default(false).describe('The server must say that it validated the answer (AD).'),
  slowAfter: durationOr('1s').describe('An answer that takes longer is a warning.'),
  giveUpAfter: durationOr('4s').describe('No answer for so long means down. Shorter than `timeout`.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'dns',
  about:
    'Whether a DNS server answers a question as it should: records, absence, blocklist, DNSSEC, time, DNS over TLS.',
  options: Options,
  reach: 'network',
  resourceOf: questionText,
  observe,
  evidence: { about: 'the answer in full, the certificates and the journal of the name server', gather },
});

function serverOf(options: Options) {
  const port = options.transport === 'tls' ? 853 : 53;
  return parseEndpoint(options.server, port) ?? { address: options.server, port };
}

function questionText(options: Options): string {
  return resourceName(`${options.name} ${options.type} @${endpointText(serverOf(options))}`);
}

type Asked = { ok: true; end: DnsEnd } | { ok: false; reason: string };

async function ask(options: Options, context: CheckContext): Promise<Asked> {
  const server = serverOf(options);
  const authorities = options.caFile === undefined ? undefined : readAuthorities(options.caFile, context.baseFolder);
  if (authorities?.ok === false) return authorities;
  const question: DnsQuestion = {
    server,
    transport: options.transport,
    tls: { name: options.tlsName ?? server.address, ...(authorities !== undefined && { ca: authorities.ca }) },
    name: options.name,
    type: options.type,
    recursion: options.recursion,
    giveUpAfterMs: options.giveUpAfter,
  };
  return { ok: true, end: await askDns(question, context) };
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const server = endpointText(serverOf(options));
  const down = { condition: 'dns-down', resource: server, labels: { server }, hidesRest: true };
  const asked = await ask(options, context);
  if (!asked.ok) return [unseen(down, asked.reason)];
  const { end } = asked;
  switch (end.is) {
    case 'unable':
    case 'unreadable':
      return [unseen(down, end.reason)];
    case 'silent':
      return [state({ ...down, summary: `${server} does not answer: ${end.reason}`, ok: false, severity: 'critical' })];
    case 'answered': {
      const shown = end.certificate;
      const tls = {
        resource: server,
        hostname: options.tlsName ?? serverOf(options).address,
        now: context.clock.now(),
      };
      return [
        state({ ...down, summary: `${server} answers`, ok: true, severity: 'critical' }),
        ...judge(options, end),
        ...(shown === undefined ? [] : judgePeer(shown, { ...tls, memory: context.memory })),
      ];
    }
  }
}

function judge(options: Options, end: Extract<DnsEnd, { is: 'answered' }>): Observation[] {
  const resource = questionText(options);
  const server = endpointText(serverOf(options));
  const labels = { server, name: options.name };
  const fault = faultOf(options, end.message);
  const found = foundText(options, end.message);
  const isCanary = options.blocked !== undefined;
  return [
    state({
      condition: isCanary ? 'blocklist-wrong' : 'dns-wrong',
      resource,
      labels,
      summary: fault === undefined ? `${server}: ${options.name} ${found}` : `${server}: ${options.name} ${fault}`,
      ok: fault === undefined,
      severity: isCanary ? 'warning' : 'critical',
    }),
    ...(options.dnssec && fault === undefined
      ? [
          state({
            condition: 'dnssec-unverified',
            resource,
            labels,
            summary: `${server} ${end.message.flag_ad ? 'validated' : 'did not validate'} the answer for ${options.name}`,
            ok: end.message.flag_ad,
            severity: 'warning',
          }),
        ]
      : []),
    level({
      condition: 'dns-slow',
      resource,
      labels,
      summary: `${server} answered for ${options.name} in ${end.ms} ms`,
      value: end.ms,
      unit: 'ms',
      bad: 'above',
      warning: options.slowAfter,
    }),
  ];
}

function foundText(options: Options, message: DnsMessage): string {
  if (message.rcode !== 'NOERROR') return `gives ${rcodeText(message.rcode)}`;
  const values = valuesOf(message, options.type);
  if (values.length === 0) return `has no ${options.type} record`;
  const shown = values.slice(0, 3).join(', ');
  return `is ${shown}${values.length > 3 ? ` and ${values.length - 3} more` : ''}`;
}

/** What is wrong with an answer, or undefined. A server that could not find out (SERVFAIL) proves nothing about a name. */
function faultOf(options: Options, message: DnsMessage): string | undefined {
  const found = foundText(options, message);
  if (message.rcode !== 'NOERROR' && message.rcode !== 'NXDOMAIN') return found;
  if (options.blocked !== undefined) {
    const isNow = isBlocked(message, options);
    if (isNow === options.blocked) return undefined;
    return isNow ? `is blocked and must not be: it ${found}` : `is not blocked: it ${found}`;
  }
  if (options.missing) return message.rcode === 'NXDOMAIN' ? undefined : `must not exist, and ${found}`;
  if (message.rcode === 'NXDOMAIN') return found;
  return valueFault(options, valuesOf(message, options.type));
}

function valueFault(options: Options, values: readonly string[]): string | undefined {
  const normal = options.type === 'TXT' ? (text: string) => text : plainValue;
  const found = values.length === 0 ? 'nothing' : values.slice(0, 3).join(', ');
  const has = new Set(values.map(normal));
  if (options.values !== undefined) {
    const wanted = new Set(options.values.map(normal));
    if (wanted.symmetricDifference(has).size > 0) {
      return `is ${found}, not ${options.values.slice(0, 3).join(', ') || 'nothing'}`;
    }
    return undefined;
  }
  const absent = options.contains.filter((value) => !has.has(normal(value)));
  if (absent.length > 0) return `is ${found}, without ${absent.slice(0, 3).join(', ')}`;
  if (values.length >= options.atLeast) return undefined;
  return `has ${counted(values.length, `${options.type} record`)}, fewer than ${options.atLeast}`;
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const asked = await ask(options, context);
  const shown = asked.ok ? answerLines(asked.end) : [asked.reason];
  return [
    ...evidenceOf('state', `Answer to ${questionText(options)}`, shown),
    ...evidenceOf('state', 'Certificates shown', chainLines(context.memory)),
    ...(await resolverJournal(context)),
  ];
}
