import { isIP } from 'node:net';
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr, formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { resolveAddresses } from '#agents/sentinel/probes/addresses.ts';
import { readAuthorities } from '#agents/sentinel/probes/authority.ts';
import { chainOf, distrust, observeLifetime, rememberedChain } from '#agents/sentinel/probes/certificate.ts';
import { startDeadline } from '#agents/sentinel/probes/deadline.ts';
import { classifyNetworkError } from '#agents/sentinel/probes/network-error.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { evidenceOf, oneLine, resourceName } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  address: z.string().min(1).max(255).describe('Name or address to connect to.'),
  port: z.number().int().min(1).max(65_535).default(443).describe('Port that speaks TLS from the first byte.'),
  servername: z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe('Name that the certificate is for. Default: the address. Needed to look behind a proxy.'),
  caFile: z.string().max(1_000).optional().describe('Certificates (PEM) to trust beside the usual authorities.'),
  fingerprint: z
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
  evidence: { about: 'the certificates that were shown and the addresses of the name', gather },
});

function endpointOf(options: Options): string {
  const name = options.servername ?? options.address;
  const shown = name.includes(':') ? `[${name}]` : name;
  const at = options.servername === undefined ? '' : ` at ${options.address}`;
  return resourceName(`${shown}:${options.port}${at}`);
}

type Handshake =
  | { is: 'shown'; peer: DetailedPeerCertificate; authorizationError: string | undefined }
  | { is: 'broken'; text: string }
  | { is: 'unknown'; text: string };

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const resource = endpointOf(options);
  const handshake = await shakeHands(options, context);
  switch (handshake.is) {
    case 'unknown':
      return [
        {
          condition: 'certificate-expiring',
          resource,
          reading: { is: 'unknown', reason: handshake.text },
          summary: oneLine(`cannot look at the certificate of ${resource}: ${handshake.text}`),
        },
      ];
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
    hostname: options.servername ?? options.address,
    now,
    authorizationError: handshake.authorizationError,
    pinned: options.fingerprint,
  });
  return [validity(resource, reason), ...observeLifetime(chain, { resource, now })];
}

function validity(resource: string, reason: string | undefined): Observation {
  return {
    condition: 'certificate-invalid',
    resource,
    summary: oneLine(
      reason === undefined ? `${resource}: the certificate is trusted` : `${resource}: bad certificate: ${reason}`,
    ),
    reading: { is: 'state', ok: reason === undefined, severity: 'critical' },
  };
}

function shakeHands(options: Options, context: CheckContext): Promise<Handshake> {
  context.signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Handshake>();
  const authorities = options.caFile === undefined ? undefined : readAuthorities(options.caFile, context.baseFolder);
  if (authorities?.ok === false) return Promise.resolve({ is: 'unknown', text: authorities.reason });
  const socket = connect({
    host: options.address,
    port: options.port,
    // Looked at, not trusted: nothing but the handshake is ever sent.
    rejectUnauthorized: false,
    ...serverName(options),
    ...(authorities !== undefined && { ca: authorities.ca }),
  });
  socket.setNoDelay(true);
  let isConnected = false;
  const finish = (handshake: Handshake): void => {
    cancel();
    socket.destroy();
    resolve(handshake);
  };
  const cancel = startDeadline({ ms: options.giveUpAfter, context }, (why) => {
    const text = `no ${isConnected ? 'TLS handshake' : 'connection'} within ${formatDuration(options.giveUpAfter)}`;
    if (why === 'time') return finish({ is: 'unknown', text });
    socket.destroy();
    reject(context.signal.reason as Error);
  });
  socket.on('connect', () => (isConnected = true));
  socket.on('secureConnect', () => finish(shownBy(socket)));
  socket.on('error', (error) => finish(failed(error, isConnected)));
  socket.on('end', () => finish({ is: 'unknown', text: 'the server hung up before the handshake ended' }));
  return promise;
}

/** SNI takes names only (RFC 6066, section 3). */
function serverName(options: Options): { servername?: string } {
  const name = options.servername ?? options.address;
  return isIP(name) === 0 ? { servername: name } : {};
}

function shownBy(socket: TLSSocket): Handshake {
  const error: unknown = socket.authorizationError;
  const code = error instanceof Error ? ('code' in error ? String(error.code) : error.message) : error;
  return {
    is: 'shown',
    peer: socket.getPeerCertificate(true),
    authorizationError: typeof code === 'string' && code !== '' ? code : undefined,
  };
}

/** A server that connects but cannot do TLS has bad TLS; one that does not connect was not looked at. */
function failed(error: Error, isConnected: boolean): Handshake {
  const { cause, text } = classifyNetworkError(error);
  return cause === 'tls' && isConnected ? { is: 'broken', text } : { is: 'unknown', text };
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const chain = rememberedChain(context.memory).map(
    (certificate) =>
      `${certificate.name}: ${new Date(certificate.notBefore).toISOString()} to ${new Date(certificate.notAfter).toISOString()}, SHA-256 ${certificate.fingerprint}`,
  );
  return [
    ...evidenceOf('state', 'Certificates shown', chain),
    ...(await resolveAddresses(options.address, context.signal)),
  ];
}
