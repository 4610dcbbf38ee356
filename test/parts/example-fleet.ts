import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { Presets } from '#config/preset.ts';
import { loadKinds } from '#agents/sentinel/registry.ts';
import { FakeCommands } from './fake-commands.ts';
import { nodetoolToken } from './fake-nodetool.ts';
import { backupServerToken } from './fake-pbs.ts';
import { proxmoxToken } from './fake-proxmox.ts';
import { wazuhPassword } from './fake-wazuh.ts';
import { FleetFakes, unplayedKinds } from './fleet-fakes.ts';
import { Lares } from './lares.ts';
import { startTelegram, type TelegramPart } from './telegram.ts';
import { until } from './until.ts';

export const examplesFolder = join(import.meta.dirname, '../../config/examples');

interface Use {
  preset: string;
  without?: string[];
  [parameter: string]: unknown;
}

/** What says whether a check looks from here: its kind, and for some where they ask from. */
interface Asking {
  kind: string;
  from?: unknown;
}

interface Place {
  watch?: Use[];
  on?: string;
  via?: string;
  address?: string;
  onDemand?: unknown;
  [key: string]: unknown;
}

interface Example {
  hosts: Record<string, Place>;
  services?: Record<string, Place>;
  checks?: { id: string; kind: string; [key: string]: unknown }[];
  discovery?: { url: string; [key: string]: unknown }[];
  intake?: Record<string, { kind: string }>;
  triage?: object;
  gateway?: string;
  [key: string]: unknown;
}

/** Fast enough to wait for, slow enough for a busy machine. */
const pace = { every: '4s', for: '1s' };
const secrets: Record<string, string> = {
  'secrets/pve': proxmoxToken,
  'secrets/pbs': backupServerToken,
  'secrets/proxy': nodetoolToken,
  'secrets/wazuh': wazuhPassword,
};

const ping = `
for address; do :; done
received=3
while IFS= read -r down; do if [ "$down" = "$address" ]; then received=0; fi; done < "$(dirname "$0")/down"
echo "3 packets transmitted, $received received, time 400ms"
[ "$received" = 3 ] && echo 'rtt min/avg/max/mdev = 0.1/0.2/0.3/0.1 ms'
`;

/**
 * One of the example configurations in a house of fakes: everything in it stays, but each address leads to a fake of the
 * product that is watched there, all at one pace, and hosts with a login have none.
 */
export class ExampleFleet implements AsyncDisposable {
  readonly lares: Lares;
  readonly fakes: FleetFakes;
  readonly #example: Example;
  readonly #open = new AsyncDisposableStack();
  readonly #telegram: TelegramPart;
  readonly #commands: FakeCommands;

  private constructor(example: Example, parts: { telegram: TelegramPart; fakes: FleetFakes }) {
    this.#example = example;
    this.#telegram = this.#open.use(parts.telegram);
    this.fakes = this.#open.use(parts.fakes);
    this.#commands = this.#open.use(new FakeCommands({ ping }));
    this.lares = this.#open.use(new Lares({}, { PATH: `${this.#commands.folder}:${process.env['PATH'] ?? ''}` }));
    this.#ping(new Set());
  }

  static async open(name: string): Promise<ExampleFleet> {
    const text = readFileSync(join(examplesFolder, `${name}.yaml`), 'utf8');
    const example = parse(text, { merge: true }) as Example;
    const fleet = new ExampleFleet(example, { telegram: await startTelegram(), fakes: await FleetFakes.open() });
    await fleet.#furnish();
    return fleet;
  }

  /** Starts Lares and waits for its first round, which is returned as it was told. */
  async start(): Promise<{ ok: number; bad: number; unknown: number; text: string; troubles: string[] }> {
    await this.lares.start();
    const line = /^.*"event":"first-round".*$/m;
    await until(() => line.test(this.lares.output), 'the first round', 45_000);
    return JSON.parse(line.exec(this.lares.output)?.[0] ?? '') as Awaited<ReturnType<ExampleFleet['start']>>;
  }

  /** What people were told of incidents: one message each, as it reads now. */
  get cards(): string[] {
    const messages = this.#telegram.messages().filter(({ deleted }) => !deleted);
    return messages.map(({ text }) => text).filter((text) => /\n[\w-]+ · (?:info|warning|critical) · /.test(text));
  }

