import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Daemon, startDaemon } from './daemon.ts';
import { freePort } from './free-port.ts';

const run = promisify(execFile);

/** An object that the agent tells of instead of its own. */
export interface PlayedObject {
  oid: string;
  type: 'integer' | 'uinteger' | 'octet_str' | 'counter';
  value: number | string;
}

/** Debian's `snmpd` (net-snmp) on loopback; the tools are those of `snmp`. */
export interface Snmpd extends AsyncDisposable {
  readonly port: number;
  readonly community: string;
  /** SNMP v3, authPriv with SHA-256 and AES. */
  readonly user: { name: string; auth: string; privacy: string };
  /** Tells of these objects from now on, instead of those before. */
  play(objects: readonly PlayedObject[]): Promise<void>;
  /** Ends it; the port is closed. */
  kill(): Promise<void>;
}

export async function startSnmpd(objects: readonly PlayedObject[] = []): Promise<Snmpd> {
  const folder = await mkdtemp(join(tmpdir(), 'lares-snmpd-'));
  const port = await freePort();
  const conf = join(folder, 'snmpd.conf');
  const community = 'lares-test';
  const user = { name: 'lares', auth: 'auth-password', privacy: 'privacy-password' };
  const anything = '1.3.6.1.2.1.1.5.0';
  const write = async (played: readonly PlayedObject[]): Promise<void> => {
    const lines = [
      `agentaddress udp:127.0.0.1:${port}`,
      `rocommunity ${community} 127.0.0.1`,
      `createUser ${user.name} SHA-256 "${user.auth}" AES "${user.privacy}"`,
      `rouser ${user.name} authpriv`,
      'sysName device.lab.test',
      ...played.map(({ oid, type, value }) => `override ${oid} ${type} ${value}`),
    ];
    await writeFile(conf, `${lines.join('\n')}\n`, { mode: 0o600 });
  };
  // Without the MIBs that are not free the tools print hundreds of errors.
  const env = { MIBS: '', SNMP_PERSISTENT_DIR: folder, SNMPCONFPATH: folder };
  const answers = async (): Promise<boolean> => {
    const args = ['-v2c', '-c', community, '-On', '-Oqv', '-t', '0.2', '-r', '0', `127.0.0.1:${port}`, anything];
    return (await run('snmpget', args, { env: { ...process.env, ...env } })).stdout.includes('lab.test');
  };
  const start = async (played: readonly PlayedObject[]): Promise<Daemon> => {
    await write(played);
    const args = ['-f', '-Lo', '-C', '-c', conf, '-I', '-smux'];
    return startDaemon({ program: 'snmpd', args, env, isReady: answers });
  };
  let daemon = await start(objects);
  return {
    port,
    community,
    user,
    async play(played) {
      // It reads `override` only when it starts.
      await daemon.kill();
      daemon = await start(played);
    },
    kill: () => daemon.kill(),
    async [Symbol.asyncDispose]() {
      await daemon.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
