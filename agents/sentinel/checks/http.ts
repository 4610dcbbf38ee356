import type { Evidence } from '#bus/messages/finding.ts';
import { formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { resolveAddresses } from '#agents/sentinel/probes/addresses.ts';
import { loginHeaders } from '#agents/sentinel/probes/api-login.ts';
import { readAuthorities, readClientCertificate } from '#agents/sentinel/probes/authority.ts';
import {
  certificateText,
  isSoonReplaced,
  observeLifetime,
  rememberedChain,
} from '#agents/sentinel/probes/certificate.ts';
import { startDeadline } from '#agents/sentinel/probes/deadline.ts';
import { chainKey, type HttpAgents, httpAgents, type TlsChoice } from '#agents/sentinel/probes/http-agents.ts';
import type { ExchangeEnd, HttpPlan } from '#agents/sentinel/probes/http-exchange.ts';
import { type Expectation, expectationOf, headerText, statusText } from '#agents/sentinel/probes/http-expect.ts';
import { Follow, type FollowedEnd, publicHeaders } from '#agents/sentinel/probes/http-follow.ts';
import { HttpOptions } from '#agents/sentinel/probes/http-options.ts';
import { lookNearby } from '#agents/sentinel/probes/nearby.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { evidenceOf, oneLine, resourceName } from '#agents/sentinel/probes/text.ts';

export const check = defineCheck({
  kind: 'http',
  about: 'Whether an address answers as expected: status, body, JSON values, time, and how long its certificate lasts.',
  options: HttpOptions,
  reach: 'network',
  resourceOf: (options) => prepared(options).resource,
  observe,
  evidence: {
    about:
      'the addresses of the name, the certificates, and a second answer with its first lines or what else answers there',
    gather,
  },
});

/** What of the options is the same at each look. */
interface Prepared {
  url: URL;
  /** The address without its query, which may hold a token. */
  resource: string;
  expectation: Expectation;
}

const known = new WeakMap<HttpOptions, Prepared>();

function prepared(options: HttpOptions): Prepared {
  const ready = known.get(options);
  if (ready !== undefined) return ready;
  const url = new URL(options.url);
  const fresh = { url, resource: resourceName(`${url.origin}${url.pathname}`), expectation: expectationOf(options) };
  known.set(options, fresh);
  return fresh;
}

async function observe(options: HttpOptions, context: CheckContext): Promise<Observation[]> {
  context.signal.throwIfAborted();
  const { url, resource, expectation } = prepared(options);
  const said = { condition: 'http-down', resource };
  const ready = prepareExchange(options, context, expectation.needsBody);
  if (!ready.ok) return [unseen(said, ready.reason)];
  const started = context.clock.now();
  const { end, url: last } = await ask(options, context, ready);
  const ms = context.clock.now() - started;
  if (end.is === 'failed' && end.cause === 'ours') return [unseen(said, end.text)];
  const fault = end.is === 'failed' ? failureText(end) : expectation.fault(end);
  return [
    state({
      ...said,
      summary: `${resource} ${fault ?? `answered ${answerText(end)}${elsewhere(url, last)} in ${ms} ms`}`,
      ok: fault === undefined,
      severity: 'critical',
    }),
    // An error page that comes fast says nothing about the speed of the service.
    ...(fault === undefined ? slowness(options, resource, ms) : []),
    ...(url.protocol === 'https:' && options.certificate ? lifetime(ready.agents, context, { url, resource }) : []),
  ];
}

/** A login of another host answers for a service that may be dead behind it: who reads it has to see that. */
function elsewhere(asked: URL, last: URL): string {
  return last.host === asked.host ? '' : ` at ${oneLine(last.host, 100)}`;
}

function failureText(end: Extract<ExchangeEnd, { is: 'failed' }>): string {
  return `does not answer: ${end.text}${end.status === undefined ? '' : ` (status ${end.status})`}`;
}

function answerText(end: ExchangeEnd): string {
  return end.is === 'answered' ? statusText(end.status) : '';
}

interface Ready {
  ok: true;
  agents: HttpAgents;
  plan: HttpPlan;
}

function prepareExchange(
  options: HttpOptions,
  context: CheckContext,
  keepBody: boolean,
): Ready | { ok: false; reason: string } {
  const choice = tlsChoice(options, context);
  if (!choice.ok) return choice;
  const secrets = loginHeaders({ ...options, headers: {} }, context);
  if (!secrets.ok) return secrets;
  return {
    ok: true,
    agents: httpAgents(choice.choice),
    plan: {
      url: prepared(options).url,
      method: options.method,
      headers: { ...publicHeaders, ...options.headers, ...secrets.headers },
      ...(options.body !== undefined && { body: options.body }),
      keepBody,
    },
  };
}

function tlsChoice(
  { verifyTls, caFile, clientCertificate }: HttpOptions,
  { baseFolder }: CheckContext,
): { ok: true; choice: TlsChoice } | { ok: false; reason: string } {
  const authorities = caFile === undefined ? undefined : readAuthorities(caFile, baseFolder);
  if (authorities?.ok === false) return authorities;
  const client = clientCertificate && readClientCertificate(clientCertificate, baseFolder);
  if (client?.ok === false) return client;
  const choice: TlsChoice = {
    verify: verifyTls,
    ...(authorities !== undefined && { ca: { certificates: authorities.ca, version: authorities.version } }),
    ...(client !== undefined && { client }),
  };
  return { ok: true, choice };
}

async function ask(options: HttpOptions, context: CheckContext, ready: Ready): Promise<FollowedEnd> {
  const { kept, fresh, chains } = ready.agents;
  const chain = chains.get(chainKey(ready.plan.url));
  const isAnew = options.certificate && chain !== undefined && isSoonReplaced(chain, context.clock.now());
  const follow = new Follow({
    plan: ready.plan,
    agents: { kept: isAnew ? fresh : kept, fresh },
    redirects: options.redirects,
    isExpected: prepared(options).expectation.status,
    staysOnHost: options.clientCertificate !== undefined,
  });
  const cancel = startDeadline({ ms: options.giveUpAfter, context }, () =>
    follow.stop(formatDuration(options.giveUpAfter)),
  );
  const end = await follow.run();
  cancel();
  context.signal.throwIfAborted();
  return end;
}

function slowness(options: HttpOptions, resource: string, ms: number): Observation[] {
  const { slowAfter, verySlowAfter } = options;
  if (slowAfter === undefined && verySlowAfter === undefined) return [];
  return [
    {
      condition: 'http-slow',
      resource,
      summary: `${resource} answered in ${ms} ms`,
      reading: {
        is: 'level',
        value: ms,
        unit: 'ms',
        bad: 'above',
        ...(slowAfter !== undefined && { warning: { trigger: slowAfter, clear: slowAfter * 0.8 } }),
        ...(verySlowAfter !== undefined && { critical: { trigger: verySlowAfter, clear: verySlowAfter * 0.8 } }),
      },
    },
  ];
}

/** From the connection in use; while there is none, from what was seen last. */
function lifetime(agents: HttpAgents, context: CheckContext, of: { url: URL; resource: string }): Observation[] {
  const chain = agents.chains.get(chainKey(of.url));
  if (chain !== undefined) remember(context.memory, 'chain', chain);
  return observeLifetime(chain ?? rememberedChain(context.memory), { resource: of.resource, now: context.clock.now() });
}

const evidenceHeaders = ['server', 'date', 'content-type', 'location', 'retry-after', 'via'];

async function gather(options: HttpOptions, context: CheckContext, { condition }: Observation): Promise<Evidence[]> {
  const { url, resource } = prepared(options);
  const name = url.hostname.replaceAll(/[[\]]/g, '');
  const addresses = await resolveAddresses(name, context.signal);
  const chain = condition === 'certificate-expiring' ? rememberedChain(context.memory).map(certificateText) : [];
  const known = [...addresses, ...evidenceOf('state', 'Certificates shown', chain)];
  const ready = prepareExchange(options, context, true);
  // What is not a plain question is not asked a second time.
  if (!ready.ok || (options.method !== 'GET' && options.method !== 'HEAD')) return known;
  const { end, url: last } = await ask(
    { ...options, giveUpAfter: Math.min(options.giveUpAfter, 2_500) },
    context,
    ready,
  );
  if (end.is === 'failed') {
    const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
    const second = evidenceOf('state', `A second look at ${resource}`, [end.text]);
    return [...known, ...second, ...(await lookNearby(name, context, [port]))];
  }
  return [...known, ...shownAnswer(end, { asked: url, last, resource })];
}

function shownAnswer(
  end: Extract<ExchangeEnd, { is: 'answered' }>,
  of: { asked: URL; last: URL; resource: string },
): Evidence[] {
  const headers = evidenceHeaders.flatMap((name) => {
    const value = headerText(end.headers[name]);
    return value === '' ? [] : [`${name}: ${value}`];
  });
  const from = of.last.href === of.asked.href ? [] : [`redirected to ${of.last.origin}${of.last.pathname}`];
  const lines = end.body.slice(0, 20_000).split('\n').slice(0, 20);
  return [
    ...evidenceOf('state', `Answer of ${of.resource}`, [statusText(end.status), ...from, ...headers]),
    ...evidenceOf('log', 'Its first lines', lines),
  ];
}
