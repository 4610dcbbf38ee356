import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { resolveAddresses } from '#agents/sentinel/probes/addresses.ts';
import { readAuthorities } from '#agents/sentinel/probes/authority.ts';
import {
  type Certificate,
  certificateText,
  chainOf,
  distrust,
  observeLifetime,
  rememberedChain,
} from '#agents/sentinel/probes/certificate.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { starttlsProtocols } from '#agents/sentinel/probes/starttls.ts';
import { evidenceOf, resourceName } from '#agents/sentinel/probes/text.ts';
import { type Handshake, shakeHands } from '#agents/sentinel/probes/tls-handshake.ts';

const Options = z.strictObject({
  address: z.string().min(1).max(255).describe('Name or address to connect to.'),
  port: z.number().int().min(1).max(65_535).default(443).describe('Port that speaks TLS.'),
  starttls: z
    .enum(starttlsProtocols)
    .optional()
    .describe('Protocol that begins in plain text and changes to TLS. Absent: TLS from the first byte.'),
  tlsName: z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe('Name that the certificate is for. Default: the address. Needed to look behind a proxy.'),
  caFile: z.string().max(1_000).optional().describe('Certificates (PEM) to trust beside the usual authorities.'),
  certificateFingerprint: z
    .string()
    .regex(/^(?:[0-9A-Fa-f]{2}:?){32}$/, 'must be a SHA-256 fingerprint: 64 hex digits')
    .optional()
    .describe('SHA-256 of the one certificate to trust, self-signed or not; then neither name nor issuer matter.'),
  giveUpAfter: durationOr('8s').describe('How long to wait for the handshake. Shorter than `timeout`.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'tls-expiry',
  about: 'When a TLS certificate or one of its chain ends, and whether a client would trust it.',
  options: Options,
  reach: 'network',
  resourceOf: endpointOf,
  observe,
  evidence: { about: 'the certificates that were shown, what is shown now, and the addresses of the name', gather },
});

function endpointOf(options: Options): string {
  const name = options.tlsName ?? options.address;
  const shown = name.includes(':') ? `[${name}]` : name;
  const at = options.tlsName === undefined ? '' : ` at ${options.address}`;
  return resourceName(`${shown}:${options.port}${at}`);
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const resource = endpointOf(options);
  const handshake = await look(options, context);
  switch (handshake.is) {
    case 'unknown':
      return [unseen({ condition: 'certificate-expiring', resource }, handshake.text)];
    case 'broken':
      return [
        validity(resource, handshake.text),
        ...observeLifetime(rememberedChain(context.memory), { resource, now: context.clock.now() }),
      ];
    case 'shown':
      return judge(handshake, options, context);
  }
}

function judge(handshake: Extract<Handshake, { is: 'shown' }>, options: Options, context: CheckContext): Observation[] {
  const now = context.clock.now();
  const resource = endpointOf(options);
  const chain = chainOf(handshake.peer);
  remember(context.memory, 'chain', chain);
  const reason = distrust(handshake.peer, {
    hostname: options.tlsName ?? options.address,
    now,
    authorizationError: handshake.authorizationError,
    pinned: options.certificateFingerprint,
  });
  return [
    validity(resource, reason),
    ...observeLifetime(chain, { resource, now }),
    ...observeIssuer(chain[0]?.issuer, resource, context),
  ];
}

function validity(resource: string, reason: string | undefined): Observation {
  return state({
    condition: 'certificate-invalid',
    resource,
    summary:
      reason === undefined ? `${resource}: the certificate is trusted` : `${resource}: bad certificate: ${reason}`,
    ok: reason === undefined,
    severity: 'critical',
  });
}

/** News for a day: an authority that nobody chose may be a sign of somebody in between. */
const newsMs = 86_400_000;

const Issuers = z.object({ now: z.string(), before: z.string().optional(), since: z.number() });

function observeIssuer(issuer: string | undefined, resource: string, context: CheckContext): Observation[] {
  if (issuer === undefined) return [];
  const at = context.clock.now();
  const known = Issuers.safeParse(context.memory.get('issuer')).data;
  const issuers =
    known?.now === issuer ? known : { now: issuer, since: at, ...(known !== undefined && { before: known.now }) };
  remember(context.memory, 'issuer', issuers);
  const { before, since } = issuers;
  const isNews = before !== undefined && at - since < newsMs;
  return [
    state({
      condition: 'certificate-issuer-changed',
      resource,
      summary: isNews
        ? `${resource}: the certificate is by "${issuer}" now, before by "${before}"`
        : `${resource}: the certificate is by "${issuer}"`,
      ok: !isNews,
      severity: 'info',
      holdMs: 0,
    }),
  ];
}

function look(options: Options, context: CheckContext): Promise<Handshake> {
  const authorities = options.caFile === undefined ? undefined : readAuthorities(options.caFile, context.baseFolder);
  if (authorities?.ok === false) return Promise.resolve({ is: 'unknown', text: authorities.reason });
  return shakeHands({ ...options, ca: authorities?.ca, giveUpAfterMs: options.giveUpAfter }, context);
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const before = rememberedChain(context.memory);
  const [now, addresses] = await Promise.all([
    look({ ...options, giveUpAfter: Math.min(options.giveUpAfter, 3_000) }, context),
    resolveAddresses(options.address, context.signal),
  ]);
  return [
    ...evidenceOf('state', 'Certificates shown', before.map(certificateText)),
    ...evidenceOf('state', 'A second look', secondLook(now, before)),
    ...addresses,
  ];
}

function secondLook(now: Handshake, before: readonly Certificate[]): string[] {
  if (now.is !== 'shown') return [now.text];
  const chain = chainOf(now.peer);
  if (chain[0]?.fingerprint === before[0]?.fingerprint) return [`${now.protocol}, the same certificate`];
  return [`${now.protocol}, another certificate:`, ...chain.map(certificateText)];
}
