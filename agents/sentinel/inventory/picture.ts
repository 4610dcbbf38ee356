import { type InventoryPicture, inventory } from '#bus/messages/inventory.ts';
import { maximumMessageBytes } from '#bus/message.ts';
import type { Config } from '#config/schema.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import { merge } from './merge.ts';
import type { BoundSource } from './registry.ts';
import { nothingSaid, type Said } from './remember.ts';

/** Room for what the bus puts around it. */
const budgetBytes = maximumMessageBytes * 0.9;
/** What the schema of the message takes. */
const maximumNodes = 2_000;

/** The fleet as it is told: written and found, merged, cut to what fits into one message. */
export function pictureOf(of: {
  sentinel: string;
  config: Pick<Config, 'hosts' | 'services'>;
  sources: readonly BoundSource[];
  said: ReadonlyMap<string, Said>;
  now: number;
}): InventoryPicture {
  const told = of.sources.map(({ id, config }) => ({
    id,
    said: of.said.get(id) ?? nothingSaid,
    ignore: config.ignore.map(String),
    aliases: config.aliases,
  }));
  const merged = merge(of.config, told);
  return fit({
    sentinel: of.sentinel,
    at: toInstant(of.now),
    nodes: merged.nodes.slice(0, maximumNodes),
    conflicts: merged.conflicts.slice(0, 200),
    fresh: merged.fresh.slice(0, maximumNodes),
    missing: merged.missing.slice(0, maximumNodes),
    sources: told.slice(0, 50).map(({ id, said }) => ({
      source: id,
      ...(said.answeredAt !== undefined && { answeredAt: toInstant(said.answeredAt) }),
      nodes: said.things.filter(({ missingSince }) => missingSince === undefined).length,
      ...(said.trouble !== undefined && { trouble: said.trouble }),
      notes: said.notes,
    })),
    leftOut: Math.max(0, merged.nodes.length - maximumNodes),
  });
}

/** First the labels go, which explain; then nodes, containers before what they run on. */
function fit(picture: InventoryPicture): InventoryPicture {
  if (isSmall(picture)) return picture;
  let nodes = picture.nodes.map(({ labels: _labels, services: _services, ...node }) => node);
  const rank = (type: string): number => (type === 'container' ? 1 : 0);
  nodes.sort((a, b) => rank(a.type) - rank(b.type));
  const whole = nodes.length;
  for (;;) {
    const kept = new Set(nodes.map(({ name }) => name));
    const smaller = {
      ...picture,
      nodes,
      conflicts: picture.conflicts.slice(0, 50),
      fresh: picture.fresh.filter((name) => kept.has(name)),
      missing: picture.missing.filter((name) => kept.has(name)),
      leftOut: picture.leftOut + whole - nodes.length,
    };
    if (nodes.length === 0 || isSmall(smaller)) return smaller;
    nodes = nodes.slice(0, Math.floor(nodes.length * 0.8));
  }
}

function isSmall(picture: InventoryPicture): boolean {
  return Buffer.byteLength(JSON.stringify({ schema: inventory.schemaId, ...picture })) <= budgetBytes;
}
