import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CommandRunner } from '#agents/runtime/command.ts';
import { localRunner } from '#agents/runtime/local-command.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type Daemon, describeWith, startDaemon } from '../../../test/parts/daemon.ts';
import { FakeCommands } from '../../../test/parts/fake-commands.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { until } from '../../../test/parts/until.ts';
import { check } from './wireguard.ts';

kindContract(check, () => ({}));

const phone = `phone${'A'.repeat(38)}=`;
const office = `office${'B'.repeat(37)}=`;

interface Tunnel {
  handshake: number;
  received?: number;
  sent?: number;
  endpoint?: string;
  keepalive?: string;
}

class Hub implements Disposable {
  readonly fakes = new FakeCommands();
  readonly context: CheckContext = checkContext({ probe: this.fakes.probe });

  async look(peers: Record<string, Tunnel>, options: object = {}): Promise<Observation[]> {
    const lines = (value: (tunnel: Tunnel) => string): string =>
      Object.entries(peers)
        .map(([key, tunnel]) => `wg0\t${key}\t${value(tunnel)}\n`)
        .join('');
    const topics = {
      'latest-handshakes': lines(({ handshake }) => String(handshake)),
      transfer: lines(({ received = 0, sent = 0 }) => `${received}\t${sent}`),
      endpoints: lines(({ endpoint = '203.0.113.5:51820' }) => endpoint),
      'persistent-keepalive': lines(({ keepalive = '25' }) => keepalive),
    };
    for (const [topic, stdout] of Object.entries(topics)) this.fakes.set(`wg-${topic}`, { stdout });
    this.fakes.set(
      'wg',
      `[ "$2" = interfaces ] && { echo wg0; exit; }\n[ "$2" = all ] && exec "${this.fakes.folder}/wg-$3"`,
    );
    return await check.observe(check.options.parse(options), this.context);
  }

  [Symbol.dispose](): void {
    this.fakes[Symbol.dispose]();
  }
}

const seconds = (): number => Math.floor(Date.now() / 1_000);

describe('peers', () => {
  test.each([
    [30, []],
    [200, ['warning wireguard-peer-silent']],
    [700, ['critical wireguard-peer-silent']],
  ])('with keepalive and a handshake %i seconds ago', async (age, expected) => {
    using hub = new Hub();
    const found = await hub.look({ [office]: { handshake: seconds() - age } });
    expect(problems(found).map((text) => text.split(':')[0])).toEqual(expected);
  });

  test('one without keepalive may be silent, unless it is named as always connected', async () => {
    using hub = new Hub();
    const peers = { [phone]: { handshake: seconds() - 90_000, keepalive: 'off' } };
    const found = await hub.look(peers);
    expect(problems(found)).toEqual([]);
    expect(found.some(({ reading }) => reading.is === 'asleep')).toBe(true);
    const named = await hub.look(peers, { peers: [{ key: phone, name: 'phone' }] });
    expect(problems(named).join()).toMatch(
      /^critical wireguard-peer-silent: phone \(phoneAAA…\) had its last handshake 1d/,
    );
  });

  test('one that never had a handshake is critical', async () => {
    using hub = new Hub();
    expect(problems(await hub.look({ [office]: { handshake: 0 } }))).toEqual([
      'critical wireguard-peer-silent: wg0 officeBB… never had a handshake',
    ]);
  });

  test('a tunnel that sends and gets nothing back is stuck, and a counter that begins anew is not', async () => {
    using hub = new Hub();
    await hub.look({ [office]: { handshake: seconds(), received: 500, sent: 1_000 } });
    expect(problems(await hub.look({ [office]: { handshake: seconds(), received: 500, sent: 90_000 } }))).toEqual([
      'warning wireguard-peer-stuck: wg0 officeBB… was sent 87 KiB and sent back 0 B since the last look',
    ]);
    expect(problems(await hub.look({ [office]: { handshake: seconds(), received: 0, sent: 148 } }))).toEqual([]);
  });

  test('another address is told where it is asked for', async () => {
    using hub = new Hub();
    await hub.look({ [office]: { handshake: seconds() } }, { endpoints: true });
    const moved = { [office]: { handshake: seconds(), endpoint: '198.51.100.9:1' } };
    const expected = [
      'info wireguard-peer-moved: wg0 officeBB… comes from 198.51.100.9:1, before from 203.0.113.5:51820',
    ];
    expect(problems(await hub.look(moved, { endpoints: true }))).toEqual(expected);
    expect(problems(await hub.look(moved, { endpoints: true }))).toEqual(expected);
    expect(problems(await hub.look(moved))).toEqual([]);
  });

  test('a named peer that no interface has, and an interface that is not there', async () => {
    using hub = new Hub();
    const options = { interfaces: ['wg0', 'wg1'], peers: [{ key: phone, name: 'phone' }] };
    expect(problems(await hub.look({ [office]: { handshake: seconds() } }, options))).toEqual([
      'critical wireguard-interface-missing: interface wg1 is not there',
      'critical wireguard-peer-missing: no interface has the peer phone',
    ]);
  });
});

