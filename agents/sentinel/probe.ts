import type { Config, HostConfig } from '#config/schema.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { CommandRunner } from '#agents/runtime/command.ts';
import { guarded } from '#agents/runtime/guarded-command.ts';
import { localRunner } from '#agents/runtime/local-command.ts';
import type { Log } from '#agents/runtime/log.ts';
import { createSshPool, type SshPool } from '#agents/runtime/ssh.ts';

/** Sentinel's ways to look at the hosts: this machine, or SSH with the `read` login, never with the `act` one. */
export interface Probes {
  /** Connects to nothing yet. A host that is not configured for looking answers `unreachable` with what to configure. */
  runnerFor(host: string): CommandRunner;
  close(): Promise<void>;
}

export function createProbes(options: { config: Pick<Config, 'hosts'>; clock: Clock; log: Log }): Probes {
  const { clock, log } = options;
  const pool = createSshPool({ clock, log });
  return {
    runnerFor(name) {
      const host = options.config.hosts[name];
      if (host === undefined) return unreachable(`there is no host "${name}" in the configuration`);
      if (host.via === 'none') return unreachable(`host "${name}" has no login: it is a device`);
      return host.via === 'local' ? localRunner : remote(pool, { name, host, clock });
    },
    close: () => pool.close(),
  };
}

function remote(pool: SshPool, of: { name: string; host: HostConfig; clock: Clock }): CommandRunner {
  const { read } = of.host;
  if (read === undefined) {
    return unreachable(`host "${of.name}" has no read login: set hosts.${of.name}.read.user and read.keyFile`);
  }
  const runner = pool.runner({
    address: of.host.address ?? of.name,
    port: of.host.port,
    user: read.user,
    hostKeys: of.host.hostKeys,
    keyFile: read.keyFile,
    passphraseFile: read.passphraseFile,
  });
  // The parsers read the C locale; sshd gives the one that its host is set to.
  return guarded({ run: (argv, command) => runner.run(['env', 'LC_ALL=C', ...argv], command) }, of.clock);
}

function unreachable(reason: string): CommandRunner {
  return {
    async run(_argv, options) {
      options.signal.throwIfAborted();
      return { end: 'unreachable', reason };
    },
  };
}
