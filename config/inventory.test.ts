import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createInventory } from './inventory.ts';
import { ConfigSchema } from './schema.ts';

function inventoryOf(hosts: Record<string, object>, services: Record<string, object> = {}) {
  return createInventory(ConfigSchema.parse({ hosts, services }));
}

const home = inventoryOf(
  {
    pve: { via: 'local' },
    router: {},
    web: { on: 'pve', dependsOn: ['router'] },
    db: { on: 'pve' },
  },
  { shop: { on: 'web', dependsOn: ['postgres'] }, postgres: { on: 'db' } },
);

describe('ancestors', () => {
  test('are what it runs on and what it depends on, nearest first, each once', () => {
    expect(home.ancestors('shop')).toEqual(['web', 'postgres', 'pve', 'router', 'db']);
    expect(home.ancestors('pve')).toEqual([]);
  });

  test('of an unknown name are none', () => {
    expect(home.ancestors('nothing')).toEqual([]);
  });
});

test('dependents are all that would be hurt', () => {
  expect([...home.dependents('pve')].toSorted()).toEqual(['db', 'postgres', 'shop', 'web']);
  expect(home.dependents('router')).toEqual(['web', 'shop']);
  expect(home.dependents('shop')).toEqual([]);
});

test('a loop is cut: nothing is its own ancestor', () => {
  const loop = inventoryOf({ a: { dependsOn: ['b'] }, b: { dependsOn: ['c'] }, c: { dependsOn: ['a'] } });
  expect(loop.ancestors('a')).toEqual(['b', 'c']);
  expect(loop.dependents('a')).toEqual(['c', 'b']);
});

test('a node keeps its labels and its host', () => {
  const { nodes } = inventoryOf({ a: { via: 'local', labels: { site: 'x' } } });
  expect(nodes.get('a')).toMatchObject({ type: 'host', labels: { site: 'x' }, host: { via: 'local' } });
});

const names = ['a', 'b', 'c', 'd', 'e', 'f'];
const graph = fc.record(
  Object.fromEntries(names.map((name) => [name, fc.record({ dependsOn: fc.uniqueArray(fc.constantFrom(...names)) })])),
);

test('in any graph, one is an ancestor of another exactly when the other is its dependent', () => {
  fc.assert(
    fc.property(graph, (hosts) => {
      const inventory = inventoryOf(hosts);
      for (const a of names) {
        const ancestors = inventory.ancestors(a);
        expect(ancestors).not.toContain(a);
        expect(new Set(ancestors).size).toBe(ancestors.length);
        for (const b of names) expect(ancestors.includes(b)).toBe(inventory.dependents(b).includes(a));
      }
    }),
  );
});

describe('what was found', () => {
  const found = (name: string, more: object = {}) => ({
    name,
    type: 'guest' as const,
    aliases: [],
    sources: ['proxmox'],
    written: false,
    ...more,
  });

  test('stands below what it runs on, and explains', () => {
    const inventory = inventoryOf({ pve: { via: 'local' } });
    inventory.learn([found('ct110', { on: 'pve' })]);
    expect(inventory.ancestors('ct110')).toEqual(['pve']);
    expect(inventory.dependents('pve')).toEqual(['ct110']);
    expect(inventory.nodes.get('ct110')).toMatchObject({ type: 'found' });
  });

  test('adds what nobody wrote, and changes nothing that is written', () => {
    const inventory = inventoryOf({ pve: {}, other: {}, web: {}, db: { on: 'other' } });
    inventory.learn([found('web', { on: 'pve' }), found('db', { on: 'pve' })]);
    expect(inventory.nodes.get('web')).toMatchObject({ type: 'host', on: 'pve' });
    expect(inventory.nodes.get('db')).toMatchObject({ type: 'host', on: 'other' });
  });

  test('goes by the names that its sources have for it', () => {
    const inventory = inventoryOf({ gate: {} });
    inventory.learn([found('gate', { aliases: ['LXC Gate', 'gate.example.org'] })]);
    expect(inventory.nameOf('lxc-gate')).toBe('gate');
    expect(inventory.nameOf('Gate')).toBe('gate');
    expect(inventory.nameOf('nothing')).toBeUndefined();
  });

  test('is forgotten when it is learned anew without it', () => {
    const inventory = inventoryOf({ pve: {} });
    inventory.learn([found('ct110', { on: 'pve' })]);
    inventory.learn([]);
    expect(inventory.nodes.has('ct110')).toBe(false);
    expect(inventory.dependents('pve')).toEqual([]);
  });

  test('on a thing that nobody knows stands alone', () => {
    const inventory = inventoryOf({});
    inventory.learn([found('ct110', { on: 'gone' })]);
    expect(inventory.ancestors('ct110')).toEqual([]);
  });
});
