import { jsonOf } from '../sentinel/probes/text.ts';
import {
  type Converted,
  headersOf,
  type Imported,
  Importing,
  jsonValues,
  literal,
  type Members,
  members,
  numberOf,
  plainPath,
  textOf,
  wordOf,
} from './imported.ts';

/**
 * Monitors of an Uptime Kuma: the backup that version 1 downloads (`monitorList`), or the list that version 2's tools and
 * socket give, as an array or by identity. `host` is where its Docker monitors look. Undefined: it is none of these.
 */
export function importUptimeKuma(text: string, of: { host?: string | undefined } = {}): Imported | undefined {
  const monitors = monitorsIn(jsonOf(text));
  if (monitors === undefined) return undefined;
  const importing = new Importing();
  const names = new Map(monitors.map((monitor) => [wordOf(monitor['id']), textOf(monitor['name']) ?? '']));
  for (const monitor of monitors) {
    const entry = textOf(monitor['name']) ?? `monitor ${wordOf(monitor['id'])}`;
    const id = importing.idFor(entry);
    const converted = convert(monitor, { importing, id, host: of.host });
    if (converted === undefined) continue;
    importing.take(entry, id, 'why' in converted ? converted : timed(converted, { monitor, names }));
  }
  return importing.result;
}

function monitorsIn(value: unknown): Members[] | undefined {
  const body = members(value);
  const list = Array.isArray(value) ? value : (body['monitorList'] ?? body['monitors']);
  const rows = Array.isArray(list) ? list : Object.values(members(list));
  if (list === undefined || list === null) return undefined;
  const monitors = rows.map(members).filter((row) => textOf(row['type']) !== undefined);
  return monitors.length === 0 && rows.length > 0 ? undefined : monitors.slice(0, 5_000);
}

interface Place {
  importing: Importing;
  id: string;
  host: string | undefined;
}

type Convert = (monitor: Members, place: Place) => Converted;

const byType: Record<string, Convert> = {
  http,
  keyword,
  'json-query': jsonQuery,
  port,
  ping,
  dns,
  push,
  docker,
};

/** Undefined for what is no monitor of its own. */
function convert(monitor: Members, place: Place): Converted | undefined {
  const type = textOf(monitor['type']) ?? '';
  if (type === 'group') return undefined;
  if (monitor['active'] === false || monitor['active'] === 0) return { why: 'is paused' };
  if (isOn(monitor['upsideDown'])) return { why: 'is upside down: it wants the thing to be down' };
  const how = Object.hasOwn(byType, type) ? byType[type] : undefined;
  if (how === undefined) return { why: `there is no kind of check for a "${type.slice(0, 40)}" monitor` };
  return how(monitor, place);
}

function isOn(value: unknown): boolean {
  return value === true || value === 1;
}

