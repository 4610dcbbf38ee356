import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { matchesInTime } from '#config/bounded-pattern.ts';
import { durationOr } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { resolveAddresses } from '#agents/sentinel/probes/addresses.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { lookNearby } from '#agents/sentinel/probes/nearby.ts';
import { patternOption } from '#agents/sentinel/probes/pattern.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember, rememberedTexts } from '#agents/sentinel/probes/remembered.ts';
import { greet, type Greeting, keyFamilies } from '#agents/sentinel/probes/ssh-greeting.ts';
import { askLoginMethods, type LoginMethods } from '#agents/sentinel/probes/ssh-methods.ts';
import type { Offers } from '#agents/sentinel/probes/ssh-wire.ts';
import { evidenceOf, oneLine, resourceName } from '#agents/sentinel/probes/text.ts';

/** Broken or retired: RFC 8758, RFC 9142, OpenSSH's release notes of 7.0, 8.2 and 8.8. */
const retired = [
  'ssh-dss',
  'ssh-rsa',
  'diffie-hellman-group1-sha1',
  'diffie-hellman-group-exchange-sha1',
  'diffie-hellman-group14-sha1',
  '3des-cbc',
  'blowfish-cbc',
  'cast128-cbc',
  'arcfour*',
  'hmac-md5*',
];