  async incidents(): Promise<{ id: string; title: string }[]> {
    const { stdout } = await this.lares.run('incidents', '--json');
    return (JSON.parse(stdout) as { incidents: { id: string; title: string }[] }).incidents;
  }

  async incident(id: string): Promise<{ members: { host: string; role: string; rule: string; summary: string }[] }> {
    return JSON.parse((await this.lares.run('incidents', id, '--json')).stdout) as Awaited<
      ReturnType<ExampleFleet['incident']>
    >;
  }

  /** What a look of Lares at this moment says of one check: `ok`, `critical`, `asleep`... */
  async look(check: string): Promise<string[]> {
    const { stdout } = await this.lares.run('check', check, '--json');
    return [...stdout.matchAll(/"state":"(\w+)"/g)].map(([, word = '']) => word);
  }

  /** Findings that are firing, by Lares' own metrics. */
  async firing(): Promise<number> {
    const health = /"health":"([^"]+)"/.exec(this.lares.output)?.[1] ?? '';
    const metrics = await (await fetch(`${health}/metrics`)).text();
    return Number(/^lares_findings_firing(?:\{[^}]*\})? (\d+)/m.exec(metrics)?.[1]);
  }

  /** Takes the power from a host, and with it from all that runs on it. Returns their names. */
  powerOff(host: string): { hosts: string[]; services: string[] } {
    const { hosts, services = {} } = this.#example;
    const dark = Object.keys(hosts).filter((name) => name === host || hosts[name]?.on === host);
    this.#ping(new Set(dark.map((name) => hosts[name]?.address ?? name)));
    this.fakes.cluster.nodeDown(host);
    const gone = Object.keys(services).filter((name) => dark.includes(services[name]?.on ?? ''));
    for (const [name, fake] of this.fakes.byName) if (gone.includes(name.split(' ')[0] ?? '')) fake.fault = 'reset';
    return { hosts: dark, services: gone };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open.disposeAsync();
  }

  #ping(down: ReadonlySet<string>): void {
    writeFileSync(join(this.#commands.folder, 'down'), [...down, ''].join('\n'));
  }

  async #furnish(): Promise<void> {
    const { hosts, services = {} } = this.#example;
    const kinds = await loadKinds();
    const isPlayed = ({ kind, from }: Asking): boolean =>
      !unplayedKinds.has(kind) && kinds.get(kind)?.reach !== 'host' && from !== 'host';
    this.#settleCluster();
    for (const [name, place] of [...Object.entries(hosts), ...Object.entries(services)]) {
      const played = (place.watch ?? []).map((use) => onlyPlayed(use, isPlayed)).filter((use) => use !== undefined);
      place.watch = [];
      for (const use of played) place.watch.push(await this.#mapped(name, use));
    }
    for (const [name, place] of Object.entries(hosts)) this.#withoutLogin(name, place);
    for (const source of this.#example.discovery ?? [])
      Object.assign(source, await this.#mappedUrls('discovery', source));
    this.#example.checks = [
      ...this.#reachabilities(),
      ...(this.#example.checks ?? []).filter((check) => isPlayed(check)),
    ];
    this.#configure();
  }

  /** The guests are those that the example names, where it says; a node that rests is off. */
  #settleCluster(): void {
    const { cluster } = this.fakes;
    const { hosts } = this.#example;
    const nodes = Object.entries(hosts).filter(([, { type }]) => type === 'node');
    const named = Object.entries(hosts).filter(([name, { on }]) => on !== undefined && /\d+$/.test(name));
    const [usual] = cluster.guests;
    if (named.length > 0 && usual !== undefined) {
      cluster.guests = named.map(([name, { on = '' }]) => ({
        ...usual,
        vmid: Number(/\d+$/.exec(name)?.[0]),
        name,
        node: on,
      }));
    }
    for (const { vmid } of cluster.guests) cluster.backedUp(vmid, 3 * 3_600_000);
    for (const [name, { onDemand }] of nodes) if (onDemand !== undefined) cluster.nodeDown(name);
  }

  async #mapped(name: string, use: Use): Promise<Use> {
    const mapped = { ...use, ...(await this.#mappedUrls(name, use)), ...pace };
    if (use.preset === 'on-demand') {
      // In half a day, so that the window in which it must be awake is never now.
      const cron = `0 ${(new Date().getUTCHours() + 12) % 24} * * *`;
      return { ...mapped, address: '127.0.0.1', ports: [this.fakes.silentPort], cron, timezone: 'UTC' };
    }
    if (use.preset === 'freebox') {
      const fake = await this.fakes.at({ name, key: 'address', address: 'http://freebox/' }, use.preset);
      return { ...mapped, address: new URL(fake.url).host };
    }
    return mapped;
  }

  /** Each address leads to a fake of its own; several of one cluster to the same. */
  async #mappedUrls(name: string, use: Partial<Use>): Promise<Partial<Use>> {
    const mapped: Partial<Use> = {};
    for (const [key, value] of Object.entries(use)) {
      const [first] = [value].flat();
      if (typeof first !== 'string' || !/^https?:\/\//.test(first)) continue;
      const preset = key === 'metricsUrl' ? 'prometheus' : (use.preset ?? 'proxmox');
      const { url } = await this.fakes.at({ name, key, address: first }, preset);
      const { pathname } = new URL(first);
      mapped[key] = Array.isArray(value) ? [url] : `${url}${pathname === '/' ? '' : pathname}`;
    }
    const needsCa = use.preset === 'truenas';
    return { ...mapped, ...('caFile' in use || needsCa ? { caFile: this.fakes.caFile } : {}) };
  }

  /** Devices are pinged; what may rest is asked at a port, which is silent. */
  #withoutLogin(name: string, place: Place): void {
    const mayRest = place.onDemand !== undefined && place.via !== 'none';
    for (const key of ['read', 'act', 'hostKeys', 'sudo']) delete place[key];
    if (mayRest) Object.assign(place, { address: '127.0.0.1', port: this.fakes.silentPort });
    else
      Object.assign(place, { via: 'none', ...(place.address !== undefined && { address: loopbackOf(place.address) }) });
    if (place['type'] === 'node' && !mayRest) place.address ??= name;
  }

  #reachabilities(): { id: string; kind: string }[] {
    return Object.entries(this.#example.hosts).flatMap(([host, { address, via, onDemand }]) => {
      if (via !== 'none' || address === undefined || onDemand !== undefined) return [];
      const asked = { kind: 'ping', host, address, condition: 'host-down', timeout: '5s' };
      return [{ ...pace, id: `${host}-reachable`, ...asked }];
    });
  }

  #configure(): void {
    const { llm: _llm, intake = {}, ...example } = this.#example;
    const folder = this.lares.folder;
    const tokens: Record<string, string> = { ...secrets, 'secrets/telegram': this.#telegram.token };
    const overHttp = Object.entries(intake).filter(([, { kind }]) => kind !== 'guardian-events');
    this.lares.configure(
      withSecrets(
        {
          ...example,
          state: 'state',
          intake: Object.fromEntries(overHttp),
          http: { port: 0 },
          people: { approvers: [101] },
          telegram: { token: { file: 'secrets/telegram' }, apiRoot: this.#telegram.apiRoot, chat: 101 },
          triage: { ...example.triage, groupWait: '8s' },
          ...(example.gateway !== undefined && { gateway: loopbackOf(example.gateway) }),
        },
        (file) => {
          mkdirSync(join(folder, 'secrets'), { recursive: true });
          writeFileSync(join(folder, file), tokens[file] ?? 'lares-test-secret', { mode: 0o600 });
        },
      ),
    );
    this.#telegram.user(101, 'Anna');
  }
}

function onlyPlayed(use: Use, isPlayed: (check: Asking) => boolean): Use | undefined {
  const preset = new Presets().get(use.preset);
  if (typeof preset === 'string') throw new Error(`The example ${preset}`);
  const left = preset.checks.filter((check) => !isPlayed(check)).map(({ suffix }) => suffix);
  if (left.length === preset.checks.length) return undefined;
  return left.length === 0 ? use : { ...use, without: [...(use.without ?? []), ...left] };
}

/** The same host on loopback, so that nothing outside is ever asked. */
function loopbackOf(address: string): string {
  return /^192\.168\.\d+\.\d+$/.test(address) ? address.replace('192.168.', '127.168.') : '127.168.255.1';
}

/** The value as it is; each file that is named as a secret is made known. */
function withSecrets<T>(value: T, onFile: (file: string) => void): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'file' && typeof inner === 'string') onFile(inner);
    else withSecrets(inner, onFile);
  }
  return value;
}
