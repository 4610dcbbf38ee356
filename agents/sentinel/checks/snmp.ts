import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr } from '#config/duration.ts';
import { SecretRef } from '#config/schema.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { secretOf } from '#agents/sentinel/probes/api.ts';
import { type Endpoint, endpointText } from '#agents/sentinel/probes/endpoint.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import {
  askSnmp,
  authProtocols,
  numberIn,
  privacyProtocols,
  type SnmpEnd,
  type SnmpLogin,
  type SnmpReader,
  type SnmpValue,
  textIn,
} from '#agents/sentinel/probes/snmp.ts';
import {
  interfaceLines,
  type NetworkInterface,
  observeInterfaces,
  readInterfaces,
} from '#agents/sentinel/probes/snmp-interfaces.ts';
import { observePfsense, pfsenseOids } from '#agents/sentinel/probes/snmp-pfsense.ts';
import { observeValues, ValueWish } from '#agents/sentinel/probes/snmp-values.ts';
import { evidenceOf, resourceName } from '#agents/sentinel/probes/text.ts';
import { restartedSince } from '#agents/sentinel/probes/uptime-drop.ts';

const Options = z.strictObject({
  address: z.string().min(1).max(255).describe('Name or address of the device.'),
  port: z.number().int().min(1).max(65_535).default(161).describe('UDP port.'),
  community: SecretRef.optional().describe('Community of SNMP v2c. It crosses the network in clear: prefer a user.'),
  user: z.string().min(1).max(64).optional().describe('User of SNMP v3, instead of a community.'),
  authProtocol: z.enum(authProtocols).default('sha').describe('How the user proves itself (v3).'),
  authPassword: SecretRef.optional().describe('Password with which the user proves itself (v3), 8 characters or more.'),
  privacyProtocol: z.enum(privacyProtocols).default('aes').describe('How the answers are encrypted (v3).'),
  privacyPassword: SecretRef.optional().describe('Password for the encryption (v3), 8 characters or more.'),
  profile: z
    .enum(['generic', 'pfsense'])
    .default('generic')
    .describe('`pfsense`: its packet filter is looked at as well.'),
  interfaces: z
    .strictObject({
      names: z
        .array(z.string().min(1).max(255))
        .max(100)
        .default(['*'])
        .describe('Interfaces; `*` stands for any text.'),
      ignore: z.array(z.string().min(1).max(255)).max(100).default([]).describe('Interfaces to leave out.'),
      expectUp: z
        .enum(['once-up', 'always'])
        .default('once-up')
        .describe('`once-up`: missed when it was up before; `always`: missed whenever it is switched on and down.'),
      errorsPerSecond: z.number().positive().default(1).describe('Errors a second at which a warning begins.'),
    })
    .optional()
    .describe('Looks at the network interfaces as well.'),
  values: z.array(ValueWish).max(100).default([]).describe('Single objects and what they should be.'),
  giveUpAfter: durationOr('6s').describe('No answer for so long counts as silence. Shorter than `timeout`.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'snmp',
  about:
    'A device by SNMP v2c or v3: that it answers, restarts, interfaces, single values, the packet filter of a pfSense.',
  options: Options,
  reach: 'network',
  resourceOf: endpointOf,
  observe,
  evidence: { about: 'what the device says it is, its interfaces and the values asked for', gather },
});

function serverOf({ address, port }: Options): Endpoint {
  return { address, port };
}

function endpointOf(options: Options): string {
  return resourceName(endpointText(serverOf(options)));
}

/** The names of MIB-2, RFC 3418, and of HOST-RESOURCES-MIB, RFC 2790. */
const sysDescr = '1.3.6.1.2.1.1.1.0';
const sysUpTime = '1.3.6.1.2.1.1.3.0';
const sysName = '1.3.6.1.2.1.1.5.0';
const hrSystemUptime = '1.3.6.1.2.1.25.1.1.0';
/** Hundredths of a second in 32 bits. */
const wrapsAtMs = 0x1_0000_0000 * 10;

interface Seen {
  values: ReadonlyMap<string, SnmpValue>;
  interfaces: NetworkInterface[] | undefined;
}

async function read(options: Options, reader: SnmpReader): Promise<Seen> {
  const oids = [
    sysDescr,
    sysUpTime,
    sysName,
    hrSystemUptime,
    ...(options.profile === 'pfsense' ? pfsenseOids : []),
    ...options.values.map(({ oid }) => oid),
  ];
  const values = await reader.get([...new Set(oids)]);
  return { values, interfaces: options.interfaces === undefined ? undefined : await readInterfaces(reader) };
}

async function ask(options: Options, context: CheckContext): Promise<SnmpEnd<Seen>> {
  const login = loginOf(options, context);
  if (!login.ok) return { is: 'unable', reason: login.reason };
  const of = { server: serverOf(options), login: login.value, giveUpAfterMs: options.giveUpAfter };
  return askSnmp(of, context, (reader) => read(options, reader));
}

type Login = { ok: true; value: SnmpLogin } | { ok: false; reason: string };

function loginOf(options: Options, context: CheckContext): Login {
  if (options.user !== undefined) return userLogin(options.user, options, context);
  if (options.community === undefined) {
    return { ok: false, reason: 'it has neither a community nor a user to ask with' };
  }
  const secret = secretOf(options.community, context);
  return secret.ok ? { ok: true, value: { version: '2c', community: secret.value } } : secret;
}

function userLogin(user: string, options: Options, context: CheckContext): Login {
  if (options.authPassword === undefined) {
    if (options.privacyPassword === undefined) return { ok: true, value: { version: '3', user } };
    return { ok: false, reason: 'encryption needs an authPassword too' };
  }
  const password = secretOf(options.authPassword, context);
  if (!password.ok) return password;
  const auth = { protocol: options.authProtocol, password: password.value };
  if (options.privacyPassword === undefined) return { ok: true, value: { version: '3', user, auth } };
  const privacy = secretOf(options.privacyPassword, context);
  if (!privacy.ok) return privacy;
  return {
    ok: true,
    value: { version: '3', user, auth, privacy: { protocol: options.privacyProtocol, password: privacy.value } },
  };
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const resource = endpointOf(options);
  const silent = { condition: 'snmp-down', resource, hidesRest: true };
  const end = await ask(options, context);
  switch (end.is) {
    case 'unable':
    case 'refused':
      return [unseen(silent, end.reason)];
    case 'silent':
      // A community that is wrong is met with silence as well, so only one that worked before tells of a problem.
      if (context.memory.get('answered') !== true) {
        return [unseen(silent, `${end.reason}: it is down, or the community or the address is not right`)];
      }
      return [
        state({ ...silent, summary: `${resource} no longer answers: ${end.reason}`, ok: false, severity: 'critical' }),
      ];
    case 'done':
      remember(context.memory, 'answered', true);
      return judge(end.value, options, context);
  }
}

function judge({ values, interfaces }: Seen, options: Options, context: CheckContext): Observation[] {
  const resource = endpointOf(options);
  const name = textIn(values, sysName);
  return [
    state({
      condition: 'snmp-down',
      resource,
      summary: `${resource} answers${name === undefined || name === '' ? '' : ` as ${name}`}`,
      ok: true,
      severity: 'critical',
    }),
    ...observeUptime(values, { resource, context }),
    ...(options.profile === 'pfsense' ? observePfsense(values, context) : []),
    ...observeValues(values, options.values, context),
    ...(options.interfaces === undefined || interfaces === undefined
      ? []
      : observeInterfaces(interfaces, options.interfaces, context)),
  ];
}

/** sysUpTime is the agent's own on many devices: the machine's is taken where it is told. */
function observeUptime(
  values: ReadonlyMap<string, SnmpValue>,
  of: { resource: string; context: CheckContext },
): Observation[] {
  const machine = numberIn(values, hrSystemUptime);
  const ticks = machine ?? numberIn(values, sysUpTime);
  if (ticks === undefined) return [];
  const key = machine === undefined ? 'agent-uptime' : 'uptime';
  const restarted = restartedSince({ key, uptimeMs: ticks * 10, wrapsAtMs }, of.context);
  const what = machine === undefined ? 'its SNMP agent' : 'it';
  return [
    state({
      condition: 'device-restarted',
      resource: of.resource,
      summary: restarted ? `${of.resource}: ${what} was started again` : `${of.resource}: ${what} has run on`,
      ok: !restarted,
      severity: 'info',
      holdMs: 0,
    }),
  ];
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const end = await ask({ ...options, interfaces: options.interfaces ?? { ...allInterfaces } }, context);
  if (end.is !== 'done') return evidenceOf('state', `SNMP of ${endpointOf(options)}`, [end.reason]);
  const { values, interfaces = [] } = end.value;
  const lines = [...values].map(
    ([oid, value]) => `${oid} = ${value.is === 'absent' ? '(no such object)' : value.value}`,
  );
  return [
    ...evidenceOf('values', `SNMP of ${endpointOf(options)}`, lines),
    ...evidenceOf('state', 'Interfaces', interfaceLines(interfaces)),
  ];
}

const allInterfaces = { names: ['*'], ignore: [], expectUp: 'once-up', errorsPerSecond: 1 } as const satisfies {
  names: string[];
  ignore: string[];
  expectUp: string;
  errorsPerSecond: number;
};
