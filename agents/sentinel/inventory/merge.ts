import type { Conflict, FoundNode } from '#bus/messages/inventory.ts';
import type { NodeType } from '#config/inventory-fields.ts';
import { inventoryName, plainName } from '#config/plain-name.ts';
import type { Config } from '#config/schema.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import { type Entity, Matcher } from './match.ts';
import type { KnownThing, Said } from './remember.ts';

/** One source with what it said, in the order of the configuration: the earlier one is believed. */
export interface SourceSaid {
  id: string;
  said: Said;
  ignore?: readonly string[];
  aliases?: Readonly<Record<string, string>>;
}

interface Merged {
  nodes: FoundNode[];
  conflicts: Conflict[];
  fresh: string[];
  missing: string[];
}

/** How the written configuration is called among the sources. */
const writtenSource = 'written';

/**
 * One fleet from what is written and what was found. Pure. Contract: each thing becomes part of exactly one node, two
 * things of one source never become one, names are unique, no node stands on itself, and what is written wins.
 */
export function merge(config: Pick<Config, 'hosts' | 'services'>, sources: readonly SourceSaid[]): Merged {
  const matcher = new Matcher(config);
  for (const source of sources) {
    const ignored = new Set(source.ignore ?? []);
    const things = source.said.things.filter(({ id }) => !ignored.has(id));
    matcher.take(source.id, things, source.aliases ?? {});
  }
  const entities = matcher.named();
  const places = new Map(entities.map((entity) => [entity, placeOf(entity, matcher)]));
  cutLoops(places);
  const nodes = entities.map((entity) => nodeOf(entity, places));
  return {
    nodes,
    conflicts: entities.flatMap((entity) => conflictsOf(entity, matcher)),
    fresh: entities.filter((entity) => entity.written === undefined && !isGone(entity)).map(({ name }) => name),
    missing: entities.filter((entity) => isMissing(entity, places)).map(({ name }) => name),
  };
}

/** What an entity runs on: as it is written, else as the first source says. */
function placeOf(entity: Entity, matcher: Matcher): Entity | undefined {
  if (entity.written?.on !== undefined) return matcher.byName(entity.written.on);
  for (const { source, thing } of entity.said) {
    const place = thing.on === undefined ? undefined : matcher.resolve(source, thing.on);
    if (place !== undefined && place !== entity) return place;
  }
  return undefined;
}

/** Sources may contradict each other in a circle; of its links one that is found and not written is left out. */
function cutLoops(places: Map<Entity, Entity | undefined>): void {
  for (const start of places.keys()) {
    const chain = [start];
    for (let at = places.get(start); at !== undefined; at = places.get(at)) {
      const loop = chain.indexOf(at);
      if (loop >= 0) {
        const link = chain.slice(loop).findLast(({ written }) => written?.on === undefined) ?? at;
        places.set(link, undefined);
        break;
      }
      chain.push(at);
    }
  }
}

function nodeOf(entity: Entity, places: ReadonlyMap<Entity, Entity | undefined>): FoundNode {
  const things = entity.said.map(({ thing }) => thing);
  const on = places.get(entity)?.name;
  const address = entity.written?.address ?? things.find((thing) => thing.address !== undefined)?.address;
  const gone = isGone(entity) ? Math.max(...things.map(({ missingSince = 0 }) => missingSince)) : undefined;
  const services = [...new Set(things.flatMap((thing) => thing.services ?? []))].slice(0, 20);
  const labels: Record<string, string> = Object.assign({}, ...things.toReversed().map((thing) => thing.labels ?? {}));
  return {
    name: entity.name,
    type: typeOf(entity),
    ...(on !== undefined && { on }),
    ...(address !== undefined && { address }),
    aliases: aliasesOf(entity),
    sources: [...new Set(entity.said.map(({ source }) => source))].slice(0, 20),
    written: entity.written !== undefined,
    ...(gone !== undefined && { missingSince: toInstant(gone) }),
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(services.length > 0 && { services }),
  };
}

function aliasesOf(entity: Entity): string[] {
  const names = entity.said.map(({ thing }) => thing.name).filter((name) => name !== entity.name && name !== '');
  return [...new Set(names)].slice(0, 10);
}

/** `machine` is what is said of anything; a source that says more knows more. Nobody says what a service runs in. */
function typeOf({ written, said }: Entity): FoundNode['type'] {
  if (written?.isService === true && said.length === 0) return 'service';
  const types = [written?.type, ...said.map(({ thing }) => thing.type)];
  return types.find((type) => type !== undefined && type !== 'machine') ?? 'machine';
}

function isGone({ written, said }: Entity): boolean {
  return written === undefined && said.length > 0 && said.every(({ thing }) => thing.missingSince !== undefined);
}

/** Gone from every source that told of it; or written below something whose things a source lists without it. */
function isMissing(entity: Entity, places: ReadonlyMap<Entity, Entity | undefined>): boolean {
  if (entity.said.length > 0) return entity.said.every(({ thing }) => thing.missingSince !== undefined);
  const place = places.get(entity);
  if (place === undefined || entity.written?.isService === true) return false;
  return [...places].some(
    ([other, at]) => at === place && other.said.some(({ thing }) => thing.type === 'guest' && isThere(thing)),
  );
}

function isThere(thing: KnownThing): boolean {
  return thing.missingSince === undefined;
}

function conflictsOf(entity: Entity, matcher: Matcher): Conflict[] {
  const present = entity.said.filter(({ thing }) => isThere(thing));
  const { written, name } = entity;
  const sides = (
    field: Conflict['field'],
    own: string | undefined,
    of: (at: Entity['said'][number]) => string | undefined,
  ) => {
    const said = [
      ...(own === undefined ? [] : [{ source: writtenSource, value: own }]),
      ...present.flatMap((at) => {
        const value = of(at);
        return value === undefined ? [] : [{ source: at.source, value }];
      }),
    ];
    const isOne = new Set(said.map(({ value }) => plainName(value))).size < 2;
    return isOne ? [] : [{ name, field, said: said.slice(0, 20) }];
  };
  return [
    ...sides('on', written?.on, ({ source, thing }) =>
      thing.on === undefined ? undefined : (matcher.resolve(source, thing.on)?.name ?? inventoryName(thing.on)),
    ),
    ...sides('address', numeric(written?.address), ({ thing }) => numeric(thing.address)),
    ...sides('type', plainType(written?.type), ({ thing }) => plainType(thing.type)),
  ];
}

/** A name and a number may well be one address. */
function numeric(address: string | undefined): string | undefined {
  return address !== undefined && /^(?:\d+\.){3}\d+$/.test(address) ? address : undefined;
}

function plainType(type: NodeType | undefined): NodeType | undefined {
  return type === 'machine' ? undefined : type;
}
