import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { programPath, startDaemon } from './daemon.ts';
import { until } from './until.ts';

const run = promisify(execFile);

export interface Dockerd extends AsyncDisposable {
  readonly socketPath: string;
  /** The `docker` command at this engine; gives what it prints. */
  docker(...args: string[]): Promise<string>;
}

/** A real engine in a folder of its own, without any network, with one image `bb:1` that holds busybox. */
export async function startDockerd(): Promise<Dockerd> {
  const folder = mkdtempSync(join(tmpdir(), 'lares-dockerd-'));
  const at = (name: string): string => join(folder, name);
  const socketPath = at('d.sock');
  const docker = async (...args: string[]): Promise<string> => {
    const { stdout } = await run('docker', ['-H', `unix://${socketPath}`, ...args], { timeout: 20_000 });
    return stdout.trim();
  };
  const places = ['--data-root', at('data'), '--exec-root', at('exec'), '--pidfile', at('pid')];
  const quiet = ['--iptables=false', '--ip6tables=false', '--bridge=none', '--storage-driver=vfs', '--log-level=error'];
  const daemon = await startDaemon({
    program: 'dockerd',
    args: ['-H', `unix://${socketPath}`, ...places, ...quiet],
    isReady: async () => (await docker('info')) !== '',
  });
  const root = at('root');
  mkdirSync(join(root, 'bin'), { recursive: true });
  copyFileSync(programPath('busybox') ?? '/bin/busybox', join(root, 'bin/busybox'));
  for (const name of ['sh', 'sleep', 'true', 'false', 'echo', 'cat']) symlinkSync('busybox', join(root, 'bin', name));
  await run('tar', ['-C', root, '-cf', at('root.tar'), '.']);
  await docker('import', at('root.tar'), 'bb:1');
  return {
    socketPath,
    docker,
    async [Symbol.asyncDispose]() {
      const ids = await docker('ps', '-aq');
      if (ids !== '') await docker('rm', '-f', ...ids.split('\n'));
      // It ends its containerd, which is a session of its own, only when it is asked.
      daemon.signal('SIGTERM');
      await until(() => !isRunning(daemon.pid), 'the end of dockerd');
      await daemon.kill();
      await unmountAll(folder);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function isRunning(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).length > 0;
  } catch {
    return false;
  }
}

/** A killed engine leaves its mounts. */
async function unmountAll(folder: string): Promise<void> {
  const { stdout } = await run('cat', ['/proc/mounts']);
  const mounts = stdout.split('\n').map((line) => line.split(' ')[1] ?? '');
  for (const mount of mounts.filter((path) => path.startsWith(`${folder}/`)).toReversed()) {
    await run('umount', ['-l', mount]).catch(() => undefined);
  }
}
