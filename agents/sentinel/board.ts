import type { Finding } from '#bus/messages/finding.ts';
import type { HostState } from '#bus/messages/host-state.ts';
import type { Manifest } from '#bus/messages/manifest.ts';
import type { Foreign } from './foreign/foreign.ts';
import type { Ledger } from './ledger.ts';
import { countAll, hostStates, type Reachability, reachabilityChecks } from './picture.ts';

/** All that is firing, whoever saw it: Lares' own checks and those who report to it. */
export class Board {
  readonly #ledger: Ledger;
  readonly #foreign: Foreign;
  readonly #hosts: readonly string[];
  readonly #reachability: Reachability;

  constructor(of: { ledger: Ledger; foreign: Foreign; hosts: readonly string[] }) {
    this.#ledger = of.ledger;
    this.#foreign = of.foreign;
    this.#hosts = of.hosts;
    this.#reachability = reachabilityChecks(of.ledger.watches);
  }

  /** Lares' own first, each part longest first. */
  firing(): Finding[] {
    return [...this.#ledger.firing(), ...this.#foreign.firing()];
  }

  isFiring(fingerprint: string): boolean {
    return this.#foreign.has(fingerprint) || this.#ledger.firing().some((own) => own.fingerprint === fingerprint);
  }

  /** Everything counted once; `unknown` is also what a sender could not look at. */
  count(): Pick<Manifest, 'counts' | 'unseen'> {
    return countAll(this.#ledger.watches, this.#hosts.length, this.#foreign.firing());
  }

  hostStates(): Omit<HostState, 'at'>[] {
    return hostStates({ reachability: this.#reachability, hosts: this.#hosts, firing: this.firing() });
  }
}
