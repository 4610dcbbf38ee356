import { startSshd } from '../parts/sshd.ts';
import { Lab, labMissing } from '../fleet/lab.ts';

export interface SshHost {
  name: string;
  address: string;
  port: number;
  user: string;
  hostKeys: string[];
  keyFile: string;
}

export interface SshFleet extends AsyncDisposable {
  readonly kind: string;
  readonly hosts: readonly SshHost[];
}

/** Containers with systemd and sshd where the machine can run them, else servers on loopback. */
export async function openSshFleet(count: number): Promise<SshFleet> {
  return (await labMissing()) === undefined ? openContainers(count) : openServers(count);
}

async function openContainers(count: number): Promise<SshFleet> {
  const lab = await Lab.open();
  const options = Array.from({ length: count }, (_, index) => ({ name: `b${index}`, number: 50 + index }));
  const booted = await lab.boot(...options);
  const hosts = await Promise.all(
    booted.map(async (host) => ({
      name: host.name,
      address: host.address,
      port: 22,
      user: 'root',
      hostKeys: [await host.hostKey()],
      keyFile: lab.keyFile,
    })),
  );
  return { kind: 'LXC containers', hosts, [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose]() };
}

/** Servers on this machine: what is installed here is installed there. */
export async function openServers(count: number): Promise<SshFleet> {
  await using starting = new AsyncDisposableStack();
  const hosts: SshHost[] = [];
  for (let index = 0; index < count; index += 1) {
    const server = starting.use(await startSshd());
    hosts.push({ name: `b${index}`, ...server.target });
  }
  const running = starting.move();
  return { kind: 'sshd on loopback', hosts, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
