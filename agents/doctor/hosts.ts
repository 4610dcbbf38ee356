import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import type { HostConfig } from '#config/schema.ts';
import type { CommandContext } from '../commands/command.ts';
import { systemClock } from '../runtime/clock.ts';
import { localRunner } from '../runtime/local-command.ts';
import { messageOf } from '#bus/failure.ts';
import { createSshPool, type SshPool } from '../runtime/ssh.ts';
import { scanHostKey } from '../runtime/ssh-host-key.ts';
import { readCredentials } from '../runtime/ssh-login.ts';
import type { Finding } from './finding.ts';
import { examineSudo } from './sudo.ts';

const lookMs = 10_000;

type Login = NonNullable<HostConfig['read']>;

export async function* examineHosts(context: CommandContext): AsyncGenerator<Finding> {
  const pool = createSshPool({ log: context.log, clock: systemClock });
  try {
    for (const [name, host] of Object.entries(context.loaded.config.hosts)) {
      if (host.via === 'local') yield* examineHere(name, host, context);
      else if (host.via === 'none') yield { subject: name, ok: true, text: 'no login: it is a device' };
      else yield* examineHost({ name, host, pool, context });
    }
  } finally {
    await pool.close();
  }
}

/** Commands of plans run as the user of the process. */
async function* examineHere(name: string, host: HostConfig, context: CommandContext): AsyncGenerator<Finding> {
  yield { subject: name, ok: true, text: 'this machine' };
  const { username: user, uid } = userInfo();
  if (!host.sudo || uid === 0) return;
  const { loaded, signal } = context;
  yield await examineSudo({ subject: `${name} (act)`, host: name, user, runner: localRunner, loaded, signal });
}

interface Examined {
  name: string;
  host: HostConfig;
  pool: SshPool;
  context: CommandContext;
}

async function* examineHost(examined: Examined): AsyncGenerator<Finding> {
  const { name, host, context } = examined;
  const address = host.address ?? name;
  let shown: readonly string[];
  try {
    shown = await scanHostKey(address, host.port, AbortSignal.any([context.signal, AbortSignal.timeout(lookMs)]));
  } catch (error) {
    context.signal.throwIfAborted();
    const isAtRest = host.onDemand !== undefined;
    if (isAtRest) yield { subject: name, ok: true, text: `${messageOf(error)}; it may rest (onDemand)` };
    else yield { subject: name, ok: false, text: messageOf(error), mend: `ssh -p ${host.port} ${address}` };
    return;
  }
  if (!shown.some((key) => host.hostKeys.includes(key))) {
    const mend = `compare with "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" on the host, then set hosts.${name}.hostKeys: [${shown.join(', ')}]`;
    const text =
      host.hostKeys.length === 0 ? 'its host key is not pinned' : 'it shows another host key than the pinned one';
    yield { subject: name, ok: false, text, mend };
    return;
  }
  yield { subject: name, ok: true, text: `${address}:${host.port} shows its pinned key` };
  yield await examineLogin(examined, 'read');
  yield await examineLogin(examined, 'act');
}

/** With a broker of its own this may be the machine of another agent: the login stands where that one runs. */
function withoutLogin(subject: string, purpose: 'read' | 'act', at: { name: string; isAlone: boolean }): Finding {
  if (purpose === 'act') return { subject, ok: true, text: 'no act login: nothing can be run there' };
  if (!at.isAlone) return { subject, ok: true, text: 'no read login: nothing on it can be looked at from here' };
  const mend = `set hosts.${at.name}.read.user and .keyFile`;
  return { subject, ok: false, text: 'no read login: nothing on it can be looked at', mend };
}

async function examineLogin({ name, host, pool, context }: Examined, purpose: 'read' | 'act'): Promise<Finding> {
  const login = host[purpose];
  const subject = `${name} (${purpose})`;
  if (login === undefined) {
    return withoutLogin(subject, purpose, { name, isAlone: context.loaded.config.bus.url === undefined });
  }
  const runner = pool.runner({
    address: host.address ?? name,
    port: host.port,
    user: login.user,
    hostKeys: host.hostKeys,
    keyFile: login.keyFile,
    passphraseFile: login.passphraseFile,
  });
  const end = await runner.run(['true'], { timeoutMs: lookMs, signal: context.signal });
  if (end.end === 'exited' && end.code === 0) {
    const needsSudo = purpose === 'act' && host.sudo && login.user !== 'root';
    return needsSudo
      ? examineSudo({ subject, host: name, user: login.user, runner, loaded: context.loaded, signal: context.signal })
      : { subject, ok: true, text: `${login.user} can log in` };
  }
  const reason = end.end === 'unreachable' || end.end === 'lost' ? end.reason : `"true" ended: ${end.end}`;
  return { subject, ok: false, text: reason, mend: await mendOf(login, { name, purpose, host }) };
}

/** A key that cannot be used here is no business of the host. */
async function mendOf(
  login: Login,
  { name, purpose, host }: { name: string; purpose: 'read' | 'act'; host: HostConfig },
): Promise<string> {
  const credentials = await readCredentials(login);
  const key = login.keyFile ?? '<key>';
  if (credentials.ok) return `ssh-copy-id -i ${key}.pub -p ${host.port} ${login.user}@${host.address ?? name}`;
  const at = `hosts.${name}.${purpose}`;
  if (login.keyFile === undefined) return `set ${at}.keyFile, or start Lares where SSH_AUTH_SOCK points to an agent`;
  if (!existsSync(key)) return `ssh-keygen -t ed25519 -f ${key} -N '', or set ${at}.keyFile to the key that is there`;
  return `for a key with a passphrase set ${at}.passphraseFile; else a private OpenSSH key that this user can read`;
}
