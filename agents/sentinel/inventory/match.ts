import type { NodeType } from '#config/inventory-fields.ts';
import { inventoryName, plainName, shortName } from '#config/plain-name.ts';
import type { Config } from '#config/schema.ts';
import type { KnownThing } from './remember.ts';

/** One thing of the fleet with all that was said of it. */
export interface Entity {
  /** Unique; set by `named`. */
  name: string;
  written?: { on?: string; address?: string; type: NodeType; isService: boolean; container?: string };
  said: { source: string; thing: KnownThing }[];
}

type Written = NonNullable<Entity['written']>;

/** Finds out which thing of which source is which. Things are taken source by source. */
export class Matcher {
  readonly #entities: Entity[] = [];
  readonly #written = new Map<string, Entity>();
  /** Of each source: what it calls a thing. */
  readonly #named = new Map<string, Map<string, Entity>>();

  constructor(config: Pick<Config, 'hosts' | 'services'>) {
    for (const [name, { type, on, address }] of Object.entries(config.hosts)) {
      const at = { ...(on !== undefined && { on }), ...(address !== undefined && { address }) };
      this.#write(name, { type, isService: false, ...at });
    }
    for (const [name, { on, labels }] of Object.entries(config.services)) {
      const container = labels['container'] ?? name;
      this.#write(name, { type: 'container', isService: true, on, container });
    }
  }