const isRoot = process.getuid?.() === 0;

describeWith(isRoot ? ['wg', 'wireguard-go', 'ip', 'unshare', 'nsenter', 'setpriv'] : ['root'], 'wireguard-go', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lares-wg-'));
  const keys = { own: join(folder, 'own'), other: join(folder, 'other') };
  // Their sockets lie in one folder of the machine, whatever the network namespace.
  const here = `lwh${process.pid}`;
  const there = `lwt${process.pid}`;
  let daemon: Daemon;
  let otherKey = '';

  const inside = (...argv: string[]): string =>
    execFileSync('nsenter', ['-t', String(daemon.pid), '-n', ...argv], { encoding: 'utf8', stdio: 'pipe' });
  const probe = (...before: string[]): CommandRunner => ({
    run: (argv, options) => localRunner.run(['nsenter', '-t', String(daemon.pid), '-n', ...before, ...argv], options),
  });

  beforeAll(async () => {
    for (const path of Object.values(keys)) {
      writeFileSync(path, execFileSync('wg', ['genkey']), { mode: 0o600 });
    }
    const publicKey = (path: string): string =>
      execFileSync('sh', ['-c', 'wg pubkey <"$1"', 'sh', path]).toString().trim();
    otherKey = publicKey(keys.other);
    const start = `ip link set lo up; wireguard-go -f ${there} & exec wireguard-go -f ${here}`;
    const isReady = async (): Promise<boolean> => Promise.resolve(true);
    daemon = await startDaemon({ program: 'unshare', args: ['-n', 'sh', '-c', start], isReady });
    await until(
      () => Promise.resolve([here, there].every((name) => linksIn(inside).includes(name))),
      'both interfaces',
    );
    inside(
      'wg',
      'set',
      here,
      'private-key',
      keys.own,
      'listen-port',
      '51001',
      'peer',
      otherKey,
      'allowed-ips',
      '10.9.0.2/32',
      'endpoint',
      '127.0.0.1:51002',
      'persistent-keepalive',
      '25',
    );
    inside(
      'wg',
      'set',
      there,
      'private-key',
      keys.other,
      'listen-port',
      '51002',
      'peer',
      publicKey(keys.own),
      'allowed-ips',
      '10.9.0.1/32',
    );
  });
  afterAll(async () => {
    await daemon?.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  const options = check.options.parse({ interfaces: [here] });

  test('a peer that was never met is critical; after the handshake it is well', async () => {
    const context = checkContext({ probe: probe() });
    expect(problems(await check.observe(options, context)).join()).toMatch(
      /^critical wireguard-peer-silent: .* never had/,
    );
    inside('ip', 'link', 'set', there, 'up');
    inside('ip', 'link', 'set', here, 'up');
    await until(async () => problems(await check.observe(options, context)).length === 0, 'the handshake');
    const found = await check.observe(options, context);
    const peer = found.find(
      ({ condition, reading }) => condition === 'wireguard-peer-silent' && reading.is === 'level',
    );
    expect(peer?.labels).toMatchObject({ interface: here, unit: `wg-quick@${here}.service` });
    expect(JSON.stringify(found)).not.toContain(execFileSync('cat', [keys.own]).toString().trim());
    const evidence = peer === undefined ? [] : await check.evidence.gather(options, context, peer);
    expect(evidence.map(({ title }) => title)).toContain(`Link ${here}`);
  });

  test('an ordinary user learns which interfaces there are and what to allow', async () => {
    const nobody = probe('setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups');
    const found = problems(await check.observe(options, checkContext({ probe: nobody })));
    expect(found).toEqual([expect.stringMatching(/^unknown .*only root may read the peers: set "sudo: true"/)]);
  });
});

function linksIn(inside: (...argv: string[]) => string): string[] {
  try {
    return inside('wg', 'show', 'interfaces').trim().split(/\s+/).filter(Boolean);
  } catch {
    return [];
  }
}
