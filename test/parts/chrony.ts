import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDaemon } from './daemon.ts';
import { freePort } from './free-port.ts';

/** Debian's `chrony` as a time server that follows nothing and never touches this machine's clock. */
export interface Chrony extends AsyncDisposable {
  readonly port: number;
}

/** With a stratum it vouches for its own time; without one it says that it is not synchronised. */
export async function startChrony(stratum?: number): Promise<Chrony> {
  const folder = await mkdtemp(join(tmpdir(), 'lares-chrony-'));
  const port = await freePort();
  const pidFile = join(folder, 'pid');
  const conf = join(folder, 'chrony.conf');
  const lines = [
    `port ${port}`,
    'bindaddress 127.0.0.1',
    'allow 127.0.0.1',
    'cmdport 0',
    'bindcmdaddress /',
    `pidfile ${pidFile}`,
    ...(stratum === undefined ? [] : [`local stratum ${stratum}`]),
  ];
  await writeFile(conf, `${lines.join('\n')}\n`);
  const daemon = await startDaemon({
    program: 'chronyd',
    args: ['-x', '-d', '-U', '-u', 'root', '-f', conf],
    isReady: () => Promise.resolve(existsSync(pidFile)),
  });
  return {
    port,
    async [Symbol.asyncDispose]() {
      await daemon.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
