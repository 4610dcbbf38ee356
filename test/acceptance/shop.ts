import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../parts/free-port.ts';
import { type Sshd, startSshd } from '../parts/sshd.ts';
import { until } from '../parts/until.ts';

const demoHost = join(import.meta.dirname, '../../agents/demo/host');

/** A service behind a real sshd on loopback, with a systemctl of its own: whatever runs there runs in one folder. */
export class Shop implements AsyncDisposable {
  readonly url: string;
  readonly #sshd: Sshd;
  /** Of its own: sshd keeps a `pid` beside its keys, as the stand-in does. */
  readonly #folder: string;

  private constructor(sshd: Sshd, port: number) {
    this.#sshd = sshd;
    this.#folder = join(sshd.folder, 'shop');
    this.url = `http://127.0.0.1:${port}/health`;
  }

  static async open(): Promise<Shop> {
    const sshd = await startSshd();
    const shop = new Shop(sshd, await freePort());
    const folder = shop.#folder;
    mkdirSync(folder);
    writeFileSync(join(folder, 'port'), new URL(shop.url).port);
    writeFileSync(join(folder, 'log'), '');
    const environment = `DEMO_FOLDER=${folder} DEMO_NODE=${process.execPath} DEMO_SERVICE=${demoHost}/shop.mjs`;
    const count = `case $1 in start | stop | restart) echo "$*" >> ${folder}/verbs ;; esac`;
    sshd.standIn('systemctl', `${count}\n${environment} exec ${demoHost}/systemctl "$@"`);
    sshd.standIn('journalctl', `${environment} exec ${demoHost}/journalctl "$@"`);
    await shop.#systemctl('start', 'shop.service');
    writeFileSync(join(folder, 'verbs'), '');
    return shop;
  }

  /** For `hosts` of the configuration. */
  get host(): object {
    const { address, port, hostKeys, user, keyFile } = this.#sshd.target;
    return { address, port, hostKeys, read: { user, keyFile }, act: { user, keyFile } };
  }

  /** A look each second, tied to the unit. */
  get check(): object {
    const look = { kind: 'http', url: this.url, every: '1s', for: '1s', clearAfter: 1, unknownFor: '1s' };
    return { id: 'shop', host: 'web', labels: { unit: 'shop.service' }, ...look };
  }

  /** What changed something there, as it was said: `restart shop.service`. */
  get changes(): string[] {
    return readFileSync(join(this.#folder, 'verbs'), 'utf8').split('\n').filter(Boolean);
  }

  /** Kills the service, as the kernel does it when memory is short. */
  break(): void {
    process.kill(Number(readFileSync(join(this.#folder, 'pid'), 'utf8')), 'SIGKILL');
  }

  async isServing(): Promise<boolean> {
    return fetch(this.url).then(
      ({ ok }) => ok,
      () => false,
    );
  }

  /** Lines of the service's log, as whoever attacks it would write them. */
  log(text: string): void {
    writeFileSync(join(this.#folder, 'log'), text, { flag: 'a' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#systemctl('stop', 'shop.service');
    await this.#sshd[Symbol.asyncDispose]();
  }

  async #systemctl(...argv: string[]): Promise<void> {
    const child = spawn(join(this.#sshd.folder, 'bin/systemctl'), argv, { stdio: 'ignore' });
    await once(child, 'exit');
    if (argv[0] === 'start') await until(() => this.isServing(), 'the shop to open');
  }
}
