import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InventoryPicture } from '#bus/messages/inventory.ts';
import { maximumMessageBytes } from '#bus/message.ts';
import { DiscoveryEntry } from '#config/discovery.ts';
import { nodeTypes } from '#config/inventory-fields.ts';
import { ConfigSchema } from '#config/schema.ts';
import { z } from 'zod';
import { merge, type SourceSaid } from './merge.ts';
import { pictureOf } from './picture.ts';
import { type KnownThing, nothingSaid, remember } from './remember.ts';
import { defineSource, type Thing } from './source.ts';

const day = 86_400_000;

function guest(name: string, more: Partial<KnownThing> = {}): KnownThing {
  return { id: more.id ?? name, name, type: 'guest', seenAt: 0, ...more };
}

function said(id: string, ...things: KnownThing[]): SourceSaid {
  return { id, said: { answeredAt: 0, notes: [], things } };
}

function written(hosts: Record<string, object>, services: Record<string, object> = {}) {
  return ConfigSchema.parse({ hosts, services });
}

const node = (name: string, more: Partial<KnownThing> = {}): KnownThing => guest(name, { type: 'node', ...more });
const container = (name: string, on: string): KnownThing => guest(name, { type: 'container', on, id: `${on}/${name}` });

describe('a thing that was found', () => {
  test('is new when nobody wrote it down, and stands on its node', () => {
    const { nodes, fresh } = merge(written({ pve1: {} }), [said('pve', node('pve1'), guest('web', { on: 'pve1' }))]);
    expect(fresh).toEqual(['web']);
    expect(nodes.find(({ name }) => name === 'web')).toMatchObject({ on: 'pve1', type: 'guest', written: false });
    expect(nodes.find(({ name }) => name === 'pve1')).toMatchObject({ written: true, type: 'node', sources: ['pve'] });
  });

  test.each([
    ['by a name in other letters', { 'web-shop': {} }, guest('Web_Shop')],
    ['by the first label of its name', { web: {} }, guest('web.example.org')],
    ['by its address', { gate: { address: '192.168.0.82' } }, guest('lxc-gate', { address: '192.168.0.82' })],
  ])('is known %s', (_how, hosts, thing) => {
    const { nodes, fresh } = merge(written(hosts), [said('pve', thing)]);
    expect(nodes).toHaveLength(1);
    expect(fresh).toEqual([]);
    expect(nodes[0]?.aliases).toEqual([thing.name]);
  });

  test('is known by an alias where neither name nor address tells', () => {
    const source = { ...said('pve', guest('CT 110')), aliases: { 'ct 110': 'traefik' } };
    expect(merge(written({ traefik: {} }), [source]).nodes).toMatchObject([{ name: 'traefik', aliases: ['CT 110'] }]);
  });

  test('is no other because of an address that many have', () => {
    const things = said('prometheus', guest('a', { address: '127.0.0.1' }));
    expect(merge(written({ b: { address: '127.0.0.1' } }), [things]).nodes).toHaveLength(2);
  });

  test('is not guessed where two could be meant', () => {
    const { nodes } = merge(written({ 'web.a.lan': {}, 'web.b.lan': {} }), [said('pve', guest('web'))]);
    expect(nodes.map(({ name }) => name)).toEqual(['web.a.lan', 'web.b.lan', 'web']);
  });

  test('with the name of another stays apart from it', () => {
    const { nodes } = merge(written({}), [said('pve', guest('web', { id: '100' }), guest('web', { id: '101' }))]);
    expect(nodes.map(({ name }) => name)).toEqual(['web', 'web-101']);
  });

  test('is left out by its identity, also after it got another name', () => {
    const source = { ...said('pve', guest('secret', { id: '666' }), guest('web', { id: '100' })), ignore: ['666'] };
    expect(merge(written({}), [source]).nodes.map(({ name }) => name)).toEqual(['web']);
    const renamed = { ...said('pve', guest('renamed', { id: '666' })), ignore: ['666'] };
    expect(merge(written({}), [renamed]).nodes).toEqual([]);
  });
});