function http(monitor: Members, place: Place): Converted {
  const address = textOf(monitor['url']);
  if (address === undefined || !/^https?:\/\//.test(address) || !URL.canParse(address))
    return { why: 'has no address' };
  const url = new URL(address);
  const login = loginOf(monitor, url, place);
  url.username = '';
  url.password = '';
  const timeout = numberOf(monitor['timeout']);
  const redirects = numberOf(monitor['maxredirects']) ?? 10;
  const check = {
    kind: 'http',
    url: url.href === `${address}/` ? address : url.href,
    ...sentBy(monitor, place),
    ...login,
    ...statusOf(monitor['accepted_statuscodes']),
    ...(isOn(monitor['ignoreTls']) && { verifyTls: false }),
    ...(redirects !== 10 && { redirects: Math.min(20, Math.max(0, redirects)) }),
    ...(timeout !== undefined && timeout >= 1 && waiting(timeout)),
  };
  return { check, notes: authNotes(monitor) };
}

function sentBy(monitor: Members, { importing, id }: Place): Members {
  const method = textOf(monitor['method']) ?? 'GET';
  const body = textOf(monitor['body']);
  const headers = members(jsonOf(textOf(monitor['headers']) ?? ''));
  const asJson = body !== undefined && monitor['httpBodyEncoding'] === 'json';
  return {
    ...(method !== 'GET' && { method }),
    ...headersOf(importing, id, asJson ? { 'Content-Type': 'application/json', ...headers } : headers),
    ...(body !== undefined && { body }),
  };
}

/** A login of its own, or one that stands in the address. */
function loginOf(monitor: Members, url: URL, { importing, id }: Place): Members {
  const isOwn = textOf(monitor['basic_auth_user']) !== undefined;
  const user = isOwn ? textOf(monitor['basic_auth_user']) : unescaped(url.username);
  const value = isOwn ? (textOf(monitor['basic_auth_pass']) ?? '') : unescaped(url.password);
  if (user === undefined || user === '') return {};
  return { user, password: importing.secret(id, { part: 'password', value, about: `password of "${id}"` }) };
}

/** Uptime Kuma takes a sign of percent that escapes nothing as it is. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** How long to wait, and the time of the whole look, which is a little longer. */
function waiting(seconds: number): Members {
  const wait = Math.min(120, Math.ceil(seconds));
  return { giveUpAfter: `${wait}s`, timeout: `${wait + 3}s` };
}

function authNotes(monitor: Members): string[] {
  const method = textOf(monitor['authMethod']);
  if (method === undefined || method === 'basic') return [];
  return [`its login by "${method.slice(0, 20)}" is not carried over`];
}

function statusOf(value: unknown): Members {
  const given: unknown = typeof value === 'string' ? jsonOf(value) : value;
  const codes = (Array.isArray(given) ? given : []).filter((code): code is string => typeof code === 'string');
  if (codes.length === 0 || (codes.length === 1 && codes[0] === '200-299')) return {};
  return { status: codes.slice(0, 20).map((code) => (/^\d{3}$/.test(code) ? Number(code) : code)) };
}

function keyword(monitor: Members, place: Place): Converted {
  const base = http(monitor, place);
  const word = textOf(monitor['keyword']);
  if ('why' in base || word === undefined) return base;
  const wanted = isOn(monitor['invertKeyword']) ? { matchesNot: literal(word) } : { contains: word };
  return { ...base, check: { ...base.check, ...wanted } };
}

function jsonQuery(monitor: Members, place: Place): Converted {
  const base = http(monitor, place);
  if ('why' in base) return base;
  const path = plainPath(textOf(monitor['jsonPath']) ?? '');
  if (path === undefined) return { why: 'its JSON query is more than a path' };
  const rule = jsonRule(textOf(monitor['jsonPathOperator']) ?? '==', wordOf(monitor['expectedValue']));
  if (rule === undefined) return { why: 'its JSON query compares in a way that there is no rule for' };
  return { ...base, check: { ...base.check, json: [{ path, ...rule }] } };
}

function jsonRule(operator: string, expected: string): Members | undefined {
  const number = numberOf(expected);
  if (operator === '==') return jsonValues(expected);
  if (operator === 'contains') return { matches: literal(expected) };
  if (operator === '>' && number !== undefined) return { above: number };
  return operator === '<' && number !== undefined ? { below: number } : undefined;
}

function port(monitor: Members): Converted {
  const address = textOf(monitor['hostname']);
  const number = numberOf(monitor['port']);
  if (address === undefined || number === undefined) return { why: 'has no address or no port' };
  return { check: { kind: 'tcp', address, port: number }, notes: [] };
}

function ping(monitor: Members): Converted {
  const address = textOf(monitor['hostname']);
  return address === undefined ? { why: 'has no address' } : { check: { kind: 'ping', address }, notes: [] };
}

function dns(monitor: Members): Converted {
  const name = textOf(monitor['hostname']);
  const [server] = (textOf(monitor['dns_resolve_server']) ?? '').split(',').map((part) => part.trim());
  if (name === undefined || server === undefined || server === '') return { why: 'has no name or no server' };
  const number = numberOf(monitor['port']);
  const at =
    number === undefined || number === 53 ? server : `${server.includes(':') ? `[${server}]` : server}:${number}`;
  const type = textOf(monitor['dns_resolve_type']) ?? 'A';
  return { check: { kind: 'dns', server: at, name, ...(type !== 'A' && { type }) }, notes: [] };
}

function push(monitor: Members, { id }: Place): Converted {
  const seconds = numberOf(monitor['interval']) ?? 60;
  const notes = [`the job must call /ping/${id} of Lares where it calls /api/push/... of Uptime Kuma`];
  return { check: { kind: 'heartbeat', ping: id, period: `${seconds}s` }, notes };
}

function docker(monitor: Members, { host }: Place): Converted {
  const container = textOf(monitor['docker_container']);
  if (container === undefined) return { why: 'names no container' };
  if (host === undefined)
    return { why: `looks at the container "${container.slice(0, 80)}": say on which host with --host` };
  return { check: { kind: 'docker-container', host, containers: [container] }, notes: [] };
}

/** How often, and how long it must be bad: Kuma tries again `maxretries` times before it says so. */
function timed(
  { check, notes }: Exclude<Converted, { why: string }>,
  of: { monitor: Members; names: ReadonlyMap<string, string> },
): Converted {
  const { monitor, names } = of;
  const interval = numberOf(monitor['interval']) ?? 60;
  const holds = (numberOf(monitor['maxretries']) ?? 0) * (numberOf(monitor['retryInterval']) ?? interval);
  const group = names.get(wordOf(monitor['parent']));
  const isPush = check.kind === 'heartbeat';
  return {
    check: {
      ...check,
      ...(!isPush && interval !== 60 && { every: `${Math.max(1, interval)}s` }),
      ...(!isPush && holds > 0 && { for: `${holds}s` }),
      ...(group !== undefined && group !== '' && { labels: { group: group.slice(0, 100) } }),
    },
    notes:
      isPush || holds > 0 ? notes : [...notes, 'fires when it was bad for 2m; Uptime Kuma says so at the first look'],
  };
}
