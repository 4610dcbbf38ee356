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
