import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ServerKeys } from './certificates.ts';
import { programPath, startDaemon } from './daemon.ts';
import { freePort } from './free-port.ts';

const run = promisify(execFile);

/** Debian's `postfix`, a whole instance of its own in a folder. Needs root, as Postfix does. */
export interface Postfix extends AsyncDisposable {
  /** For `postqueue -c`. */
  readonly configFolder: string;
  /** Takes mail for lab.test from everybody, relays nothing else, and offers STARTTLS. */
  readonly port: number;
  /** Relays whatever it is given. */
  readonly openPort: number;
  /** TLS from the first byte. */
  readonly tlsPort: number;
  /** Gives it a mail with Debian's `swaks`. */
  send(to: string): Promise<void>;
  /** Ends it; its queue stays. */
  stop(): Promise<void>;
}

export const canRunPostfix = process.getuid?.() === 0;

/** `relayHost`: where its mail goes; the default refuses connections, so that every mail is deferred. */
export async function startPostfix(of: { keys: ServerKeys; relayHost?: string; login?: string }): Promise<Postfix> {
  const folder = await mkdtemp(join(tmpdir(), 'lares-postfix-'));
  const at = (name: string): string => join(folder, name);
  const [port, openPort, tlsPort] = [await freePort(), await freePort(), await freePort()];
  // Its daemons run as the user "postfix", who must reach the folder.
  await chmod(folder, 0o755);
  for (const name of ['config', 'queue', 'data']) await mkdir(at(name));
  const { uid, gid } = await account('postfix');
  await chown(at('data'), uid, gid);
  await writeFile(at('config/key.pem'), of.keys.key, { mode: 0o600 });
  await writeFile(at('config/cert.pem'), of.keys.cert);
  const relayHost = of.relayHost ?? '[127.0.0.1]:1';
  await writeFile(at('config/main.cf'), mainConfig(folder, { relayHost, login: of.login }));
  await writeFile(at('config/master.cf'), masterConfig({ port, openPort, tlsPort }));
  const daemon = await startDaemon({
    program: 'postfix',
    args: ['-c', at('config'), 'start-fg'],
    isReady: async () => (await run('postqueue', ['-c', at('config'), '-j'])).stderr === '',
  });
  const stop = async (): Promise<void> => {
    // The master leads a process group of its own, which only it ends.
    await run(programPath('postfix') ?? 'postfix', ['-c', at('config'), 'abort']).catch((error: unknown) => error);
    await daemon.kill();
  };
  return {
    configFolder: at('config'),
    port,
    openPort,
    tlsPort,
    async send(to) {
      await run('swaks', [
        '--server',
        `127.0.0.1:${port}`,
        '--from',
        'lares@lab.test',
        '--to',
        to,
        '--helo',
        'lab.test',
      ]);
    },
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function account(name: string): Promise<{ uid: number; gid: number }> {
  const line = (await readFile('/etc/passwd', 'utf8')).split('\n').find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return { uid: Number(uid ?? 0), gid: Number(gid ?? 0) };
}

function mainConfig(folder: string, of: { relayHost: string; login: string | undefined }): string {
  const login = `smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = inline:{ { ${of.relayHost} = ${of.login} } }
smtp_sasl_security_options =
`;
  return `compatibility_level = 3.6
queue_directory = ${folder}/queue
data_directory = ${folder}/data
mail_owner = postfix
setgid_group = postdrop
maillog_file = ${folder}/mail.log
maillog_file_prefixes = ${folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.lab.test
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
mynetworks = 192.0.2.0/24
relay_domains = lab.test
relayhost = ${of.relayHost}
smtpd_relay_restrictions = reject_unauth_destination
smtpd_peername_lookup = no
smtpd_tls_security_level = may
smtpd_tls_cert_file = ${folder}/config/cert.pem
smtpd_tls_key_file = ${folder}/config/key.pem
smtp_tls_security_level = none
smtp_dns_support_level = disabled
${of.login === undefined ? '' : login}`;
}

function masterConfig(ports: { port: number; openPort: number; tlsPort: number }): string {
  return `127.0.0.1:${ports.port} inet n - n - - smtpd
127.0.0.1:${ports.openPort} inet n - n - - smtpd
  -o mynetworks=127.0.0.0/8 -o smtpd_relay_restrictions=permit_mynetworks,reject
127.0.0.1:${ports.tlsPort} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`;
}
