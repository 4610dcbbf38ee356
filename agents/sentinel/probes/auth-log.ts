import { matchesKnown } from '#config/bounded-pattern.ts';
import { jsonOf, oneLine } from './text.ts';

/** One attempt to log in, as a log tells it. */
export interface AuthEvent {
  /** Epoch ms by the clock of the host. */
  at: number;
  is: 'failure' | 'success';
  /** The address, or for `sudo` and the like `sudo alice`: who tried. */
  source: string;
  user: string;
  /** `sshd`, `pvedaemon`: what was logged in to. */
  service: string;
  /** `password`, `publickey`. */
  method: string;
  count: number;
}

interface AuthLog {
  events: AuthEvent[];
  /** Of the last entry. */
  cursor?: string;
  entries: number;
  /** Entries of which the expressions took too long to say what they are. */
  unread: number;
}

/** Programs whose entries are asked for; people add theirs. */
export const authIdentifiers = ['sshd', 'sshd-session', 'sudo', 'su', 'login', 'pvedaemon', 'pveproxy', 'dropbear'];

interface Entry {
  at: number;
  service: string;
  pid: string;
  message: string;
}

/**
 * Reads `journalctl -o json`. Names of users are chosen by strangers, so the address is the last one of its line. One
 * connection may log several lines; those that only say how it ended count when nothing else of it did.
 */
export function parseAuthLog(text: string, patterns: readonly string[] = []): AuthLog {
  const read: Entry[] = [];
  let cursor: string | undefined;
  let entries = 0;
  for (const line of text.split('\n')) {
    const object = line.startsWith('{') ? jsonOf(line) : undefined;
    if (object === null || typeof object !== 'object') continue;
    const fields = object as Record<string, unknown>;
    if (typeof fields['__CURSOR'] === 'string') cursor = fields['__CURSOR'];
    entries += 1;
    const entry = entryOf(fields);
    if (entry !== undefined) read.push(entry);
  }
  return { ...eventsOf(read, patterns), entries, ...(cursor !== undefined && { cursor }) };
}

function eventsOf(entries: readonly Entry[], patterns: readonly string[]): Pick<AuthLog, 'events' | 'unread'> {
  const counted = new Set<string>();
  const events: AuthEvent[] = [];
  let unread = 0;
  for (const [index, custom] of customEvents(entries, patterns).entries()) {
    const entry = entries[index];
    if (entry === undefined) continue;
    const event = eventOf(entry, counted, custom === 'unread' ? undefined : custom);
    if (event !== undefined) events.push(event);
    else if (custom === 'unread') unread += 1;
  }
  return { events, unread };
}

function entryOf(fields: Record<string, unknown>): Entry | undefined {
  const at = Number(fields['__REALTIME_TIMESTAMP']) / 1_000;
  const message = messageOf(fields['MESSAGE']);
  const service = fields['SYSLOG_IDENTIFIER'];
  if (!Number.isFinite(at) || message === undefined || typeof service !== 'string') return undefined;
  // Anybody may log as "sshd"; journald itself writes down whose process it was.
  if (service.startsWith('sshd') && typeof fields['_UID'] === 'string' && fields['_UID'] !== '0') return undefined;
  return {
    at,
    message,
    service: oneLine(service, 40),
    pid: typeof fields['_PID'] === 'string' ? oneLine(fields['_PID'], 12) : '',
  };
}

/** A message that is no UTF-8 is an array of bytes. */
function messageOf(message: unknown): string | undefined {
  if (typeof message === 'string') return message.slice(0, 2_000);
  if (!Array.isArray(message)) return undefined;
  return Buffer.from(message.slice(0, 2_000).filter((byte) => typeof byte === 'number')).toString('utf8');
}

function eventOf(entry: Entry, counted: Set<string>, custom: Found | undefined): AuthEvent | undefined {
  const found = custom ?? readers.get(entry.service)?.(entry);
  if (found === undefined) return undefined;
  const { isEnd, ...event } = found;
  const connection = `${entry.service} ${entry.pid}`;
  if (isEnd === true && counted.has(connection)) return undefined;
  counted.add(connection);
  return {
    at: entry.at,
    is: 'failure',
    method: '',
    count: 1,
    service: entry.service,
    ...event,
    source: oneLine(event.source.replace(/^::ffff:/, ''), 80) || 'unknown',
    user: oneLine(event.user ?? '', 60),
  };
}

type Found = Partial<Omit<AuthEvent, 'user'>> & { source: string; user?: string | undefined; isEnd?: boolean };

