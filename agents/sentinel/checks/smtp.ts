import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { messageOf } from '#bus/failure.ts';
import { matchesInTime } from '#config/bounded-pattern.ts';
import { durationOr, formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { resolveAddresses } from '#agents/sentinel/probes/addresses.ts';
import { readAuthorities } from '#agents/sentinel/probes/authority.ts';
import { type Endpoint, endpointText } from '#agents/sentinel/probes/endpoint.ts';
import { classifyNetworkError } from '#agents/sentinel/probes/network-error.ts';
import { patternOption } from '#agents/sentinel/probes/pattern.ts';
import { chainLines, judgePeer } from '#agents/sentinel/probes/peer-shown.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember, rememberedTexts } from '#agents/sentinel/probes/remembered.ts';
import { replyText, SmtpRefusal, type SmtpTalk, type SmtpWish, talkSmtp } from '#agents/sentinel/probes/smtp.ts';
import { evidenceOf, resourceName } from '#agents/sentinel/probes/text.ts';
import { withinTime } from '#agents/sentinel/probes/within-time.ts';

const Mailbox = z
  .string()
  .max(254)
  .regex(/^[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+$/, { error: 'must be a mail address' });

const Options = z.strictObject({
  address: z.string().min(1).max(255).describe('Name or address of the mail server.'),
  port: z.number().int().min(1).max(65_535).default(25).describe('TCP port: 25, 587 or 465.'),
  tls: z
    .enum(['offered', 'required', 'implicit', 'none'])
    .default('offered')
    .describe(
      '`required`: STARTTLS must work and its certificate be trusted; `offered`: looked at where it is there; `implicit`: TLS from the first byte (465); `none`: not tried.',
    ),
  tlsName: z.string().min(1).max(255).optional().describe('Name that the certificate is for. Default: the address.'),
  caFile: z.string().max(1_000).optional().describe('Certificates (PEM) to trust beside the usual authorities.'),
  verifyTls: z
    .boolean()
    .optional()
    .describe('Whether the certificate must be trusted. Default: with `required` and `implicit`.'),
  heloName: z
    .string()
    .max(255)
    .regex(/^[A-Za-z0-9.-]+$/, { error: 'must be a host name' })
    .optional()
    .describe('Name to say EHLO with. Default: the address of this machine in brackets.'),
  expect: patternOption().optional().describe('Regular expression that the greeting must match.'),
  auth: z
    .array(z.string().regex(/^[A-Za-z0-9-]{1,40}$/))
    .max(10)
    .default([])
    .describe('Mechanisms of AUTH that must be offered, under TLS where there is TLS: PLAIN, LOGIN and so on.'),
  refusesAuthInClear: z.boolean().default(false).describe('AUTH must not be offered before TLS.'),
  refusesRelay: z
    .boolean()
    .default(false)
    .describe(
      'Asks whether it takes mail from a stranger for a stranger, up to the recipient and never more. Only where this machine may not relay.',
    ),
  relayFrom: Mailbox.default('postmaster@example.com').describe('Sender of that question.'),
  relayTo: Mailbox.default('postmaster@example.org').describe('Recipient of that question.'),
  giveUpAfter: durationOr('8s').describe('A conversation that takes longer is down. Shorter than `timeout`.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'smtp',
  about: 'Whether a mail server talks, offers TLS and logins as it should, and refuses to relay. Sends no mail.',
  options: Options,
  reach: 'network',
  resourceOf: endpointOf,
  observe,
  evidence: { about: 'what the server said, the certificates and the addresses of the name', gather },
});

function serverOf({ address, port }: Options): Endpoint {
  return { address, port };
}

function endpointOf(options: Options): string {
  return resourceName(endpointText(serverOf(options)));
}

type Outcome = { is: 'talked'; talk: SmtpTalk } | { is: 'down'; text: string } | { is: 'unknown'; text: string };

async function converse(options: Options, context: CheckContext): Promise<Outcome> {
  const authorities = options.caFile === undefined ? undefined : readAuthorities(options.caFile, context.baseFolder);
  if (authorities?.ok === false) return { is: 'unknown', text: authorities.reason };
  const wish: SmtpWish = {
    server: serverOf(options),
    tls: options.tls,
    tlsName: options.tlsName ?? options.address,
    ca: authorities?.ca,
    heloName: options.heloName,
    relay: options.refusesRelay ? { from: options.relayFrom, to: options.relayTo } : undefined,
  };
  try {
    const end = await withinTime({ ms: options.giveUpAfter, context }, (signal) => talkSmtp(wish, signal));
    if (end.is === 'done') return { is: 'talked', talk: end.value };
    return { is: 'down', text: `no end of the conversation within ${formatDuration(options.giveUpAfter)}` };
  } catch (error) {
    context.signal.throwIfAborted();
    if (error instanceof SmtpRefusal) return { is: 'down', text: messageOf(error) };
    const { cause, text } = classifyNetworkError(error);
    return { is: cause === 'ours' ? 'unknown' : 'down', text };
  }
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const resource = endpointOf(options);
  const down = { condition: 'smtp-down', resource, hidesRest: true };
  const outcome = await converse(options, context);
  remember(context.memory, 'said', saidLines(outcome));
  switch (outcome.is) {
    case 'unknown':
      return [unseen(down, outcome.text)];
    case 'down':
      return [
        state({ ...down, summary: `${resource} does not take mail: ${outcome.text}`, ok: false, severity: 'critical' }),
      ];
    case 'talked':
      return [
        greetingObservation(options, outcome.talk),
        ...observeTls(options, outcome.talk, context),
        ...observeAuth(options, outcome.talk),
        ...observeRelay(options, outcome.talk),
      ];
  }
}

function greetingObservation(options: Options, talk: SmtpTalk): Observation {
  const resource = endpointOf(options);
  const down = { condition: 'smtp-down', resource };
  const isExpected =
    options.expect === undefined ? true : matchesInTime(new RegExp(options.expect, 'u'), talk.greeting);
  if (isExpected === undefined) return unseen(down, 'its greeting keeps the expression busy too long');
  const text = isExpected ? `${resource} greets` : `${resource} greets otherwise than expected: "${talk.greeting}"`;
  return state({ ...down, summary: text, ok: isExpected, severity: 'critical' });
}

function observeTls(options: Options, talk: SmtpTalk, context: CheckContext): Observation[] {
  return [...observeStartTls(options, talk), ...observeCertificate(options, talk, context)];
}

function observeStartTls(options: Options, talk: SmtpTalk): Observation[] {
  const isRequired = options.tls === 'required';
  const isTried = isRequired || (options.tls === 'offered' && talk.offersStartTls);
  if (!isTried) return [];
  const resource = endpointOf(options);
  const fault = talk.offersStartTls ? talk.tlsFault : 'it does not offer STARTTLS';
  return [
    state({
      condition: 'starttls-broken',
      resource,
      summary: fault === undefined ? `${resource}: STARTTLS works` : `${resource}: no TLS: ${fault}`,
      ok: fault === undefined,
      severity: isRequired ? 'critical' : 'warning',
    }),
  ];
}

function observeCertificate(options: Options, talk: SmtpTalk, context: CheckContext): Observation[] {
  if (talk.certificate === undefined) return [];
  return judgePeer(talk.certificate, {
    resource: endpointOf(options),
    hostname: options.tlsName ?? options.address,
    now: context.clock.now(),
    memory: context.memory,
    // Between servers a certificate that nobody trusts is usual: better than none (RFC 7435).
    mustTrust: options.verifyTls ?? options.tls !== 'offered',
  });
}

function observeAuth(options: Options, talk: SmtpTalk): Observation[] {
  const resource = endpointOf(options);
  const missing = options.auth.filter((mechanism) => !talk.authAfter.includes(mechanism.toUpperCase()));
  const inClear = talk.authBefore.join(' ');
  return [
    ...(options.auth.length === 0
      ? []
      : [
          state({
            condition: 'smtp-auth-missing',
            resource,
            summary:
              missing.length === 0
                ? `${resource} offers AUTH ${options.auth.join(' ')}`
                : `${resource} does not offer AUTH ${missing.join(' ')}`,
            ok: missing.length === 0,
            severity: 'warning',
          }),
        ]),
    ...(options.refusesAuthInClear
      ? [
          state({
            condition: 'smtp-auth-in-clear',
            resource,
            summary:
              inClear === ''
                ? `${resource} offers no AUTH before TLS`
                : `${resource} offers AUTH without TLS: ${inClear}`,
            ok: inClear === '',
            severity: 'warning',
          }),
        ]
      : []),
  ];
}

/** A reply of 4xx is no consent: Postfix defers what it does not relay (454 4.7.1). */
function observeRelay(options: Options, talk: SmtpTalk): Observation[] {
  if (!options.refusesRelay) return [];
  const resource = endpointOf(options);
  const said = { condition: 'open-relay', resource };
  const reply = talk.relayReply;
  if (reply === undefined) return [unseen(said, 'the conversation did not come so far')];
  const isOpen = reply.code >= 200 && reply.code < 300;
  const summary = isOpen
    ? `${resource} relays mail of strangers for strangers: ${replyText(reply)}`
    : `${resource} refuses to relay: ${replyText(reply)}`;
  return [state({ ...said, summary, ok: !isOpen, severity: 'critical' })];
}

function saidLines(outcome: Outcome): string[] {
  if (outcome.is !== 'talked') return [outcome.text];
  const { talk } = outcome;
  return [
    `greeting: ${talk.greeting}`,
    `STARTTLS: ${talk.offersStartTls ? 'offered' : 'not offered'}${talk.tlsFault === undefined ? '' : `, ${talk.tlsFault}`}`,
    `AUTH before TLS: ${talk.authBefore.join(' ') || 'none'}; after: ${talk.authAfter.join(' ') || 'none'}`,
    ...(talk.relayReply === undefined ? [] : [`foreign recipient: ${replyText(talk.relayReply)}`]),
  ];
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  return [
    ...evidenceOf('state', `What ${endpointOf(options)} said`, rememberedTexts(context.memory, 'said') ?? []),
    ...evidenceOf('state', 'Certificates shown', chainLines(context.memory)),
    ...(await resolveAddresses(options.address, context.signal)),
  ];
}
