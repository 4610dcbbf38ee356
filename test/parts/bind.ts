import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Resolver } from 'node:dns/promises';
import { type Daemon, startDaemon } from './daemon.ts';
import { freePort } from './free-port.ts';
import { until } from './until.ts';

/** Debian's `bind9`: a primary with a key for transfers, and a secondary that follows it and gives the zone to anybody. */
export interface BindPair extends AsyncDisposable {
  readonly zone: string;
  readonly primary: string;
  readonly secondary: string;
  /** Secret of the key `transfer`, in base64. */
  readonly transferSecret: string;
  /** Writes the zone with this serial and address of `www` and reloads the primary. */
  publish(serial: number, address?: string): Promise<void>;
  /** From now on the primary transfers the zone to nobody. */
  refuseTransfers(): Promise<void>;
  killSecondary(): Promise<void>;
  serialOf(server: string): Promise<number | undefined>;
}

const zone = 'lab.test';
const transferSecret = 'bGFyZXMtdGVzdC1rZXktMDEyMzQ1Njc4OWFiY2RlZg==';
const key = `key "transfer" { algorithm hmac-sha256; secret "${transferSecret}"; };`;

export async function startBindPair(serial = 10): Promise<BindPair> {
  const folder = await mkdtemp(join(tmpdir(), 'lares-bind-'));
  const ports = { primary: await freePort(), secondary: await freePort() };
  const file = (name: string): string => join(folder, name);
  const writeZone = (serial: number, address: string): Promise<void> =>
    writeFile(file('primary.zone'), zoneText(serial, address));
  const writePrimary = (allowed: string): Promise<void> =>
    writeFile(
      file('primary.conf'),
      `${options(folder, ports.primary)}
zone "${zone}" {
  type primary; file "${file('primary.zone')}"; notify explicit;
  also-notify { 127.0.0.1 port ${ports.secondary}; }; allow-transfer { ${allowed}; };
};\n`,
    );
  await writeZone(serial, '192.0.2.10');
  await writePrimary('key "transfer"');
  await writeFile(
    file('secondary.conf'),
    `${options(folder, ports.secondary)}
zone "${zone}" {
  type secondary; file "${file('secondary.zone')}"; notify no;
  primaries { 127.0.0.1 port ${ports.primary} key "transfer"; }; allow-transfer { any; };
};\n`,
  );
  const start = (role: 'primary' | 'secondary'): Promise<Daemon> =>
    startDaemon({
      program: 'named',
      args: ['-g', '-4', '-n', '1', '-c', file(`${role}.conf`)],
      isReady: async () => (await serialAt(ports[role])) !== undefined,
    });
  const primary = await start('primary');
  const secondary = await start('secondary').catch(async (error: unknown) => {
    await primary.kill();
    throw error;
  });
  return {
    zone,
    transferSecret,
    primary: `127.0.0.1:${ports.primary}`,
    secondary: `127.0.0.1:${ports.secondary}`,
    async publish(next, address = '192.0.2.10') {
      await writeZone(next, address);
      primary.signal('SIGHUP');
      await until(async () => (await serialAt(ports.primary)) === next, `serial ${next} at the primary`);
    },
    async refuseTransfers() {
      await writePrimary('none');
      await writeZone(serial, '192.0.2.10');
      primary.signal('SIGHUP');
      await until(() => primary.output.includes('reloading zones succeeded'), 'the new configuration');
    },
    killSecondary: () => secondary.kill(),
    serialOf: (server) => serialAt(Number(server.split(':')[1])),
    async [Symbol.asyncDispose]() {
      await Promise.all([primary.kill(), secondary.kill()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function serialAt(port: number): Promise<number | undefined> {
  const resolver = new Resolver({ timeout: 500, tries: 1 });
  resolver.setServers([`127.0.0.1:${port}`]);
  return resolver.resolveSoa(zone).then(
    ({ serial }) => serial,
    () => undefined,
  );
}

function options(folder: string, port: number): string {
  return `${key}
options {
  directory "${folder}"; pid-file none; session-keyfile none; lock-file none; managed-keys-directory "${folder}";
  listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; };
  recursion no; dnssec-validation no; allow-query { any; }; empty-zones-enable no;
};
controls { };`;
}

/** TXT data longer than a datagram of 512 bytes, so that the answer is cut short over UDP. */
function zoneText(serial: number, address: string): string {
  const long = Array.from({ length: 8 }, (_, index) => `"${String(index).repeat(200)}"`).join(' ');
  return `$TTL 60
@ IN SOA ns1 hostmaster ( ${serial} 3600 600 86400 60 )
@ IN NS ns1
ns1 IN A 127.0.0.1
www IN A ${address}
two IN A 192.0.2.1
two IN A 192.0.2.2
alias IN CNAME www
six IN AAAA 2001:db8::1
@ IN MX 10 mail
_imap._tcp IN SRV 0 5 143 mail
mail IN A 192.0.2.25
note IN TXT "v=spf1 -all"
long IN TXT ${long}
@ IN CAA 0 issue "letsencrypt.org"
`;
}
