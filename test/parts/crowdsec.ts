import { execFile } from 'node:child_process';
import { appendFile, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { answersAt, startDaemon } from './daemon.ts';
import { freePort } from './free-port.ts';

/**
 * Debian's package `crowdsec`. Its postinst asks the internet for an account unless
 * /etc/crowdsec/online_api_credentials.yaml exists and is not empty.
 */
export const crowdsecPrograms = ['crowdsec', 'cscli'] as const;

const hub = '/var/lib/crowdsec/hub';
const items = [
  'parsers/s00-raw/crowdsecurity/syslog-logs.yaml',
  'parsers/s01-parse/crowdsecurity/sshd-logs.yaml',
  'parsers/s02-enrich/crowdsecurity/dateparse-enrich.yaml',
  'scenarios/crowdsecurity/ssh-bf.yaml',
];

export interface Crowdsec extends AsyncDisposable {
  readonly url: string;
  readonly metricsUrl: string;
  /** Its configuration, for `cscli -c`. */
  readonly config: string;
  /** The key of a bouncer called lares, and the password of a machine of that name. */
  readonly bouncerKey: string;
  readonly password: string;
  cscli(...args: string[]): Promise<string>;
  /** Failed logins by SSH as sshd writes them, in the log that it reads. */
  failLogins(address: string, count: number): Promise<void>;
}

/** Debian's CrowdSec on free ports of loopback: an account of its own, one log, and SSH brute force as its scenario. */
export async function startCrowdsec(): Promise<Crowdsec> {
  const folder = await mkdtemp(join(tmpdir(), 'lares-crowdsec-'));
  const [port, metricsPort] = [await freePort(), await freePort()];
  const config = await writeConfiguration(folder, { port, metricsPort });
  const log = join(folder, 'auth.log');
  const run = promisify(execFile);
  const cscli = async (...args: string[]): Promise<string> => (await run('cscli', ['-c', config, ...args])).stdout;
  const url = `http://127.0.0.1:${port}`;
  await cscli('machines', 'add', 'engine', '--password', 'engine-password', '-f', join(folder, 'credentials.yaml'));
  await cscli('machines', 'add', 'lares', '--password', 'lares-password', '-f', join(folder, 'lares.yaml'));
  const bouncerKey = (await cscli('bouncers', 'add', 'lares', '-o', 'raw')).trim();
  const daemon = await startDaemon({
    program: 'crowdsec',
    args: ['-c', config],
    isReady: async () => (await answersAt(`${url}/health`)) && answersAt(`http://127.0.0.1:${metricsPort}/metrics`),
  });
  return {
    url,
    metricsUrl: `http://127.0.0.1:${metricsPort}`,
    config,
    bouncerKey,
    password: 'lares-password',
    cscli,
    async failLogins(address, count) {
      const at = new Date().toUTCString().replace(/^\w+, (\d+) (\w+) \d+ ([\d:]+) GMT$/, '$2 $1 $3');
      const line = `${at} web sshd[1]: Failed password for invalid user admin from ${address} port 4000 ssh2\n`;
      await appendFile(log, line.repeat(count));
    },
    async [Symbol.asyncDispose]() {
      await daemon[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function writeConfiguration(folder: string, of: { port: number; metricsPort: number }): Promise<string> {
  const etc = join(folder, 'etc');
  const inEtc = (name: string): string => join(etc, name);
  for (const made of ['notifications', 'patterns', 'collections', 'postoverflows']) {
    await mkdir(inEtc(made), { recursive: true });
  }
  await rm(inEtc('patterns'), { recursive: true });
  await symlink('/etc/crowdsec/patterns', inEtc('patterns'));
  await mkdir(join(folder, 'data'));
  for (const item of items) {
    const [sort = '', stage = ''] = item.split('/');
    const into = inEtc(sort === 'parsers' ? join(sort, stage) : sort);
    await mkdir(into, { recursive: true });
    await symlink(join(hub, item), join(into, basename(item)));
  }
  for (const name of ['profiles.yaml', 'simulation.yaml']) await copyFile(`/etc/crowdsec/${name}`, inEtc(name));
  await writeFile(join(folder, 'auth.log'), '');
  const acquisition = { filenames: [join(folder, 'auth.log')], labels: { type: 'syslog' } };
  await writeFile(inEtc('acquis.yaml'), JSON.stringify(acquisition));
  const file = join(folder, 'config.yaml');
  await writeFile(file, JSON.stringify(settings(folder, of)));
  return file;
}

/** JSON, which is YAML too. */
function settings(folder: string, of: { port: number; metricsPort: number }): object {
  const etc = join(folder, 'etc');
  return {
    common: { daemonize: false, log_media: 'stdout', log_level: 'info', working_dir: '.' },
    config_paths: {
      config_dir: `${etc}/`,
      data_dir: `${folder}/data/`,
      simulation_path: join(etc, 'simulation.yaml'),
      hub_dir: `${hub}/`,
      index_path: `${hub}/.index.json`,
      notification_dir: `${etc}/notifications/`,
      plugin_dir: `${folder}/none/`,
    },
    crowdsec_service: { acquisition_path: join(etc, 'acquis.yaml'), parser_routines: 1 },
    db_config: { type: 'sqlite', db_path: join(folder, 'data/crowdsec.db'), flush: { max_items: 500, max_age: '7d' } },
    api: {
      client: { credentials_path: join(folder, 'credentials.yaml') },
      server: { listen_uri: `127.0.0.1:${of.port}`, profiles_path: join(etc, 'profiles.yaml') },
    },
    prometheus: { enabled: true, level: 'full', listen_addr: '127.0.0.1', listen_port: of.metricsPort },
  };
}
