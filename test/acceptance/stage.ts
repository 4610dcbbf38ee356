import { afterAll, beforeAll, describe } from 'vitest';
import { type FleetHost, type FleetHostOptions } from '../fleet/host.ts';
import { Lab, labMissing } from '../fleet/lab.ts';
import { Play, type PlayOptions } from './play.ts';

const missing = await labMissing();

/** What the tests of one file share: a lab with one host. Each test plays on a unit of its own. */
export class Stage {
  #lab: Lab | undefined;
  #host: FleetHost | undefined;
  #hostKey = '';
  #plays = 0;

  get host(): FleetHost {
    if (this.#host === undefined) throw new Error('The stage is not open');
    return this.#host;
  }

  async open(options: Partial<FleetHostOptions>): Promise<void> {
    this.#lab = await Lab.open();
    const [host] = await this.#lab.boot({ name: 'web', number: 21, ...options });
    this.#host = host;
    // Reading the journal needs no power but this group.
    await this.host.run('usermod -aG systemd-journal lares');
    await this.readHostKey();
  }

  /** After the host got another key. */
  async readHostKey(): Promise<void> {
    this.#hostKey = await this.host.hostKey();
  }

  async close(): Promise<void> {
    await this.#lab?.[Symbol.asyncDispose]();
  }

  /** Lares, people and a running unit; nothing is started yet but the unit. */
  async play(options: PlayOptions = {}): Promise<Play> {
    this.#plays += 1;
    const keyFile = this.#lab?.keyFile ?? '';
    return Play.open(
      { host: this.host, hostKey: this.#hostKey, keyFile, unit: `shop-${this.#plays}.service` },
      options,
    );
  }
}

/** Tests that need a real host. They are skipped where there can be none, and fail there when parts are required. */
export function story(name: string, tell: (stage: Stage) => void, options: Partial<FleetHostOptions> = {}): void {
  if (missing !== undefined && process.env['LARES_REQUIRE_PARTS'] === '1') {
    throw new Error(`The lab is required: ${missing}`);
  }
  describe.skipIf(missing !== undefined)(`${name}${missing === undefined ? '' : ` (SKIPPED: ${missing})`}`, () => {
    const stage = new Stage();
    beforeAll(() => stage.open(options), 240_000);
    afterAll(() => stage.close(), 60_000);
    tell(stage);
  });
}
