import { describe, expect, test } from 'vitest';
import { defaultChecks } from './defaults.ts';
import { planChecks } from './planned-checks.ts';
import { ConfigSchema } from './schema.ts';

function checksOf(input: object) {
  const config = ConfigSchema.parse(input);
  return defaultChecks(config, config.checks);
}
const read = { user: 'lares' };

describe('by default', () => {
  test('this machine is looked at without a login', () => {
    const checks = checksOf({ hosts: { pve: { via: 'local' } } });
    expect(checks.map(({ id, kind, host }) => [id, kind, host])).toEqual([
      ['pve-resources', 'host-resources', 'pve'],
      ['pve-units', 'systemd-unit', 'pve'],
      ['pve-containers', 'docker-container', 'pve'],
    ]);
    expect(checks.every((check) => check.every === 60_000 && check.dependsOn.length === 0)).toBe(true);
  });

  test('a remote host is looked at with its login, as long as its SSH port answers', () => {
    const checks = checksOf({ hosts: { web: { address: '10.0.0.5', port: 2222, read } } });
    expect(checks.map(({ id, dependsOn }) => [id, dependsOn])).toEqual([
      ['web-reachable', []],
      ['web-resources', ['web-reachable']],
      ['web-units', ['web-reachable']],
      ['web-containers', ['web-reachable']],
    ]);
    expect(checks[0]).toMatchObject({
      kind: 'tcp',
      host: 'web',
      severity: 'critical',
      options: { condition: 'host-down', address: '10.0.0.5', port: 2222 },
    });
  });

  test('a remote host that may rest is asked whether it is awake', () => {
    const onDemand = { mac: '00:11:22:aa:bb:cc' };
    const [first, ...others] = checksOf({ hosts: { pve3: { address: '10.0.0.3', read, onDemand } } });
    expect(first).toMatchObject({
      id: 'pve3-reachable',
      kind: 'on-demand',
      options: { address: '10.0.0.3', ports: [22], mac: '00:11:22:aa:bb:cc' },
    });
    expect(others.map(({ dependsOn }) => dependsOn)).toEqual(others.map(() => ['pve3-reachable']));
  });

  test('a device without a login is pinged where its address is written', () => {
    const devices = { freebox: { via: 'none', address: '192.168.1.254' }, shelf: { via: 'none' } };
    expect(checksOf({ hosts: devices })).toMatchObject([
      { id: 'freebox-reachable', kind: 'ping', options: { condition: 'host-down', address: '192.168.1.254' } },
    ]);
  });

  test('what a check of the host looks at closer is left to it', () => {
    const config = {
      hosts: { web: { via: 'local' }, db: { via: 'local' } },
      checks: [
        { id: 'patches', kind: 'apt-updates', host: 'web' },
        { id: 'ports', kind: 'listening-ports', host: 'web' },
      ],
    };
    const resources = checksOf(config).filter(({ kind }) => kind === 'host-resources');
    expect(resources.map(({ host, options }) => [host, options])).toEqual([
      ['web', { off: ['updates', 'reboot', 'ports'] }],
      ['db', {}],
    ]);
  });

  test('a remote host without a login is only reached', () => {
    expect(checksOf({ hosts: { nas: {} } }).map(({ id }) => id)).toEqual(['nas-reachable']);
  });
});

describe('what the person wrote', () => {
  test('of the same kind for the same host replaces the default', () => {
    const checks = checksOf({
      hosts: { web: { read }, db: { read } },
      checks: [
        { id: 'my-units', kind: 'systemd-unit', host: 'web', units: ['nginx.service'] },
        { id: 'my-ping', kind: 'ping', host: 'web', address: 'web', condition: 'host-down' },
      ],
    });
    expect(checks.filter(({ host }) => host === 'web').map(({ id, dependsOn }) => [id, dependsOn])).toEqual([
      ['web-resources', []],
      ['web-containers', []],
    ]);
    expect(checks.filter(({ host }) => host === 'db')).toHaveLength(4);
  });

  test('about a port of a host does not answer for the host', () => {
    const port = { id: 'my-port', kind: 'tcp', host: 'web', address: 'web', port: 443 };
    expect(checksOf({ hosts: { web: {} }, checks: [port] }).map(({ id }) => id)).toEqual(['web-reachable']);
  });

  test('by a preset leaves the default its own, unless both judge the same', () => {
    const hosts = {
      web: { read, watch: [{ preset: 'postfix' }] },
      db: { read, watch: [{ preset: 'homelab-alerts' }] },
    };
    const checks = planChecks(ConfigSchema.parse({ hosts })).checks.map(({ check }) => check.id);
    expect(checks).toEqual(expect.arrayContaining(['web-unit', 'web-units', 'db-limits', 'db-units']));
    expect(checks).not.toContain('db-resources');
  });

  test('under a default name is not overwritten', () => {
    const checks = checksOf({
      hosts: { web: { read } },
      checks: [
        { id: 'web-reachable', kind: 'http', url: 'http://web' },
        { id: 'web-reachable-2', kind: 'http', url: 'http://web' },
      ],
    });
    expect(checks.map(({ id }) => id)).toContain('web-reachable-3');
    expect(checks.find(({ id }) => id === 'web-units')?.dependsOn).toEqual(['web-reachable-3']);
  });

  test('as defaultChecks: false leaves none', () => {
    expect(checksOf({ defaultChecks: false, hosts: { pve: { via: 'local' } } })).toEqual([]);
  });
});
