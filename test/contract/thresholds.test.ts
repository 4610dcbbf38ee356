import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ruleFor } from '#agents/sentinel/judge.ts';
import { restartLimit, restartWindowMs } from '#agents/sentinel/probes/restarts.ts';
import { bindShipped, loadKinds } from '#agents/sentinel/registry.ts';
import type { JsonSchema } from '#config/json-schema.ts';
import { ConfigSchema } from '#config/schema.ts';

type Row = [what: string, kind: string, option: string, warning: number | string, critical: number | string];

const kinds = await loadKinds();

/** The default of an option as a person would write it: `3d`, 85. */
function defaultOf(kind: string, option: string): unknown {
  const { options } = kinds.get(kind) ?? {};
  if (options === undefined) throw new Error(`no kind ${kind}`);
  let schema = z.toJSONSchema(options, { io: 'input', unrepresentable: 'any' }) as JsonSchema | undefined;
  for (const part of option.split('.')) schema = schema?.properties?.[part];
  return schema?.['default'];
}

/** How long something must last before it fires where nothing else is said. */
async function usualPatienceMs(kind: string, options: object): Promise<number | undefined> {
  const config = ConfigSchema.parse({ defaultChecks: false, checks: [{ id: 'it', kind, ...options }] });
  const { checks, faults } = await bindShipped(config);
  expect(faults).toEqual([]);
  return checks[0] === undefined ? undefined : ruleFor(checks[0]).holdMs;
}

describe('by default', () => {
  test.each<Row>([
    ['a file system is full', 'host-resources', 'filesystems', 85, 95],
    ['inodes are short', 'host-resources', 'inodes', 10, 3],
    ['swap is used', 'host-resources', 'swap', 50, 80],
    ['the CPU is busy', 'host-resources', 'cpu', 85, 95],
    ['security updates wait', 'host-resources', 'updates', '3d', '14d'],
    ['security updates wait', 'apt-updates', 'security', '3d', '14d'],
    ['a device is silent', 'ping', 'silent', '5m', '15m'],
    ['an exporter is silent', 'exporter', 'silent', '2m', '10m'],
    ['a guest has an old backup', 'proxmox', 'backups.age', '26h', '48h'],
    ['a storage is full', 'proxmox', 'usage', 85, 95],
    ['a group has an old backup', 'pbs', 'age', '26h', '48h'],
    ['a datastore is full', 'pbs', 'usage', 80, 95],
    ['NixOS was not updated', 'nixos-generation', 'age', '8d', '15d'],
    ['a secondary is behind', 'dns-zone', 'lag', '60s', '15m'],
    ['a peer is silent', 'wireguard', 'handshake', '3m', '10m'],
    ['a pool is full', 'zfs', 'capacity', 80, 90],
    ['a disk is hot', 'temperature', 'disk', 45, 55],
    ['a disk is hot', 'smart', 'temperature', 45, 55],
    ['a disk is hot', 'truenas', 'temperature', 45, 55],
    ['mails are deferred', 'mail-queue', 'mails', 20, 100],
    ['a mail is old', 'mail-queue', 'age', '1h', '6h'],
  ])('%s (%s, %s): a warning at %s, critical at %s', (...row) => {
    const [, kind, option, ...limits] = row;
    expect(['warning', 'critical'].map((level) => defaultOf(kind, `${option}.${level}`))).toEqual(limits);
  });

  test('memory is short above 90 % for 5 minutes, critical with less than 512 MiB; the CPU has 10 minutes', () => {
    const options = ['memory.warning', 'memory.lasts', 'memory.criticalFree', 'cpu.lasts', 'filesystems.lasts'];
    expect(options.map((option) => defaultOf('host-resources', option))).toEqual([90, '5m', 512, '10m', '5m']);
  });

  test('a service is down after 2 minutes', async () => {
    expect(await usualPatienceMs('http', { url: 'http://192.0.2.1/' })).toBe(120_000);
  });

  test('an agent of Wazuh has 15 minutes, and three restarts within ten are a loop', () => {
    expect(defaultOf('wazuh', 'disconnectedAfter')).toBe('15m');
    expect([restartLimit, restartWindowMs]).toEqual([3, 600_000]);
  });

  test('what nobody acknowledged is told again after 4 hours, what is critical after one', () => {
    const { triage } = ConfigSchema.parse({});
    expect([triage.repeatInterval, triage.criticalRepeatInterval]).toEqual([4 * 3_600_000, 3_600_000]);
  });
});
