import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr, formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { httpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { startDeadline } from '#agents/sentinel/probes/deadline.ts';
import { Follow, publicHeaders } from '#agents/sentinel/probes/http-follow.ts';
import { headerText } from '#agents/sentinel/probes/http-expect.ts';
import { spans } from '#agents/sentinel/probes/levels-option.ts';
import { plainName, readRegistration, Registration, troubleOf } from '#agents/sentinel/probes/rdap.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { evidenceOf, jsonOf, oneLine } from '#agents/sentinel/probes/text.ts';

const dayMs = 86_400_000;
const hourMs = 3_600_000;

const Domain = z
  .string()
  .max(253)
  .refine((name) => /^(?:[a-z0-9_](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$/.test(plainName(name)), {
    error: 'must be a domain such as example.org',
  });

const Options = z.strictObject({
  domain: Domain.describe('The domain as it was registered: example.org, not www.example.org.'),
  url: z
    .url({ protocol: /^https?$/, error: 'must start with http:// or https://' })
    .default('https://rdap.org')
    .describe('RDAP server; the default knows which registry to ask.'),
  left: spans({ warning: '30d', critical: '7d' }).prefault({}).describe('Time until the registration ends.'),
  askEvery: durationOr('20h').describe('A good answer is used for so long, however often the check looks.'),
  trustFor: durationOr('7d').describe('How long the last good answer counts while no new one can be had.'),
  nameservers: z
    .array(z.string().min(1).max(253))
    .max(20)
    .default([])
    .describe('Name servers that the registry must name, all and no others. Empty: any.'),
  locked: z.boolean().default(false).describe('Whether a transfer must be prohibited at the registrar.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'domain-expiry',
  about: 'When the registration of a domain ends, by RDAP, and whether it is on hold, being deleted or being moved.',
  options: Options,
  reach: 'network',
  resourceOf: ({ domain }) => plainName(domain),
  observe,
  evidence: {
    about: 'the registrar, the dates, the statuses and the name servers that the registry told last',
    gather: (_options, context) => Promise.resolve(gather(context)),
  },
});

/** What is known of the registration, and how the last question ended. */
const Known = z.object({
  registration: Registration.optional(),
  answeredAt: z.number().optional(),
  askedAt: z.number(),
  /** Not before then is it asked again. */
  nextAt: z.number(),
  fault: z.string().optional(),
  isGone: z.boolean().default(false),
});
type Known = z.output<typeof Known>;

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  context.signal.throwIfAborted();
  const now = context.clock.now();
  const before = Known.safeParse(context.memory.get('known')).data;
  const known = before !== undefined && now < before.nextAt ? before : await askAnew(options, context, before);
  remember(context.memory, 'known', known);
  const resource = plainName(options.domain);
  const { registration, answeredAt } = known;
  if (known.isGone) {
    const summary = `${resource} was registered and is not any more: ${known.fault ?? 'the registry does not know it'}`;
    return [state({ condition: 'domain-status', resource, summary, ok: false, severity: 'critical' })];
  }
  if (registration === undefined || answeredAt === undefined || now - answeredAt > options.trustFor) {
    return [unseen({ condition: 'domain-expiring', resource }, staleReason(known, now))];
  }
  return judge(options, registration, now);
}

function staleReason({ fault, answeredAt }: Known, now: number): string {
  const last =
    answeredAt === undefined
      ? ''
      : `, last answer ${formatDuration(Math.floor((now - answeredAt) / hourMs) * hourMs)} ago`;
  return `${fault ?? 'no answer yet'}${last}`;
}

function judge(options: Options, registration: Registration, now: number): Observation[] {
  const resource = plainName(options.domain);
  const trouble = troubleOf(registration.statuses);
  const shown = registration.statuses.slice(0, 10).join(', ');
  return [
    ...lifetime(options, registration, now),
    state({
      condition: 'domain-status',
      resource,
      summary: `${resource}: ${trouble?.text ?? `no bad status${shown === '' ? '' : ` (${shown})`}`}`,
      ok: trouble === undefined,
      severity: trouble?.severity ?? 'critical',
    }),
    ...delegation(options, registration),
    ...lock(options, registration),
  ];
}

function lifetime(options: Options, { expiresAt }: Registration, now: number): Observation[] {
  const resource = plainName(options.domain);
  if (expiresAt === undefined) {
    return [unseen({ condition: 'domain-expiring', resource }, 'its registry does not tell when it ends')];
  }
  const left = expiresAt - now;
  const span = formatDuration(Math.floor(Math.abs(left) / hourMs) * hourMs);
  return [
    level({
      condition: 'domain-expiring',
      resource,
      summary: `${resource}: the registration ${left >= 0 ? `ends in ${span}` : `ended ${span} ago`} (${new Date(expiresAt).toISOString()})`,
      value: left / dayMs,
      unit: 'd',
      bad: 'below',
      warning: options.left.warning / dayMs,
      critical: options.left.critical / dayMs,
    }),
  ];
}

function delegation(options: Options, { nameservers }: Registration): Observation[] {
  if (options.nameservers.length === 0) return [];
  const resource = plainName(options.domain);
  const wanted = [...new Set(options.nameservers.map(plainName))].toSorted();
  const isSame = wanted.join(' ') === nameservers.join(' ');
  const text = `${resource} is delegated to ${nameservers.join(', ') || 'nobody'}`;
  return [
    state({
      condition: 'domain-delegation-changed',
      resource,
      summary: isSame ? text : `${text}, not to ${wanted.join(', ')}`,
      ok: isSame,
      severity: 'critical',
    }),
  ];
}

function lock({ locked, domain }: Options, { statuses }: Registration): Observation[] {
  if (!locked) return [];
  const resource = plainName(domain);
  const isLocked = statuses.some(
    (status) => status === 'clienttransferprohibited' || status === 'servertransferprohibited',
  );
  const summary = isLocked
    ? `${resource} is locked against a transfer`
    : `${resource} is not locked: anybody with its code can move it`;
  return [state({ condition: 'domain-unlocked', resource, summary, ok: isLocked, severity: 'warning' })];
}

type Answer =
  | { is: 'registration'; registration: Registration }
  | { is: 'gone'; reason: string }
  | { is: 'fault'; reason: string; retryMs: number };

/** A registry that is asked too often answers nobody: after a fault it is left alone for hours, not minutes. */
const retryMs = 2 * hourMs;

async function askAnew(options: Options, context: CheckContext, before: Known | undefined): Promise<Known> {
  const now = context.clock.now();
  const answer = await ask(options, context);
  const kept = { registration: before?.registration, answeredAt: before?.answeredAt, askedAt: now };
  switch (answer.is) {
    case 'registration':
      return {
        registration: answer.registration,
        answeredAt: now,
        askedAt: now,
        nextAt: now + options.askEvery,
        isGone: false,
      };
    case 'gone':
      // A name that was never seen registered is a wrong option, or one that this server cannot look up.
      return { ...kept, nextAt: now + retryMs, fault: answer.reason, isGone: before?.registration !== undefined };
    case 'fault':
      return { ...kept, nextAt: now + answer.retryMs, fault: answer.reason, isGone: before?.isGone ?? false };
  }
}

async function ask(options: Options, context: CheckContext): Promise<Answer> {
  const url = new URL(options.url);
  const domain = plainName(options.domain);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/domain/${domain}`;
  const plan = { url, method: 'GET', headers: { ...publicHeaders, accept: 'application/rdap+json' }, keepBody: true };
  const { fresh } = httpAgents({ verify: true });
  const follow = new Follow({
    plan,
    agents: { kept: fresh, fresh },
    redirects: 4,
    isExpected: () => false,
    staysOnHost: false,
  });
  const cancel = startDeadline({ ms: context.timeoutMs, context }, () => follow.stop('the look'));
  const { end, url: asked } = await follow.run();
  cancel();
  context.signal.throwIfAborted();
  const who = asked.host;
  if (end.is === 'failed') return { is: 'fault', reason: `${who}: ${end.text}`, retryMs: retryMs / 4 };
  if (end.status === 404) return notFound(who, asked.origin !== url.origin || url.host !== 'rdap.org');
  if (end.status !== 200) {
    const reason = end.status === 429 ? `${who} was asked too often` : `${who} answered ${end.status}`;
    return { is: 'fault', reason, retryMs: Math.max(retryMs, retryAfterMs(end.headers['retry-after'])) };
  }
  const registration = readRegistration(jsonOf(end.body), domain);
  if (typeof registration === 'string') return { is: 'fault', reason: `${who}: ${registration}`, retryMs };
  return { is: 'registration', registration };
}

/** Said by the directory itself, it means that no RDAP server is known for the top-level domain. */
function notFound(who: string, isRegistry: boolean): Answer {
  if (isRegistry) return { is: 'gone', reason: `${who} does not know the domain` };
  return { is: 'fault', reason: `${who} knows no RDAP server for this domain`, retryMs: dayMs };
}

function retryAfterMs(header: string | string[] | undefined): number {
  const seconds = Number(headerText(header));
  return Number.isFinite(seconds) ? Math.min(seconds * 1_000, dayMs) : 0;
}

function gather(context: CheckContext): Evidence[] {
  const known = Known.safeParse(context.memory.get('known')).data;
  const registration = known?.registration;
  if (known === undefined || registration === undefined) return [];
  return evidenceOf('state', 'What the registry told last', [
    known.answeredAt === undefined ? '' : `asked ${new Date(known.answeredAt).toISOString()}`,
    known.fault === undefined ? '' : `since then: ${oneLine(known.fault, 200)}`,
    `registrar: ${registration.registrar ?? 'not told'}`,
    `statuses: ${registration.statuses.join(', ')}`,
    `name servers: ${registration.nameservers.join(', ')}`,
    ...registration.events,
  ]);
}
