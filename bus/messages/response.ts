import { z } from 'zod';
import { Ident, Text } from '../fields.ts';
import { defineMessage } from '../message.ts';

export const Response = z.object({
  verb: Ident,
  transaction: Ident,
  status: z.enum(['ok', 'error']),
  error: Text.optional(),
  data: z.record(z.string().max(64), z.unknown()).optional(),
});
export type Response = z.output<typeof Response>;

export const response = defineMessage({
  name: 'response',
  version: 1,
  payload: Response,
  filter: 'response/+',
  identify: (payload) => payload.verb,
  retained: false,
  writers: ['sentinel', 'triage', 'remediation'],
});
