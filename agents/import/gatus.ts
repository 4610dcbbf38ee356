import { parse } from 'yaml';
import { formatDuration, parseDuration } from '#config/duration.ts';
import { type BodyFacts, takeCondition } from './gatus-condition.ts';
import {
  type Converted,
  headersOf,
  type Imported,
  Importing,
  type Members,
  members,
  numberOf,
  textOf,
  wordOf,
} from './imported.ts';

/** Endpoints of a Gatus configuration (`endpoints`, `external-endpoints`, and `services` of old ones). Undefined: none. */
export function importGatus(text: string): Imported | undefined {
  let body: Members;
  try {
    body = members(parse(text, { maxAliasCount: 100, logLevel: 'error', merge: true }));
  } catch {
    return undefined;
  }
  const endpoints = listOf(body['endpoints'] ?? body['services']);
  const external = listOf(body['external-endpoints']);
  if (endpoints === undefined && external === undefined) return undefined;
  const importing = new Importing();
  for (const endpoint of endpoints ?? []) {
    const entry = entryOf(endpoint);
    const id = importing.idFor(entry);
    importing.take(entry, id, grouped(convert(endpoint, importing, id), endpoint));
  }
  for (const endpoint of external ?? []) {
    const entry = entryOf(endpoint);
    const id = importing.idFor(entry);
    importing.take(entry, id, grouped(heartbeat(endpoint, id), endpoint));
  }
  return importing.result;
}

function listOf(value: unknown): Members[] | undefined {
  return Array.isArray(value) ? value.slice(0, 5_000).map(members) : undefined;
}

function entryOf(endpoint: Members): string {
  const name = textOf(endpoint['name']) ?? 'endpoint';
  const group = textOf(endpoint['group']);
  return group === undefined ? name : `${group}/${name}`;
}

function grouped(converted: Converted, endpoint: Members): Converted {
  const group = textOf(endpoint['group']);
  if ('why' in converted || group === undefined) return converted;
  return { ...converted, check: { ...converted.check, labels: { group: group.slice(0, 100) } } };
}