describe('a container', () => {
  test('is no machine of its name', () => {
    const sources = [said('docker', container('web', 'vps')), said('pve', guest('web'))];
    const { nodes } = merge(written({ vps: {} }), sources);
    expect(nodes.map(({ name, type }) => `${name} ${type}`)).toEqual(['vps machine', 'web-vps container', 'web guest']);
  });

  test('is the written service of its name on its host', () => {
    const config = written({ vps: {}, nas: {} }, { nextcloud: { on: 'vps' } });
    const { nodes, fresh } = merge(config, [
      said('a', container('nextcloud', 'vps')),
      said('b', container('nextcloud', 'nas')),
    ]);
    expect(fresh).toEqual(['nextcloud-nas']);
    expect(nodes.find(({ name }) => name === 'nextcloud')).toMatchObject({ written: true, on: 'vps', sources: ['a'] });
  });

  test('is the service that names it', () => {
    const config = written({ vps: {} }, { cloud: { on: 'vps', labels: { container: 'nextcloud-app-1' } } });
    expect(merge(config, [said('a', container('nextcloud-app-1', 'vps'))]).fresh).toEqual([]);
  });
});

describe('a conflict', () => {
  test('is shown with all its sides, and what is written wins', () => {
    const config = written({ pve1: {}, pve2: {}, db: { on: 'pve1', address: '10.0.0.1' } });
    const sources = [said('pve', node('pve2'), guest('db', { on: 'pve2', address: '10.0.0.2' }))];
    const { nodes, conflicts } = merge(config, sources);
    expect(nodes.find(({ name }) => name === 'db')).toMatchObject({ on: 'pve1', address: '10.0.0.1' });
    expect(conflicts).toEqual([
      {
        name: 'db',
        field: 'on',
        said: [
          { source: 'written', value: 'pve1' },
          { source: 'pve', value: 'pve2' },
        ],
      },
      {
        name: 'db',
        field: 'address',
        said: [
          { source: 'written', value: '10.0.0.1' },
          { source: 'pve', value: '10.0.0.2' },
        ],
      },
    ]);
  });

  test('of two sources is decided by their order', () => {
    const sources = [said('a', node('n1'), node('n2'), guest('x', { on: 'n1' })), said('b', guest('x', { on: 'n2' }))];
    const { nodes, conflicts } = merge(written({}), sources);
    expect(nodes.find(({ name }) => name === 'x')?.on).toBe('n1');
    expect(conflicts).toMatchObject([{ name: 'x', field: 'on' }]);
  });

  test('is none where one says more than the other', () => {
    const sources = [said('a', guest('x', { type: 'machine' })), said('b', guest('x'))];
    const { nodes, conflicts } = merge(written({ x: {} }), sources);
    expect(nodes).toMatchObject([{ type: 'guest' }]);
    expect(conflicts).toEqual([]);
  });

  test('in a circle loses a link that nobody wrote', () => {
    const { nodes } = merge(written({ a: {}, b: { on: 'a' } }), [said('s', guest('a', { on: 'b' }))]);
    expect(nodes.map(({ name, on }) => [name, on])).toEqual([
      ['a', undefined],
      ['b', 'a'],
    ]);
  });
});

describe('what is gone', () => {
  const first = remember(
    nothingSaid,
    { is: 'answered', things: [thing('pve1', 'node'), thing('web', 'guest', 'pve1')], notes: [] },
    0,
  );

  test('is reported and stays, until it was gone for 30 days', () => {
    const left = { is: 'answered' as const, things: [thing('pve1', 'node')], notes: [] };
    const second = remember(first, left, day);
    const merged = merge(written({}), [{ id: 'pve', said: second }]);
    expect(merged.missing).toEqual(['web']);
    expect(merged.fresh).toEqual(['pve1']);
    expect(merged.nodes.find(({ name }) => name === 'web')).toMatchObject({
      on: 'pve1',
      missingSince: '1970-01-02T00:00:00.000Z',
    });
    expect(remember(second, left, 32 * day).things.map(({ name }) => name)).toEqual(['pve1']);
  });

  test('is not gone while its source says nothing', () => {
    const second = remember(first, { is: 'silent', reason: 'refused' }, day);
    expect(merge(written({}), [{ id: 'pve', said: second }]).missing).toEqual([]);
    expect(second).toMatchObject({ answeredAt: 0, trouble: 'refused' });
  });

  test('is back when it is told of again', () => {
    const gone = remember(first, { is: 'answered', things: [], notes: [] }, day);
    const again = remember(gone, { is: 'answered', things: [thing('web', 'guest', 'pve1')], notes: [] }, 2 * day);
    expect(again.things.find(({ name }) => name === 'web')?.missingSince).toBeUndefined();
  });

  test('or never was there: written below a node whose guests are listed without it', () => {
    const { missing } = merge(written({ pve1: {}, old: { on: 'pve1' } }), [{ id: 'pve', said: first }]);
    expect(missing).toEqual(['old']);
  });
});