  #write(name: string, written: Written): void {
    const entity: Entity = { name, written, said: [] };
    this.#entities.push(entity);
    this.#written.set(name, entity);
  }

  /** The surest way first, for all things of the source, before the next one: a guess takes nobody's place. */
  take(source: string, things: readonly KnownThing[], aliases: Readonly<Record<string, string>>): void {
    const names = new Map<string, Entity>();
    this.#named.set(source, names);
    let left = [...things];
    // Nodes and guests come first, so that what runs on them finds them.
    for (const isSort of [isMachine, isContainerThing]) {
      for (const way of [byAlias(aliases), byFullName, byShortName, byAddress]) {
        const candidates = left.filter(isSort);
        const unclaimed = this.#entities.filter(({ said }) => !said.some((at) => at.source === source));
        const found = way({ things: candidates, entities: unclaimed, placeOf: (on) => this.resolve(source, on) });
        for (const [thing, entity] of found) this.#join({ source, thing, entity, names });
        left = left.filter((thing) => !found.has(thing));
      }
      for (const thing of left.filter(isSort)) {
        const entity: Entity = { name: '', said: [] };
        this.#entities.push(entity);
        this.#join({ source, thing, entity, names });
      }
      left = left.filter((thing) => !isSort(thing));
    }
  }

  #join(of: { source: string; thing: KnownThing; entity: Entity; names: Map<string, Entity> }): void {
    of.entity.said.push({ source: of.source, thing: of.thing });
    const key = plainName(of.thing.name);
    // A container never stands for the machine of its name.
    if (of.thing.type !== 'container' && !of.names.has(key)) of.names.set(key, of.entity);
  }

  byName(name: string): Entity | undefined {
    return this.#written.get(name);
  }

  /** What a source means by a name: a thing of its own, else a written one, else one of another source. */
  resolve(source: string, name: string): Entity | undefined {
    const key = plainName(name);
    const own = this.#named.get(source)?.get(key) ?? this.#written.get(name);
    if (own !== undefined) return own;
    const short = shortName(name) ?? key;
    return this.#entities.find(
      (entity) =>
        !isContainer(entity) && namesOf(entity).some((other) => plainName(other) === key || plainName(other) === short),
    );
  }

  /** All entities, each with a name that no other has. */
  named(): Entity[] {
    const taken = new Set(this.#written.keys());
    // A machine is known by its plain name; the container of the same name gets a longer one.
    for (const entity of this.#entities.toSorted((a, b) => Number(isContainer(a)) - Number(isContainer(b)))) {
      if (entity.written !== undefined) continue;
      entity.name = freeName(entity, taken);
      taken.add(entity.name);
    }
    return [...this.#entities];
  }
}

interface Looking {
  things: readonly KnownThing[];
  entities: readonly Entity[];
  placeOf: (on: string) => Entity | undefined;
}

type Way = (looking: Looking) => Map<KnownThing, Entity>;

function byAlias(aliases: Readonly<Record<string, string>>): Way {
  const named = new Map(Object.entries(aliases).map(([name, own]) => [plainName(name), own]));
  return pairs(
    (thing) => named.get(plainName(thing.name)),
    (entity) => (entity.written === undefined ? [] : [entity.name]),
  );
}

const byFullName: Way = (looking) =>
  pairs(
    (thing) => keyOf(thing, looking),
    (entity) => entityKeys(entity, looking),
  )(looking);

const byShortName: Way = (looking) =>
  pairs(
    (thing) => (thing.type === 'container' ? undefined : (shortName(thing.name) ?? plainName(thing.name))),
    (entity) => (isContainer(entity) ? [] : namesOf(entity).map((name) => shortName(name) ?? plainName(name))),
  )(looking);

const byAddress = pairs(
  (thing) => (thing.type === 'container' ? undefined : usable(thing.address)),
  (entity) => {
    if (isContainer(entity)) return [];
    const addresses = [entity.written?.address, ...entity.said.map(({ thing }) => thing.address)];
    return addresses.flatMap((address) => usable(address) ?? []);
  },
);

/** Pairs of things and entities that have a key that is unique on both sides: what is ambiguous is no match. */
function pairs(keyOfThing: (thing: KnownThing) => string | undefined, keysOfEntity: (entity: Entity) => string[]): Way {
  return ({ things, entities }) => {
    const byKey = new Map<string, Set<Entity>>();
    for (const entity of entities) {
      for (const key of keysOfEntity(entity)) byKey.set(key, (byKey.get(key) ?? new Set()).add(entity));
    }
    const found = new Map<KnownThing, Entity>();
    const claimed = new Set<Entity>();
    for (const [key, same] of Map.groupBy(things, (thing) => keyOfThing(thing) ?? '')) {
      const [entity, ...others] = byKey.get(key) ?? [];
      const [thing, ...rivals] = same;
      if (key === '' || entity === undefined || thing === undefined) continue;
      if (others.length > 0 || rivals.length > 0 || claimed.has(entity)) continue;
      claimed.add(entity);
      found.set(thing, entity);
    }
    return found;
  };
}

/** The name of a container is unique on its host alone. */
function keyOf(thing: KnownThing, { placeOf }: Looking): string | undefined {
  const name = plainName(thing.name);
  if (name === '') return undefined;
  if (thing.type !== 'container') return name;
  const place = thing.on === undefined ? undefined : placeOf(thing.on);
  return `${name}\0${place === undefined ? (thing.on ?? '') : placeKey(place)}`;
}

function entityKeys(entity: Entity, looking: Looking): string[] {
  if (!isContainer(entity)) return namesOf(entity).map(plainName);
  const places = [entity.written?.on, ...entity.said.map(({ thing }) => thing.on)];
  const ends = places.map((on) => {
    const place = on === undefined ? undefined : looking.placeOf(on);
    return place === undefined ? (on ?? '') : placeKey(place);
  });
  return containerNames(entity).flatMap((name) => ends.map((end) => `${plainName(name)}\0${end}`));
}

function placeKey(entity: Entity): string {
  return entity.written === undefined ? plainName(entity.said[0]?.thing.name ?? '') : entity.name;
}

function containerNames({ written, said }: Entity): string[] {
  return [...(written?.container === undefined ? [] : [written.container]), ...said.map(({ thing }) => thing.name)];
}

function namesOf({ written, name, said }: Entity): string[] {
  return [...(written === undefined ? [] : [name]), ...said.map(({ thing }) => thing.name)];
}

function isContainer({ written, said }: Entity): boolean {
  if (written !== undefined) return written.isService || written.type === 'container';
  return said[0] !== undefined && isContainerThing(said[0].thing);
}

function isContainerThing({ type }: KnownThing): boolean {
  return type === 'container';
}

/** Whatever has a name that is unique in the whole fleet, devices too. */
function isMachine(thing: KnownThing): boolean {
  return !isContainerThing(thing);
}

/** Addresses that many share say nothing. */
function usable(address: string | undefined): string | undefined {
  const plain = plainName(address ?? '');
  return plain === '' || /^(?:127\.|0\.0\.0\.0$|localhost$|169\.254\.|172\.1[789]\.0\.1$)/.test(plain)
    ? undefined
    : plain;
}

function freeName({ said }: Entity, taken: ReadonlySet<string>): string {
  const [first] = said;
  if (first === undefined) return 'unnamed';
  const { source, thing } = first;
  const plain = inventoryName(thing.name) ?? inventoryName(`${source}-${thing.id}`) ?? source;
  const detail = thing.type === 'container' ? (thing.on ?? 'here') : thing.id;
  const longer = inventoryName(`${plain}-${detail}`) ?? plain;
  const free = [plain, longer].find((name) => !taken.has(name));
  if (free !== undefined) return free;
  let number = 2;
  while (taken.has(`${longer}-${number}`)) number += 1;
  return `${longer}-${number}`;
}