function convert(endpoint: Members, importing: Importing, id: string): Converted {
  if (endpoint['enabled'] === false) return { why: 'is not enabled' };
  const url = textOf(endpoint['url']);
  if (url === undefined) return { why: 'has no url' };
  if (/\$\{?\w/.test(url)) return { why: 'has a variable of the environment in its url' };
  const { facts, notes, why } = conditionsOf(endpoint);
  if (why !== undefined) return { why };
  const target = targetOf(endpoint, { url, facts, importing, id });
  if ('why' in target) return target;
  return { check: { ...target.check, ...timingOf(endpoint) }, notes: [...target.notes, ...notes] };
}

function conditionsOf(endpoint: Members): { facts: BodyFacts; notes: string[]; why?: string } {
  const facts: BodyFacts = { json: [] };
  const notes: string[] = [];
  const isDns = 'dns' in endpoint;
  const conditions = Array.isArray(endpoint['conditions']) ? endpoint['conditions'].map(wordOf) : [];
  let taken = 0;
  for (const condition of conditions) {
    const note = takeCondition(condition, { facts, isDns });
    if (note === undefined) taken += 1;
    else notes.push(note);
  }
  if (conditions.length > 0 && taken === 0) {
    return { facts, notes, why: `none of its conditions can be carried over: ${conditions.join('; ').slice(0, 200)}` };
  }
  return { facts, notes };
}

interface Target {
  url: string;
  facts: BodyFacts;
  importing: Importing;
  id: string;
}

function targetOf(endpoint: Members, target: Target): Converted {
  const { url } = target;
  if ('dns' in endpoint) return dns(endpoint, target);
  return /^https?:\/\//.test(url) ? http(endpoint, target) : byScheme(url);
}

function byScheme(url: string): Converted {
  const scheme = /^([a-z]+):\/\//.exec(url)?.[1] ?? '';
  const plain = url.replace(/^[a-z]+:/, 'http:');
  if (!URL.canParse(plain)) return { why: `has an address that cannot be read: "${url.slice(0, 80)}"` };
  const at = new URL(plain);
  const address = at.hostname.replaceAll(/^\[|\]$/g, '');
  // The parser leaves out the port that is usual for http.
  const port = at.port === '' ? 80 : Number(at.port);
  if (scheme === 'tcp') return { check: { kind: 'tcp', address, port }, notes: [] };
  if (scheme === 'icmp') return { check: { kind: 'ping', address }, notes: [] };
  if (scheme === 'tls') return { check: { kind: 'tls-expiry', address, port }, notes: [] };
  return { why: `there is no kind of check for "${scheme}://"` };
}

function http(endpoint: Members, { url, facts, importing, id }: Target): Converted {
  const client = members(endpoint['client']);
  const method = textOf(endpoint['method']) ?? 'GET';
  const body = textOf(endpoint['body']);
  const wait = durationOf(client['timeout']);
  const headers = members(endpoint['headers']);
  const withVariable = Object.entries(headers).filter(([, value]) => /\$\{?\w/.test(wordOf(value)));
  const plain = Object.fromEntries(
    Object.entries(headers).filter(([name]) => !withVariable.some(([one]) => one === name)),
  );
  const notes = [
    ...withVariable.map(([name]) => `its header ${name} comes from the environment: put it below headersFrom`),
    ...(endpoint['graphql'] === true ? ['its body is sent as it stands, not as a GraphQL query'] : []),
  ];
  const check = {
    kind: 'http',
    url,
    ...(method !== 'GET' && { method }),
    ...headersOf(importing, id, plain),
    ...(body !== undefined && { body }),
    ...httpFacts(facts),
    ...(client['insecure'] === true && { verifyTls: false }),
    ...(client['ignore-redirect'] === true && { redirects: 0 }),
    ...(wait !== undefined && { giveUpAfter: formatDuration(wait), timeout: formatDuration(wait + 3_000) }),
  };
  return { check, notes };
}

function httpFacts({ status, contains, matches, matchesNot, slowAfterMs, json }: BodyFacts): Members {
  return {
    // Without a condition on it, Gatus takes any status.
    status: status ?? ['1xx', '2xx', '3xx', '4xx', '5xx'],
    ...(contains !== undefined && { contains }),
    ...(matches !== undefined && { matches }),
    ...(matchesNot !== undefined && { matchesNot }),
    ...(json.length > 0 && { json }),
    ...(slowAfterMs !== undefined && { slowAfter: formatDuration(slowAfterMs) }),
  };
}

function dns(endpoint: Members, { url, facts }: Target): Converted {
  const asked = members(endpoint['dns']);
  const name = textOf(asked['query-name'])?.replace(/\.$/, '');
  if (name === undefined) return { why: 'asks for no name' };
  const type = textOf(asked['query-type']) ?? 'A';
  const check = {
    kind: 'dns',
    server: url.replace(/^(?:dns|udp|tcp):\/\//, ''),
    name,
    ...(type !== 'A' && { type }),
    ...(facts.values !== undefined && { values: facts.values }),
    ...(facts.missing === true && { missing: true }),
    ...(facts.slowAfterMs !== undefined && { slowAfter: formatDuration(facts.slowAfterMs) }),
  };
  return { check, notes: [] };
}

function heartbeat(endpoint: Members, id: string): Converted {
  if (endpoint['enabled'] === false) return { why: 'is not enabled' };
  const period = durationOf(members(endpoint['heartbeat'])['interval']);
  if (period === undefined) return { why: 'is told from outside and has no heartbeat interval' };
  const notes = [`the job must call /ping/${id} of Lares where it calls Gatus`];
  return { check: { kind: 'heartbeat', ping: id, period: formatDuration(period) }, notes };
}

/** An alert after `failure-threshold` bad looks is a condition that holds over the intervals between them. */
function timingOf(endpoint: Members): Members {
  const every = durationOf(endpoint['interval']) ?? 60_000;
  const thresholds = (listOf(endpoint['alerts']) ?? []).map((alert) => numberOf(alert['failure-threshold']) ?? 3);
  const holds = thresholds.length === 0 ? undefined : every * Math.max(0, Math.min(...thresholds) - 1);
  return {
    ...(every !== 60_000 && { every: formatDuration(Math.max(1_000, every)) }),
    ...(holds !== undefined && { for: formatDuration(holds) }),
  };
}

function durationOf(value: unknown): number | undefined {
  return typeof value === 'string' ? parseDuration(value) : undefined;
}
