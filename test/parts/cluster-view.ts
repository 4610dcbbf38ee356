import type { ClusterModel, ModelGuest, ModelStorage } from './cluster-model.ts';

/** What the API of Proxmox VE shows of a cluster: numbers for booleans, `unknown` for what nobody reports. */

const gib = 1_073_741_824;

/** From now on the list of all resources stays as it is, as it does for about ten seconds. */
export function freezeResources(model: ClusterModel): void {
  model.frozen = currentResources(model);
}

export function resources(model: ClusterModel, type: string | null): object[] {
  const wanted = type === 'vm' ? ['lxc', 'qemu'] : [type];
  const all = model.frozen ?? currentResources(model);
  return type === null ? all : all.filter((one) => 'type' in one && wanted.includes(String(one.type)));
}

export function clusterStatus(model: ClusterModel): object[] {
  const nodes = model.nodes.map(({ name, online }, index) => {
    const ip = `192.0.2.${index + 1}`;
    return {
      type: 'node',
      id: `node/${name}`,
      name,
      online: online ? 1 : 0,
      local: index === 0 ? 1 : 0,
      ip,
      nodeid: index + 1,
    };
  });
  const whole = { type: 'cluster', id: 'cluster', name: model.name, nodes: nodes.length, version: nodes.length };
  return model.isStandalone ? nodes : [{ ...whole, quorate: model.quorate ? 1 : 0 }, ...nodes];
}

export function uncovered(model: ClusterModel): object[] {
  return model.guests.filter(({ vmid }) => model.bare.has(vmid)).map(({ vmid, name, type }) => ({ vmid, name, type }));
}

export function nodeStatus(model: ClusterModel, name: string): object {
  const { wait, cpu } = model.node(name);
  return {
    uptime: 864_000,
    loadavg: ['0.52', '0.48', '0.40'],
    cpu,
    wait,
    memory: { total: 64 * gib, used: 35 * gib, free: 29 * gib },
    swap: { total: 8 * gib, used: gib, free: 7 * gib },
    rootfs: { total: 100 * gib, used: 30 * gib, avail: 70 * gib },
    pveversion: 'pve-manager/9.2.11/abcdef0123456789',
    kversion: 'Linux 6.14.8-2-pve',
  };
}

export function nodeStorages(model: ClusterModel, node: string): object[] {
  return model.storages
    .filter((storage) => storage.nodes.includes(node))
    .map(({ storage, plugintype, content, shared, enabled, active, used }) => ({
      storage,
      content,
      type: plugintype,
      shared: shared ? 1 : 0,
      enabled: enabled ? 1 : 0,
      active: active ? 1 : 0,
      ...(active && {
        total: 1_000 * gib,
        used: used * 1_000 * gib,
        avail: (1 - used) * 1_000 * gib,
        used_fraction: used,
      }),
    }));
}

export function servicesOf(model: ClusterModel, node: string): object[] {
  const names = ['corosync', 'pve-cluster', 'pvedaemon', 'pveproxy', 'pvescheduler', 'pvestatd', 'postfix'];
  return names.map((service) => {
    const isDown = model.stoppedServices.get(node) === service;
    const isAbsent = service === 'corosync' && model.isStandalone;
    return {
      service,
      name: service,
      desc: service,
      state: isDown || isAbsent ? 'dead' : 'running',
      'active-state': isAbsent ? 'inactive' : isDown ? 'failed' : 'active',
      'unit-state': isAbsent ? 'disabled' : 'enabled',
    };
  });
}

export function certificatesOf(model: ClusterModel, node: string): object[] {
  const notafter = model.certificateEndings.get(node) ?? model.seconds + 400 * 86_400;
  return [
    {
      filename: 'pve-ssl.pem',
      notbefore: notafter - 730 * 86_400,
      notafter,
      fingerprint: Array.from({ length: 32 }, () => 'AB').join(':'),
      subject: `/OU=PVE Cluster Node/O=Proxmox Virtual Environment/CN=${node}.lan`,
      san: [node],
    },
  ];
}

function currentResources(model: ClusterModel): object[] {
  const canSee = (privilege: string): boolean => model.may(privilege);
  return [
    ...(canSee('VM.Audit') ? model.guests.map((guest) => guestResource(model, guest)) : []),
    ...model.nodes.map(({ name, online, cpu, mem }) => ({
      type: 'node',
      id: `node/${name}`,
      node: name,
      status: online ? 'online' : 'offline',
      level: '',
      'cgroup-mode': 2,
      ...(online && {
        cpu,
        maxcpu: 16,
        mem: mem * 64 * gib,
        maxmem: 64 * gib,
        disk: 30 * gib,
        maxdisk: 100 * gib,
        uptime: 864_000,
      }),
    })),
    ...(canSee('Datastore.Audit') ? model.storages.flatMap((storage) => storageResources(model, storage)) : []),
  ];
}

function guestResource(model: ClusterModel, guest: ModelGuest): object {
  const { online, isMute } = model.node(guest.node);
  const isKnown = online && !isMute;
  const { vmid, name, type, node, lock, tags, hastate } = guest;
  const optional = Object.fromEntries(
    Object.entries({ lock, tags, hastate }).filter(([, value]) => value !== undefined),
  );
  const isRunning = isKnown && guest.status === 'running';
  return {
    type,
    id: `${type}/${vmid}`,
    vmid,
    name,
    node,
    status: isKnown ? guest.status : 'unknown',
    template: guest.template ? 1 : 0,
    ...optional,
    ...(isKnown && {
      cpu: isRunning ? 0.02 : 0,
      maxcpu: 2,
      mem: isRunning ? gib / 2 : 0,
      maxmem: gib,
      disk: type === 'lxc' ? guest.disk * 8 * gib : 0,
      maxdisk: 8 * gib,
      uptime: isRunning ? 86_400 * 9 : 0,
    }),
  };
}

/** A disabled storage is in no list; one that is not active is no longer reported. */
function storageResources(
  model: ClusterModel,
  { storage, plugintype, content, shared, nodes, enabled, active, used }: ModelStorage,
): object[] {
  if (!enabled) return [];
  return nodes.map((node) => {
    const isKnown = active && model.node(node).online && !model.node(node).isMute;
    return {
      type: 'storage',
      id: `storage/${node}/${storage}`,
      storage,
      node,
      plugintype,
      content,
      shared: shared ? 1 : 0,
      status: isKnown ? 'available' : 'unknown',
      ...(isKnown && { disk: used * 1_000 * gib, maxdisk: 1_000 * gib }),
    };
  });
}
