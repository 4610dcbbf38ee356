import { connect } from 'node:net';
import { until } from '../parts/until.ts';

export interface FleetHostOptions {
  name: string;
  /** Last byte of its address, 2 to 250. */
  number: number;
  /** nginx and Docker on top of the base system. */
  services?: boolean;
  /** May run Docker itself. */
  nesting?: boolean;
  /** Size of an ext4 root of its own (`192M`), to be filled; absent: shares the lab's tmpfs. */
  disk?: string;
  /** Units enabled at boot. */
  units?: string[];
}

/** Where a host lives. */
export interface Home {
  /** The first three bytes of its address. */
  readonly network: string;
  /** A folder of the lab for all its hosts. */
  readonly state: string;
  /** Runs a command inside the lab's namespaces. */
  inside(...argv: string[]): Promise<string>;
}

interface Layers {
  base: string;
  services: string;
}

/** One test host: an LXC container with its own address, systemd and sshd. */
export class FleetHost {
  readonly name: string;
  readonly address: string;
  readonly #lab: Home;
  readonly #layers: Layers;
  readonly #options: FleetHostOptions;

  constructor(lab: Home, layers: Layers, options: FleetHostOptions) {
    this.#lab = lab;
    this.#layers = layers;
    this.#options = options;
    this.name = options.name;
    this.address = `${lab.network}.${options.number}`;
  }

  async start(): Promise<void> {
    await this.#inside(prepareScript, this.#folder, this.#options.disk ?? '', this.name);
    await this.#inside(furnishScript, this.#folder, this.name, (this.#options.units ?? []).join(' '));
    await this.#inside('printf %s "$2" > "$1/config"', this.#folder, this.#config());
    await this.#lxc('lxc-start', '-o', `${this.#folder}/log`);
  }

  /** Until sshd answers and systemd has finished booting; `degraded` counts as settled. */
  async settled(): Promise<void> {
    await until(() => greets(this.address), `sshd on ${this.name}`, 30_000);
    await this.run('timeout 30 systemctl is-system-running --wait || true');
  }

  /** Runs a script as root inside, without the network. Rejects when it fails. */
  async run(script: string): Promise<string> {
    return this.#lxc('lxc-attach', '--clear-env', '--', 'bash', '-c', script);
  }

  /** The fingerprint of its host key, as `ssh-keygen -lf` prints it. */
  async hostKey(): Promise<string> {
    const line = await this.run('ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub');
    return line.split(' ')[1] ?? '';
  }

  /** `cut`: the link is down, connects time out. `freeze`: every process stands still. `kill`: power off. */
  async fault(kind: 'cut' | 'freeze' | 'kill'): Promise<void> {
    if (kind === 'cut') await this.#lab.inside('ip', 'link', 'set', this.#veth, 'down');
    if (kind === 'freeze') await this.#lxc('lxc-freeze');
    if (kind === 'kill') await this.#stop();
  }

  /** Undoes every fault. */
  async heal(): Promise<void> {
    await this.#lab.inside('ip', 'link', 'set', this.#veth, 'up').catch(() => undefined);
    await this.#lxc('lxc-unfreeze').catch(() => undefined);
    if ((await this.#lxc('lxc-info', '-sH')).trim() === 'STOPPED')
      await this.#lxc('lxc-start', '-o', `${this.#folder}/log`);
    await this.settled();
  }

  async remove(): Promise<void> {
    await this.#stop();
    await this.#inside('mountpoint -q "$1/root" && umount "$1/root"; rm -rf "$1" "$1.img"', this.#folder);
  }

  get #folder(): string {
    return `${this.#lab.state}/hosts/${this.name}`;
  }

  get #veth(): string {
    return `v-${this.name}`;
  }

  async #stop(): Promise<void> {
    await this.#lxc('lxc-stop', '-k').catch(() => undefined);
    await this.#lxc('lxc-wait', '-s', 'STOPPED', '-t', '10').catch(() => undefined);
  }

  #lxc(command: string, ...rest: string[]): Promise<string> {
    return this.#lab.inside(command, '-P', `${this.#lab.state}/hosts`, '-n', this.name, ...rest);
  }

  #inside(script: string, ...values: string[]): Promise<string> {
    return this.#lab.inside('bash', '-euc', script, 'bash', ...values);
  }

  #config(): string {
    const { base, services } = this.#layers;
    const lower = this.#options.services === true || this.#options.nesting === true ? `${services}:${base}` : base;
    const lines = [
      'lxc.include = /usr/share/lxc/config/common.conf',
      `lxc.uts.name = ${this.name}`,
      `lxc.rootfs.path = overlay:${lower}:${this.#folder}/root/upper`,
      'lxc.net.0.type = veth',
      'lxc.net.0.link = lab0',
      'lxc.net.0.name = eth0',
      'lxc.net.0.flags = up',
      `lxc.net.0.veth.pair = ${this.#veth}`,
      // A fixed address of the card: a restarted host must not wait for its neighbours' ARP entries to age.
      `lxc.net.0.hwaddr = 02:00:0a:4d:00:${this.#options.number.toString(16).padStart(2, '0')}`,
      `lxc.net.0.ipv4.address = ${this.address}/24`,
      `lxc.net.0.ipv4.gateway = ${this.#lab.network}.1`,
      'lxc.apparmor.profile = unconfined',
      'lxc.mount.auto =',
      // Without `force` systemd inside gets no cpu controller on a cgroup v1 machine.
      'lxc.mount.auto = cgroup:rw:force proc:mixed sys:mixed',
    ];
    if (this.#options.nesting === true) {
      lines.push(
        'lxc.include = /usr/share/lxc/config/nesting.conf',
        'lxc.cgroup.devices.allow = a',
        'lxc.cgroup2.devices.allow = a',
        // Docker on overlay-on-overlay falls back to vfs; a bind mount of a plain folder keeps overlay2.
        `lxc.mount.entry = ${this.#folder}/docker var/lib/docker none bind,create=dir 0 0`,
      );
    }
    return `${lines.join('\n')}\n`;
  }
}

const prepareScript = `
mkdir -p "$1/root" "$1/docker"
if [ -n "$2" ]; then
  truncate -s "$2" "$1.img"
  mkfs.ext4 -q -F "$1.img"
  mount -o loop "$1.img" "$1/root"
fi
mkdir -p "$1/root/upper"`;

const furnishScript = `
upper=$1/root/upper
mkdir -p "$upper/etc/ssh" "$upper/root/.ssh" "$upper/home/lares/.ssh" "$upper/etc/systemd/system/multi-user.target.wants"
echo "$2" > "$upper/etc/hostname"
echo "127.0.0.1 localhost $2" > "$upper/etc/hosts"
key=$(dirname "$(dirname "$1")")/id_ed25519.pub
cp "$key" "$upper/root/.ssh/authorized_keys"
cp "$key" "$upper/home/lares/.ssh/authorized_keys"
chmod 700 "$upper/root" "$upper/root/.ssh" "$upper/home/lares/.ssh"
chown -R 1000:1000 "$upper/home/lares"
ssh-keygen -q -t ed25519 -N '' -C "$2" -f "$upper/etc/ssh/ssh_host_ed25519_key"
for unit in $3; do ln -sf "/lib/systemd/system/$unit.service" "$upper/etc/systemd/system/multi-user.target.wants/"; done`;

/** Whether something on port 22 says SSH. */
function greets(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: 22, timeout: 1_000 });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('data', (bytes) => end(bytes.toString().startsWith('SSH-')));
    socket.once('error', () => end(false));
    socket.once('timeout', () => end(false));
    socket.once('close', () => end(false));
  });
}