function thing(name: string, type: Thing['type'], on?: string): Thing {
  return { id: name, name, type, ...(on !== undefined && { on }) };
}

const name = fc.oneof(
  fc.constantFrom('web', 'Web', 'web.lan', 'db', 'pve1', 'a b', ''),
  fc.string({ maxLength: 300, unit: 'binary' }),
);
const anyThing = fc.record({
  id: fc.oneof(fc.constantFrom('1', '2', '3'), fc.string({ maxLength: 20 })),
  name,
  type: fc.constantFrom(...nodeTypes),
  address: fc.option(fc.constantFrom('10.0.0.1', '10.0.0.2', '127.0.0.1', 'web'), { nil: undefined }),
  on: fc.option(name, { nil: undefined }),
  seenAt: fc.constant(0),
}) as fc.Arbitrary<KnownThing>;
const anySource = (id: string): fc.Arbitrary<SourceSaid> =>
  fc.uniqueArray(anyThing, { maxLength: 12, selector: (one) => one.id }).map((things) => said(id, ...things));
const fleet = written({ web: {}, 'db.lan': { on: 'web', address: '10.0.0.2' }, pve1: {} }, { site: { on: 'web' } });

test('whatever sources say, each thing is part of one node, names are unique, nothing stands on itself', () => {
  fc.assert(
    fc.property(anySource('one'), anySource('two'), (one, two) => {
      const { nodes, fresh } = merge(fleet, [one, two]);
      expect(new Set(nodes.map((node) => node.name)).size).toBe(nodes.length);
      expect(nodes.filter((node) => node.written).map((node) => node.name)).toEqual(['web', 'db.lan', 'pve1', 'site']);
      expect(nodes.find((node) => node.name === 'db.lan')).toMatchObject({ on: 'web', address: '10.0.0.2' });
      for (const source of ['one', 'two']) {
        const told = source === 'one' ? one.said.things.length : two.said.things.length;
        expect(nodes.filter((node) => node.sources.includes(source)).length).toBe(told);
      }
      const on = new Map(nodes.map((node) => [node.name, node.on]));
      for (const start of on.keys()) {
        let at: string | undefined = start;
        for (let steps = 0; at !== undefined; steps += 1, at = on.get(at))
          expect(steps).toBeLessThanOrEqual(nodes.length);
      }
      expect(fresh.length).toBe(nodes.filter((node) => !node.written).length);
    }),
  );
});

test('whatever a source says is fit for the bus, whole or cut', () => {
  const source = {
    id: 'big',
    config: DiscoveryEntry.parse({ source: 'big' }),
    definition: defineSource({
      source: 'big',
      about: '',
      options: z.object({}),
      discover: () => Promise.resolve({ is: 'silent', reason: '' }),
    }),
    options: {},
  };
  const tell = (things: Thing[]) => {
    const kept = remember(nothingSaid, { is: 'answered', things, notes: [] }, 0);
    return pictureOf({
      sentinel: 'sentinel',
      config: fleet,
      sources: [source],
      said: new Map([['big', kept]]),
      now: 0,
    });
  };
  fc.assert(
    fc.property(fc.array(anyThing, { maxLength: 10 }), (things) => void InventoryPicture.parse(tell(things))),
    { numRuns: 50 },
  );
  const many = Array.from({ length: 1_500 }, (_, index) => ({
    ...thing(`container-with-a-long-name-${'x'.repeat(100)}-${index}`, 'container'),
    id: String(index),
    labels: { image: 'y'.repeat(190) },
  }));
  const picture = InventoryPicture.parse(tell(many));
  expect(picture.leftOut).toBeGreaterThan(0);
  expect(picture.nodes.length).toBeGreaterThan(300);
  expect(Buffer.byteLength(JSON.stringify(picture))).toBeLessThan(maximumMessageBytes);
});
