import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { Resolver } from 'node:dns/promises';
import { join } from 'node:path';
import type { ServerKeys } from './certificates.ts';
import { startDaemon } from './daemon.ts';
import { freePort } from './free-port.ts';

/** Debian's `unbound` as a house has it: own names, a blocklist, and DNS over TLS where it is given keys. */
export interface Unbound extends AsyncDisposable {
  readonly plain: string;
  readonly tls: string;
}

export async function startUnbound(keys?: ServerKeys): Promise<Unbound> {
  const folder = await mkdtemp(join(tmpdir(), 'lares-unbound-'));
  const port = await freePort();
  const tlsPort = await freePort();
  const file = (name: string): string => join(folder, name);
  if (keys !== undefined) {
    await writeFile(file('key.pem'), keys.key);
    await writeFile(file('cert.pem'), keys.cert);
  }
  const tls = `  interface: 127.0.0.1@${tlsPort}
  tls-port: ${tlsPort}
  tls-service-key: "${file('key.pem')}"
  tls-service-pem: "${file('cert.pem')}"\n`;
  await writeFile(
    file('unbound.conf'),
    `server:
  directory: "${folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  module-config: "iterator"
  do-not-query-localhost: yes
  interface: 127.0.0.1@${port}
${keys === undefined ? '' : tls}  access-control: 127.0.0.0/8 allow
  local-zone: "home.test." static
  local-data: "nas.home.test. IN A 192.0.2.5"
  local-zone: "ads.test." always_nxdomain
  local-zone: "track.test." always_null
  local-zone: "broken.test." deny
  local-zone: "closed.test." refuse
remote-control:
  control-enable: no
`,
  );
  const daemon = await startDaemon({
    program: 'unbound',
    args: ['-d', '-c', file('unbound.conf')],
    isReady: async () => {
      const resolver = new Resolver({ timeout: 500, tries: 1 });
      resolver.setServers([`127.0.0.1:${port}`]);
      return (await resolver.resolve4('nas.home.test')).length === 1;
    },
  });
  return {
    plain: `127.0.0.1:${port}`,
    tls: `127.0.0.1:${tlsPort}`,
    async [Symbol.asyncDispose]() {
      await daemon.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
