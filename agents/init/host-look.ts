import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Failure, messageOf } from '#bus/failure.ts';
import { inventoryName } from '#config/plain-name.ts';
import type { CommandContext } from '../commands/command.ts';
import { systemClock } from '../runtime/clock.ts';
import { createSshPool } from '../runtime/ssh.ts';
import { scanHostKey } from '../runtime/ssh-host-key.ts';
import { fewAtOnce } from '../sentinel/probes/few-at-once.ts';
import type { Found, Proposal } from './proposal.ts';
import { presetsFor } from './products.ts';
import { proposal } from './proposal.ts';

/** A host to look at, as the person or an inventory names it. */
export interface HostTarget {
  /** Its name here; absent: what the host calls itself. */
  name?: string;
  address: string;
  port: number;
  user?: string;
  about: string;
}

const lookMs = 10_000;
const parallel = 8;

/** `user@host`, `user@host:2222`, `user@[::1]:22`; undefined when it is none. */
export function parseTarget(text: string): HostTarget | undefined {
  const [, user = '', bracketed, plain, port = '22'] =
    /^([^@\s]{1,64})@(?:\[([0-9a-fA-F:.]+)\]|([^@:\s[\]]{1,255}))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const address = bracketed ?? plain;
  if (address === undefined || Number(port) < 1 || Number(port) > 65_535) return undefined;
  return { address, port: Number(port), user, about: `SSH ${text}` };
}

/** The key that ssh would take when no agent runs. */
export function usualKey(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  if ((environment['SSH_AUTH_SOCK'] ?? '') !== '') return undefined;
  const files = ['id_ed25519', 'id_ecdsa', 'id_rsa'].map((name) => join(homedir(), '.ssh', name));
  return files.find((file) => existsSync(file));
}

/** Looks at hosts over SSH: their keys, whether the login works, and what they call themselves. */
export async function lookAtHosts(
  targets: readonly HostTarget[],
  of: { context: CommandContext; keyFile: string | undefined; say: (text: string) => void },
): Promise<Found> {
  const pool = createSshPool({ log: of.context.log, clock: systemClock });
  const found: Found = { proposals: [], remarks: [] };
  try {
    const looks = await fewAtOnce(targets, parallel, (target) => lookAt(target, { ...of, pool }));
    for (const look of looks) {
      if (typeof look === 'string') found.remarks.push(look);
      else found.proposals.push(look);
    }
  } finally {
    await pool.close();
  }
  return found;
}

interface Looking {
  context: CommandContext;
  keyFile: string | undefined;
  say: (text: string) => void;
  pool: ReturnType<typeof createSshPool>;
}

async function lookAt(target: HostTarget, looking: Looking): Promise<Proposal | string> {
  const { context, say } = looking;
  const { address, port, about } = target;
  try {
    const hostKeys = await scanHostKey(address, port, AbortSignal.any([context.signal, AbortSignal.timeout(lookMs)]));
    say(`${about}: it shows ${hostKeys.join(', ')}`);
    return await logIn(target, hostKeys, looking);
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof Failure) && !(error instanceof Error && error.name === 'TimeoutError')) throw error;
    return `${about}: left out: ${messageOf(error)}`;
  }
}

async function logIn(target: HostTarget, hostKeys: readonly string[], looking: Looking): Promise<Proposal> {
  const { address, user } = target;
  const login: Login =
    user === undefined
      ? { ok: false, reason: 'no user is known' }
      : await tryLogin({ ...target, user }, hostKeys, looking);
  const name = target.name ?? login.hostname ?? inventoryName(address) ?? 'host';
  const words = login.ok ? `${user} can log in${runs(login.products)}` : `no login: ${login.reason}`;
  looking.say(`${target.about}: ${words}`);
  return hostOf({ ...target, name }, { hostKeys, words, login, keyFile: looking.keyFile });
}

interface Seen {
  hostKeys: readonly string[];
  words: string;
  login: Login;
  keyFile: string | undefined;
}

function hostOf({ name, address, port, user, about }: HostTarget & { name: string }, seen: Seen): Proposal {
  const { hostKeys, words, login, keyFile } = seen;
  const read = login.ok ? { read: { user, ...(keyFile !== undefined && { keyFile }) } } : {};
  const compare = 'Compare the keys on the host: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub';
  const place = port === 22 ? address : `${address}:${port}`;
  return proposal({
    section: 'hosts',
    name,
    text: `host ${name} (${place}): ${words}; pins ${hostKeys[0] ?? 'no key'}`,
    entry: {
      ...(address !== name && { address }),
      ...(port !== 22 && { port }),
      hostKeys: [...hostKeys],
      ...read,
    },
    notes: [`${about}. ${compare}`, ...notesOn(seen)],
  });
}

function runs(products: readonly string[]): string {
  return products.length === 0 ? '' : `, runs ${products.join(', ')}`;
}

function notesOn({ login, words, keyFile }: Seen): string[] {
  if (!login.ok) return [`Only its SSH port is looked at: ${words}.`];
  const notes = login.products.map((name) => `Runs ${name}: "lares presets ${name}" says how it is watched.`);
  return keyFile === undefined ? [...notes, 'The key comes from the agent at SSH_AUTH_SOCK.'] : notes;
}

type Login =
  | { ok: true; hostname: string | undefined; products: string[] }
  | { ok: false; reason: string; hostname?: undefined };

async function tryLogin(
  { address, port, user }: HostTarget & { user: string },
  hostKeys: readonly string[],
  { context, keyFile, pool }: Looking,
): Promise<Login> {
  const runner = pool.runner({ address, port, user, hostKeys, keyFile, passphraseFile: undefined });
  const end = await runner.run(['uname', '-n'], { timeoutMs: lookMs, signal: context.signal });
  if (end.end === 'exited' && end.code === 0) {
    const hostname = inventoryName(end.output.stdout.trim().split('.')[0] ?? '');
    return { ok: true, hostname, products: await productsOf(runner, context.signal) };
  }
  const reason = end.end === 'unreachable' || end.end === 'lost' ? end.reason : `"uname" ended: ${end.end}`;
  return { ok: false, reason };
}

/** What runs there and has a preset. A host without systemd has no units to tell. */
async function productsOf(runner: ReturnType<Looking['pool']['runner']>, signal: AbortSignal): Promise<string[]> {
  const asked = [
    'systemctl',
    'list-units',
    '--type=service',
    '--state=running',
    '--plain',
    '--no-legend',
    '--no-pager',
  ];
  const end = await runner.run(asked, { timeoutMs: lookMs, signal });
  if (end.end !== 'exited' || end.code !== 0) return [];
  return presetsFor(end.output.stdout.split('\n').map((line) => line.trim().split(/\s+/)[0] ?? ''));
}
