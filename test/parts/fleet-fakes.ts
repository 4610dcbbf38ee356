import { type Authority, createAuthority } from './certificates.ts';
import { ClusterModel } from './cluster-model.ts';
import { type FakeApi, type Product, startFakeApi } from './fake-api.ts';
import { startFakeLoki } from './fake-loki.ts';
import { type FakeNodetool, startFakeNodetool } from './fake-nodetool.ts';
import { startFakeProxmox } from './fake-proxmox.ts';
import { startFakeTruenas } from './fake-truenas.ts';
import { stepCa, wellProducts } from './fleet-products.ts';
import { startSilentPort } from './silent-port.ts';

/** Kinds that none of these fakes answers: they ask for names, the outside, series or by protocols of their own. */
export const unplayedKinds = new Set([
  'database',
  'dns',
  'dns-zone',
  'domain-expiry',
  'exporter',
  'mqtt',
  'prometheus-query',
  'smtp',
  'snmp',
  'ssh-banner',
  'wazuh-indexer',
]);

/** Something with an address that a fleet's checks ask. */
type Fake = Pick<FakeApi, 'url'> & AsyncDisposable & { fault: string };

/** The products of a fleet, one fake for each address that its configuration has. All are well at first. */
export class FleetFakes implements AsyncDisposable {
  readonly cluster = new ClusterModel();
  /** By what is watched and the name of the parameter that holds the address: `gate proxied`. */
  readonly byName = new Map<string, Fake>();
  readonly silentPort: number;
  nodetool: FakeNodetool | undefined;
  readonly #byOrigin = new Map<string, Fake>();
  readonly #open = new AsyncDisposableStack();
  readonly #authority: Authority;

  private constructor(silentPort: number) {
    this.silentPort = silentPort;
    this.#authority = this.#open.use(createAuthority());
  }

  static async open(): Promise<FleetFakes> {
    const silent = await startSilentPort();
    const fakes = new FleetFakes(silent.port);
    fakes.#open.use(silent);
    return fakes;
  }

  /** The certificate that those trust who ask a fake over TLS. */
  get caFile(): string {
    return this.#authority.caFile;
  }

  /** What the configuration has at one address is one fake, whatever asks it. */
  async at(place: { name: string; key: string; address: string }, preset: string): Promise<Fake> {
    const { origin } = new URL(place.address);
    const fake = this.#byOrigin.get(origin) ?? this.#open.use(await this.#start(preset));
    this.#byOrigin.set(origin, fake);
    this.byName.set(`${place.name} ${place.key}`, fake);
    return fake;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open.disposeAsync();
  }

  async #start(preset: string): Promise<Fake> {
    switch (preset) {
      case 'proxmox':
        return startFakeProxmox(this.cluster);
      case 'proxmox-backup':
        return sleeping(this.silentPort);
      case 'nodetool':
        return (this.nodetool ??= await startNodetool());
      case 'truenas':
        return startTruenas(this.#authority);
      case 'loki':
        return startFakeLoki();
      case 'step-ca':
        return startFakeApi(stepCa(this.#authority));
      default:
        return startFakeApi(productOf(preset));
    }
  }
}

function productOf(preset: string): Product {
  const product = wellProducts[preset];
  if (product === undefined) throw new Error(`There is no fake of what the preset "${preset}" watches`);
  return product;
}

/** A server that is off. */
function sleeping(port: number): Fake {
  return { url: `http://127.0.0.1:${port}`, fault: 'none', [Symbol.asyncDispose]: () => Promise.resolve() };
}

function startNodetool(): Promise<FakeNodetool> {
  return startFakeNodetool([{ name: 'sdxl', path: '/sdxl', status: 'running', last_access_epoch: Date.now() / 1_000 }]);
}

async function startTruenas(authority: Authority): Promise<Fake> {
  const truenas = await startFakeTruenas(authority.issue({ name: '127.0.0.1' }), 'lares-test-secret');
  const scan = { function: 'SCRUB', state: 'FINISHED', end_time: { $date: Date.now() - 86_400_000 }, errors: 0 };
  const tank = {
    name: 'tank',
    status: 'ONLINE',
    healthy: true,
    status_detail: null,
    size: 1_000,
    allocated: 500,
    scan,
  };
  Object.assign(truenas.results, { 'pool.query': [tank], 'alert.list': [], 'app.query': [] });
  return truenas;
}
