import { z } from 'zod';
import { Ident, Instant, Labels, Line } from '../fields.ts';
import { defineMessage } from '../message.ts';

/** One thing of the fleet, as the written configuration and the sources of discovery say together. */
export const FoundNode = z.object({
  name: Ident,
  type: z.enum(['machine', 'node', 'guest', 'container', 'device', 'service']),
  /** What it runs on: the name of another node of this message or of the configuration. */
  on: Ident.optional(),
  address: z.string().max(255).optional(),
  /** How sources spell it. */
  aliases: z.array(z.string().max(255)).max(10).default([]),
  /** Which sources told of it. */
  sources: z.array(Ident).max(20),
  written: z.boolean(),
  /** Its source answers and no longer tells of it, since then. It stays until it was gone for 30 days. */
  missingSince: Instant.optional(),
  labels: Labels.optional(),
  services: z.array(z.string().max(100)).max(20).optional(),
});
export type FoundNode = z.output<typeof FoundNode>;

/** Two that say different things about one. Both are shown, the written one is used. */
export const Conflict = z.object({
  name: Ident,
  field: z.enum(['on', 'address', 'type']),
  said: z.array(z.object({ source: Ident, value: z.string().max(255) })).max(20),
});
export type Conflict = z.output<typeof Conflict>;

/** What one sentinel found, merged. Retained: who comes later knows the fleet at once. */
export const InventoryPicture = z.object({
  sentinel: Ident,
  at: Instant,
  nodes: z.array(FoundNode).max(2_000),
  conflicts: z.array(Conflict).max(200),
  /** Found and not written down. */
  fresh: z.array(Ident).max(2_000),
  /** Written down with a source that could know it, and told by none; or told of before and no longer. */
  missing: z.array(Ident).max(2_000),
  sources: z
    .array(
      z.object({
        source: Ident,
        /** When it last answered; absent when it never did. */
        answeredAt: Instant.optional(),
        nodes: z.number().int().nonnegative(),
        /** Why it does not answer now. What it said last is kept. */
        trouble: Line.optional(),
        /** What it could not read. */
        notes: z.array(Line).max(20),
      }),
    )
    .max(50),
  /** Nodes that did not fit into the message. */
  leftOut: z.number().int().nonnegative().default(0),
});
export type InventoryPicture = z.output<typeof InventoryPicture>;

export const inventory = defineMessage({
  name: 'inventory',
  version: 1,
  payload: InventoryPicture,
  filter: 'inventory/+',
  identify: (payload) => payload.sentinel,
  retained: true,
  writers: ['sentinel'],
});