const sshdFailed = /^Failed (\S+) for (?:invalid user )?(.*) from (\S+) port \d+(?: ssh2)?(?:: .*)?$/s;
const sshdAccepted = /^Accepted (\S+) for (.*) from (\S+) port \d+(?: ssh2)?(?:: .*)?$/s;
// With keys only nothing "fails": the stranger goes, or is sent away.
const sshdGone =
  /^(?:Invalid user (.*) from (\S+) port \d+|(?:Connection (?:closed|reset) by|Disconnected from) (?:invalid|authenticating) user (.*) (\S+) port \d+ \[preauth\])$/s;

function readSshd({ message }: Entry): Found | undefined {
  const [, by, user = '', source = ''] = sshdFailed.exec(message) ?? [];
  // A client offers every key it has before the right one.
  if (by !== undefined) return by === 'publickey' || by === 'none' ? undefined : { source, user, method: methodOf(by) };
  return readAccepted(message) ?? readGone(message);
}

function readAccepted(message: string): Found | undefined {
  const [, method, user = '', source = ''] = sshdAccepted.exec(message) ?? [];
  return method === undefined ? undefined : { is: 'success', source, user, method: methodOf(method) };
}

function readGone(message: string): Found | undefined {
  const match = sshdGone.exec(message);
  return match === null ? undefined : { source: match[2] ?? match[4] ?? '', user: match[1] ?? match[3], isEnd: true };
}

function methodOf(text: string): string {
  return text.startsWith('keyboard-interactive') ? 'password' : oneLine(text, 30);
}

function readSudo({ message }: Entry): Found | undefined {
  const match = /^\s*(\S+) : (\d{1,4}) incorrect password attempts? ;/.exec(message);
  return match === null
    ? undefined
    : { source: `sudo ${match[1]}`, user: match[1] ?? '', method: 'password', count: Number(match[2]) };
}

function readSu({ message }: Entry): Found | undefined {
  const match = /^FAILED SU \(to (\S+)\) (\S+) on /.exec(message);
  return match === null ? undefined : { source: `su ${match[2]}`, user: match[1] ?? '', method: 'password' };
}

function readLogin({ message }: Entry): Found | undefined {
  const match = /^FAILED LOGIN \(\d+\) on '(\S+)'(?: from '(\S+)')? FOR '(.*)',/.exec(message);
  return match === null ? undefined : { source: match[2] ?? `login ${match[1]}`, user: match[3] ?? '' };
}

function readProxmox({ message }: Entry): Found | undefined {
  const match = /^authentication failure; rhost=(\S*) user=(\S*) msg=/.exec(message);
  return match === null ? undefined : { source: match[1] ?? '', user: match[2] ?? '', method: 'password' };
}

function readDropbear({ message }: Entry): Found | undefined {
  const bad =
    /^(?:\[\d+\] )?(?:Bad password attempt for '(.*)'|Login attempt for nonexistent user) from (\S+):\d+$/.exec(
      message,
    );
  if (bad !== null) return { source: bad[2] ?? '', user: bad[1] ?? '', method: 'password' };
  const good = /^(?:\[\d+\] )?(Password|Pubkey) auth succeeded for '(.*)'.* from (\S+):\d+$/.exec(message);
  if (good === null) return undefined;
  const method = good[1] === 'Password' ? 'password' : 'publickey';
  return { is: 'success', source: good[3] ?? '', user: good[2] ?? '', method };
}

const readers: ReadonlyMap<string, (entry: Entry) => Found | undefined> = new Map([
  ['sshd', readSshd],
  ['sshd-session', readSshd],
  ['sudo', readSudo],
  ['su', readSu],
  ['login', readLogin],
  ['pvedaemon', readProxmox],
  ['pveproxy', readProxmox],
  ['dropbear', readDropbear],
]);

/** For the expressions of one look together. A stranger chooses the lines, and a person wrote the expressions. */
const budgetMs = 1_000;

/**
 * Failures of other programs, one for each entry: the groups `source` and `user` of the first expression of the
 * configuration that matches. `unread` is one that could not be matched in time.
 */
function customEvents(entries: readonly Entry[], patterns: readonly string[]): (Found | 'unread' | undefined)[] {
  const texts = entries.map(({ message }) => message);
  const found: (Found | 'unread' | undefined)[] = texts.map(() => undefined);
  for (const source of patterns) {
    const pattern = new RegExp(source, 'u');
    for (const [index, matches] of matchesKnown(pattern, texts, budgetMs / patterns.length).entries()) {
      if (typeof found[index] === 'object') continue;
      if (matches === undefined) found[index] = 'unread';
      else if (matches) found[index] = foundBy(pattern, texts[index] ?? '');
    }
  }
  return found;
}

function foundBy(pattern: RegExp, text: string): Found {
  const groups = pattern.exec(text)?.groups ?? {};
  return { source: groups['source'] ?? 'unknown', user: groups['user'] ?? '' };
}
