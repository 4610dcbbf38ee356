import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import type { PlannedHost } from '#bus/messages/plan.ts';
import type { Inventory } from '#config/inventory.ts';
import type { CommandRunner } from '#agents/runtime/command.ts';
import { localRunner } from '#agents/runtime/local-command.ts';
import type { SshPool } from '#agents/runtime/ssh.ts';
import type { Target } from './commands.ts';

type Reached = { ok: true; target: Target } | { ok: false; reason: string };

/** How the worker gets to the hosts of the inventory. */
export interface Reach {
  /** Where commands for a host go now, or why none can. Nothing is connected. */
  target(name: string): Reached;
  /** Runs commands on exactly what a plan names: its address, port, user and pinned keys. */
  runner(host: PlannedHost): CommandRunner;
}

export function createReach(of: { inventory: Inventory; baseFolder: string; pool: SshPool }): Reach {
  const { inventory, baseFolder, pool } = of;
  const absolute = (file: string | undefined) => (file === undefined ? undefined : resolve(baseFolder, file));
  const hostOf = (name: string) => inventory.nodes.get(name)?.host;
  return {
    target(name) {
      const host = hostOf(name);
      if (host === undefined) return { ok: false, reason: `"${name}" is not a host of the inventory` };
      if (host.via === 'local') {
        const { username, uid } = userInfo();
        const planned = { host: name, transport: 'local' as const, address: '', port: 0, user: username, hostKeys: [] };
        return { ok: true, target: { planned, sudo: host.sudo && uid !== 0 } };
      }
      if (host.act === undefined) {
        return { ok: false, reason: `host "${name}" has no "act" login, so nothing can be run there` };
      }
      const planned = {
        host: name,
        transport: 'ssh' as const,
        address: host.address ?? name,
        port: host.port,
        user: host.act.user,
        hostKeys: host.hostKeys.toSorted(),
      };
      return { ok: true, target: { planned, sudo: host.sudo && host.act.user !== 'root' } };
    },
    runner(planned) {
      if (planned.transport === 'local') return localRunner;
      const login = hostOf(planned.host)?.act;
      return pool.runner({
        address: planned.address,
        port: planned.port,
        user: planned.user,
        hostKeys: planned.hostKeys,
        keyFile: absolute(login?.keyFile),
        passphraseFile: absolute(login?.passphraseFile),
      });
    },
  };
}
