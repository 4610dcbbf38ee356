import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Folder } from '../../../test/parts/command.ts';
import { discover, thingsOf } from '../../../test/parts/discovery-context.ts';
import { startFakeApi } from '../../../test/parts/fake-api.ts';
import { source } from './homelable.ts';

const token = { env: 'LARES_TEST_HOMELABLE' };
beforeEach(() => void vi.stubEnv('LARES_TEST_HOMELABLE', 'live-planted'));
afterEach(() => void vi.unstubAllEnvs());

const topology = {
  roots: [{ label: 'Freebox Delta', nodeType: 'router' }],
  peers: [{ label: 'Workstation', nodeType: 'computer' }],
  zones: [
    {
      label: 'pve1',
      nodeType: 'proxmox',
      hostname: 'pve1.pixelium.internal',
      ipAddress: '192.168.1.11',
      children: [
        { label: 'CT 100 DNS', nodeType: 'lxc', hostname: 'dns1', ipAddress: '192.168.1.100, fe80::1' },
        { label: 'VM 200', nodeType: 'vm', hostname: null, ipAddress: null },
      ],
    },
  ],
  total: 5,
};

describe('an exported topology', () => {
  test('has nodes in zones', async () => {
    using folder = new Folder();
    writeFileSync(join(folder.path, 'topology.json'), JSON.stringify(topology));
    const things = thingsOf(await discover(source, { file: 'topology.json' }, { baseFolder: folder.path }));
    expect(things.map(({ name, type, on, address }) => [name, type, on, address])).toEqual([
      ['Freebox Delta', 'device', undefined, undefined],
      ['Workstation', 'machine', undefined, undefined],
      ['pve1', 'node', undefined, '192.168.1.11'],
      ['CT 100 DNS', 'guest', 'pve1', '192.168.1.100'],
      ['VM 200', 'guest', 'pve1', undefined],
    ]);
  });

  test.each([
    ['is not there', undefined],
    ['is no JSON', '<html>'],
    ['is something else', '{"nodes":[]}'],
  ])('that %s says nothing', async (_why, text) => {
    using folder = new Folder();
    if (text !== undefined) writeFileSync(join(folder.path, 'topology.json'), text);
    expect(await discover(source, { file: 'topology.json' }, { baseFolder: folder.path })).toMatchObject({
      is: 'silent',
    });
  });
});

describe('a live view', () => {
  const nodes = [
    {
      id: 'a1',
      type: 'proxmox',
      label: 'pve2',
      hostname: 'pve2',
      ip: '192.168.1.12',
      status: 'online',
      parent_id: null,
    },
    { id: 'a2', type: 'lxc', label: null, hostname: 'traefik', ip: '192.168.1.110', status: 'online', parent_id: 'a1' },
  ];

  test('tells nodes below their parents, and its key stays out of what is said', async () => {
    await using fake = await startFakeApi(({ path, query }) =>
      path === '/api/v1/liveview' && query.get('key') === 'live-planted'
        ? { body: { nodes, edges: [] } }
        : { status: 403 },
    );
    const things = thingsOf(await discover(source, { url: fake.url, token }));
    expect(things.map(({ name, type, on }) => [name, type, on])).toEqual([
      ['pve2', 'node', undefined],
      ['traefik', 'guest', 'pve2'],
    ]);
    vi.stubEnv('LARES_TEST_HOMELABLE', 'other-planted');
    const refused = await discover(source, { url: fake.url, token });
    expect(refused).toMatchObject({ is: 'silent', reason: expect.stringContaining('403') });
    expect(JSON.stringify(refused)).not.toContain('planted');
  });

  test('of another shape says nothing', async () => {
    await using fake = await startFakeApi(() => ({ body: { nodes: [{ name: 'x' }] } }));
    expect(await discover(source, { url: fake.url, token })).toMatchObject({ is: 'silent' });
  });
});