const Options = z.strictObject({
  address: z.string().min(1).max(255).describe('Name or address to connect to.'),
  port: z.number().int().min(1).max(65_535).default(22).describe('TCP port.'),
  hostKeys: z
    .array(z.string().regex(/^SHA256:[A-Za-z0-9+/]{43}$/, 'must be like SHA256:...'))
    .max(10)
    .optional()
    .describe(
      'Fingerprints that it may show. Default: those of the host in the inventory; without any, the first seen.',
    ),
  software: patternOption().optional().describe('Regular expression that the software must match, such as ^OpenSSH_9.'),
  refuse: z
    .array(z.string().min(1).max(100))
    .max(100)
    .default(retired)
    .describe('Algorithms that it must not offer; `*` stands for any text.'),
  strictKex: z.boolean().default(true).describe('Whether offering ciphers open to Terrapin (CVE-2023-48795) counts.'),
  refuseLogins: z
    .array(z.string().min(1).max(60))
    .max(10)
    .default([])
    .describe(
      'Methods of login that it must not offer, such as [password, keyboard-interactive]. It is asked for its list four times a day, or at each look while one of them is in it, and logs a connection that left.',
    ),
  loginUser: z
    .string()
    .regex(/^[A-Za-z_][\w.-]{0,63}\$?$/, 'must be the name of a user')
    .default('root')
    .describe('User whose methods are asked for. One that does not exist looks like an attack.'),
  giveUpAfter: durationOr('6s').describe('How long to wait for greeting and host key. Shorter than `timeout`.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'ssh-banner',
  about:
    'Whether an SSH server greets, shows the host key that it should, and offers neither broken algorithms nor unwanted methods of login; nobody logs in.',
  options: Options,
  reach: 'network',
  resourceOf: endpointOf,
  observe,
  evidence: { about: 'the greeting and host key before and now, the addresses, and what else answers there', gather },
});

function endpointOf({ address, port }: Pick<Options, 'address' | 'port'>): string {
  return resourceName(`${address.includes(':') ? `[${address}]` : address}:${port}`);
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const resource = endpointOf(options);
  const asked = { ...options, giveUpAfterMs: options.giveUpAfter };
  const [greeting, logins] = await Promise.all([greet(asked, context), observeLogins(options, context)]);
  const said = { condition: 'ssh-down', resource, hidesRest: true };
  switch (greeting.is) {
    case 'unknown':
      return [unseen(said, greeting.text)];
    case 'silent':
    case 'sick': {
      const words = greeting.is === 'silent' ? 'does not answer' : 'is no SSH server that works';
      return [state({ ...said, summary: `${resource} ${words}: ${greeting.text}`, ok: false, severity: 'critical' })];
    }
    case 'greeted':
      remember(context.memory, 'greeting', greeting.identification);
      return [
        state({
          ...said,
          summary: `${resource} greets with "${oneLine(greeting.identification, 80)}" in ${greeting.ms} ms`,
          ok: true,
          severity: 'critical',
        }),
        await observeHostKey(greeting, options, context),
        ...observeSoftware(greeting.identification, options),
        observeOffers(greeting.offers, options),
        ...logins,
      ];
  }
}

type Greeted = Extract<Greeting, { is: 'greeted' }>;

async function observeHostKey(greeting: Greeted, options: Options, context: CheckContext): Promise<Observation> {
  const resource = endpointOf(options);
  const said = { condition: 'ssh-host-key-changed', resource };
  const { hostKey } = greeting;
  if (hostKey === undefined) return unseen(said, 'it showed no host key that can be read here');
  const pinned = pinsOf(options, context);
  if (pinned.length === 0) remember(context.memory, 'hostKeys', [hostKey.fingerprint]);
  const shown = isKnown(hostKey.fingerprint, pinned)
    ? [hostKey]
    : [hostKey, ...(await otherKeys(greeting, options, context))];
  const good = shown.find(({ fingerprint }) => isKnown(fingerprint, pinned));
  const shownText = shown.map(({ fingerprint }) => fingerprint).join(', ');
  if (good === undefined) {
    const summary = `${resource} shows another host key: ${shownText}, known is ${pinned.join(', ')}`;
    return state({ ...said, summary, ok: false, severity: 'critical' });
  }
  const summary = good.isProven
    ? `${resource} shows its host key ${good.fingerprint}`
    : `${resource} shows the host key ${good.fingerprint} and does not prove that it is its own`;
  return state({ ...said, summary, ok: good.isProven, severity: 'critical' });
}

function isKnown(fingerprint: string, pinned: readonly string[]): boolean {
  return pinned.length === 0 || pinned.includes(fingerprint);
}

function pinsOf({ hostKeys, address }: Options, { host, memory }: CheckContext): readonly string[] {
  if (hostKeys !== undefined && hostKeys.length > 0) return hostKeys;
  // The keys of the inventory are those of the host itself, not of another address that a check of it names.
  const isItself = host !== undefined && (host.config.address ?? host.name) === address;
  const ofHost = isItself ? (host.config.hostKeys ?? []) : [];
  return ofHost.length > 0 ? ofHost : (rememberedTexts(memory, 'hostKeys') ?? []);
}

/** A server has several keys and shows one at a time: the others are asked for before it is told that they changed. */
async function otherKeys(greeting: Greeted, options: Options, context: CheckContext) {
  const offered = keyFamilies.filter((family) => family.some((name) => greeting.offers.hostKeys.includes(name)));
  const found = [];
  for (const family of offered.slice(1)) {
    const again = await greet({ ...options, giveUpAfterMs: options.giveUpAfter }, context, [family]);
    if (again.is === 'greeted' && again.hostKey !== undefined) found.push(again.hostKey);
  }
  return found;
}

function observeSoftware(line: string, options: Options): Observation[] {
  if (options.software === undefined) return [];
  const resource = endpointOf(options);
  const said = { condition: 'ssh-software-unexpected', resource };
  const software = line.replace(/^SSH-[\d.]+-/, '');
  const isWanted = matchesInTime(new RegExp(options.software, 'u'), software);
  if (isWanted === undefined) return [unseen(said, 'its greeting keeps the expression busy too long')];
  const summary = `${resource} runs "${oneLine(software, 80)}"${isWanted ? '' : ', which is not what is expected'}`;
  return [state({ ...said, summary, ok: isWanted, severity: 'warning' })];
}

function observeOffers(offers: Offers, options: Options): Observation {
  const resource = endpointOf(options);
  const all = [...offers.kex, ...offers.hostKeys, ...offers.ciphers, ...offers.macs];
  const weak = [...new Set(all)].filter((name) => matchesAny(name, options.refuse));
  if (options.strictKex && isOpenToTerrapin(offers)) weak.push('no strict key exchange (Terrapin)');
  return state({
    condition: 'ssh-weak-algorithms',
    resource,
    summary:
      weak.length === 0
        ? `${resource} offers ${all.length} algorithms, none of them refused`
        : `${resource} offers what is broken: ${weak.slice(0, 12).join(', ')}`,
    ok: weak.length === 0,
    severity: 'warning',
  });
}

async function observeLogins(options: Options, context: CheckContext): Promise<Observation[]> {
  const { refuseLogins, loginUser: user } = options;
  if (refuseLogins.length === 0) return [];
  const found = rememberedLogins(options, context) ?? (await askLogins(options, context));
  const resource = endpointOf(options);
  const said = { condition: 'ssh-login-unwanted', resource, labels: { user }, severity: 'warning' } as const;
  switch (found.is) {
    case 'unknown':
      return [unseen(said, found.reason)];
    case 'open':
      return [
        state({ ...said, summary: `${resource} lets ${user} in without any proof`, ok: false, severity: 'critical' }),
      ];
    case 'offered': {
      const unwanted = found.methods.filter((method) => refuseLogins.includes(method));
      const offer = `${resource} offers ${user} a login by ${found.methods.join(', ') || 'nothing'}`;
      const summary = unwanted.length === 0 ? offer : `${offer}; ${unwanted.join(', ')} should be off`;
      return [state({ ...said, summary, ok: unwanted.length === 0 })];
    }
  }
}

/** Asking counts as a failed login for fail2ban and CrowdSec, so a good answer is kept for a while. */
const askLoginsEveryMs = 6 * 3_600_000;
const KnownLogins = z.object({ at: z.number(), user: z.string(), methods: z.array(z.string()) });

function rememberedLogins(options: Options, { clock, memory }: CheckContext): LoginMethods | undefined {
  const known = KnownLogins.safeParse(memory.get('logins'));
  if (!known.success || known.data.user !== options.loginUser) return undefined;
  const { at, methods } = known.data;
  const isStale = clock.now() - at >= askLoginsEveryMs || clock.now() < at;
  return isStale || methods.some((method) => options.refuseLogins.includes(method))
    ? undefined
    : { is: 'offered', methods };
}

async function askLogins(options: Options, context: CheckContext): Promise<LoginMethods> {
  const user = options.loginUser;
  const found = await askLoginMethods({ ...options, user, giveUpAfterMs: options.giveUpAfter }, context);
  if (found.is === 'offered')
    remember(context.memory, 'logins', { at: context.clock.now(), user, methods: found.methods });
  return found;
}

function isOpenToTerrapin({ kex, ciphers, macs }: Offers): boolean {
  if (kex.includes('kex-strict-s-v00@openssh.com')) return false;
  const hasCbc = ciphers.some((name) => name.endsWith('-cbc')) && macs.some((name) => name.includes('-etm@'));
  return hasCbc || ciphers.includes('chacha20-poly1305@openssh.com');
}

async function gather(options: Options, context: CheckContext, { condition }: Observation): Promise<Evidence[]> {
  const before = context.memory.get('greeting');
  const known = pinsOf(options, context);
  const [now, addresses, nearby] = await Promise.all([
    greet({ ...options, giveUpAfterMs: 2_500 }, context),
    resolveAddresses(options.address, context.signal),
    condition === 'ssh-down' ? lookNearby(options.address, context, [options.port]) : [],
  ]);
  const difference = [
    typeof before === 'string' ? `last greeting: ${before}` : '',
    known.length > 0 ? `known host keys: ${known.join(', ')}` : '',
    ...(now.is === 'greeted'
      ? [`greeting now: ${now.identification}`, `host key now: ${now.hostKey?.fingerprint ?? 'none'}`]
      : [`now: ${now.text}`]),
  ];
  const offers = now.is === 'greeted' && condition === 'ssh-weak-algorithms' ? offerLines(now.offers) : [];
  return [
    ...evidenceOf('state', 'Before and now', difference),
    ...evidenceOf('state', 'What it offers', offers),
    ...addresses,
    ...nearby,
  ];
}

function offerLines({ kex, hostKeys, ciphers, macs }: Offers): string[] {
  return [
    `key exchange: ${kex.join(', ')}`,
    `host keys: ${hostKeys.join(', ')}`,
    `ciphers: ${ciphers.join(', ')}`,
    `MACs: ${macs.join(', ')}`,
  ];
}
