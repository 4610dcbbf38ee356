import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ClusterModel } from '../../../test/parts/cluster-model.ts';
import { discover, thingsOf } from '../../../test/parts/discovery-context.ts';
import { type ApiReply, startFakeApi } from '../../../test/parts/fake-api.ts';
import { proxmoxToken, startFakeProxmox } from '../../../test/parts/fake-proxmox.ts';
import { source } from './proxmox.ts';

const token = { env: 'LARES_TEST_PVE' };
beforeEach(() => void vi.stubEnv('LARES_TEST_PVE', proxmoxToken));
afterEach(() => void vi.unstubAllEnvs());

describe('a cluster', () => {
  test('tells its nodes and guests, each guest on its node, with what it is', async () => {
    await using fake = await startFakeProxmox(new ClusterModel());
    const things = thingsOf(await discover(source, { url: fake.url, token }));
    expect(things.filter(({ type }) => type === 'node').map(({ name }) => name)).toEqual([
      'pve1',
      'pve2',
      'pve3',
      'pve4',
    ]);
    const guests = things.filter(({ type }) => type === 'guest');
    expect(guests).toHaveLength(53);
    expect(guests[9]).toMatchObject({
      id: '109',
      name: 'guest-109',
      on: 'pve2',
      labels: { vmid: '109', node: 'pve2', guest_type: 'qemu', onboot: '1' },
    });
  });

  test('with a node that is down still tells of its guests', async () => {
    const model = new ClusterModel({ nodes: 2, guests: 4 });
    for (const node of model.nodes) if (node.name === 'pve2') node.online = false;
    await using fake = await startFakeProxmox(model);
    const answer = await discover(source, { url: fake.url, token });
    expect(thingsOf(answer).filter(({ on }) => on === 'pve2')).toHaveLength(2);
    expect(answer.is === 'answered' && answer.notes.join()).toContain('2 guests could not be read');
  });

  test('that refuses the token says nothing', async () => {
    await using fake = await startFakeProxmox(new ClusterModel({ guests: 1 }));
    fake.refusalDelayMs = 0;
    vi.stubEnv('LARES_TEST_PVE', 'lares@pve!watch=wrong');
    expect(await discover(source, { url: fake.url, token })).toMatchObject({
      is: 'silent',
      reason: expect.stringContaining('401'),
    });
  });
});

/** Bodies as pve-manager 9 writes them, shortened to what is read and some that is not. */
const recorded: Record<string, unknown> = {
  '/cluster/status': [
    { id: 'node/pve', ip: '192.168.0.2', level: '', local: 1, name: 'pve', nodeid: 0, online: 1, type: 'node' },
  ],
  '/cluster/resources': [
    {
      id: 'lxc/101',
      type: 'lxc',
      vmid: 101,
      name: 'lxc-gate',
      node: 'pve',
      status: 'running',
      template: 0,
      tags: 'nomos;prod',
      maxmem: 1073741824,
    },
    { id: 'lxc/102', type: 'lxc', vmid: 102, name: 'lxc-router', node: 'pve', status: 'running', template: 0 },
    { id: 'qemu/900', type: 'qemu', vmid: 900, name: 'template', node: 'pve', status: 'stopped', template: 1 },
    { id: 'storage/pve/local', type: 'storage', storage: 'local', node: 'pve' },
    'not a row',
  ],
  '/nodes/pve/lxc/101/config': {
    hostname: 'lxc-gate',
    net0: 'name=eth0,bridge=vmbr0,gw=192.168.0.1,hwaddr=BC:24:11:00:00:01,ip=192.168.0.82/24,type=veth',
    onboot: 1,
  },
  '/nodes/pve/lxc/102/config': { hostname: 'lxc-router', net0: 'name=eth0,bridge=vmbr0,ip=dhcp' },
  '/nodes/pve/lxc/102/interfaces': [
    { name: 'lo', inet: '127.0.0.1/8', inet6: '::1/128', hwaddr: '00:00:00:00:00:00' },
    { name: 'eth0', inet: '192.168.0.4/24', hwaddr: 'bc:24:11:00:00:02' },
  ],
};

function recordedProxmox(path: string): ApiReply | undefined {
  const data = recorded[path.replace('/api2/json', '')];
  return data === undefined ? undefined : { body: { data } };
}

describe('a node alone', () => {
  test('tells fixed addresses from the configuration and leased ones from the interfaces; templates are no guests', async () => {
    await using fake = await startFakeApi(({ path }) => recordedProxmox(path));
    const answer = await discover(source, { url: fake.url, token });
    expect(thingsOf(answer).map(({ id, name, address, on }) => [id, name, address, on])).toEqual([
      ['node/pve', 'pve', '192.168.0.2', undefined],
      ['101', 'lxc-gate', '192.168.0.82', 'pve'],
      ['102', 'lxc-router', '192.168.0.4', 'pve'],
    ]);
    expect(fake.requests.every(({ headers }) => headers.authorization === `PVEAPIToken=${proxmoxToken}`)).toBe(true);
    expect(fake.requests.map(({ path }) => path)).not.toContain('/api2/json/nodes/pve/lxc/101/interfaces');
  });

  test('whose token sees no node says nothing, though it answers', async () => {
    await using fake = await startFakeApi(() => ({ body: { data: [] } }));
    expect(await discover(source, { url: fake.url, token })).toMatchObject({ is: 'silent' });
  });
});
