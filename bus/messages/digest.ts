import { z } from 'zod';
import { Ident, Instant } from '../fields.ts';
import { defineMessage } from '../message.ts';

/** The last digest of its kind. `nightly` is the only kind; facts are computed by code. */
export const DigestMessage = z.object({
  kind: Ident,
  /** The local day that it is about, `2026-11-20`. */
  day: z.iso.date(),
  text: z.string().max(20_000),
  at: Instant,
});
export type DigestMessage = z.output<typeof DigestMessage>;

export const digest = defineMessage({
  name: 'digest',
  version: 1,
  payload: DigestMessage,
  filter: 'digest/+',
  identify: (payload) => payload.kind,
  retained: true,
  writers: ['triage'],
});
