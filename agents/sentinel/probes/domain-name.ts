import { z } from 'zod';

const label = '[A-Za-z0-9_*](?:[A-Za-z0-9_-]{0,62})';

/** A name as DNS has it: labels of at most 63 characters, 254 together; `.` is the root. */
export const DomainName = z
  .string()
  .max(254)
  .regex(new RegExp(`^(?:\\.|(?:${label}\\.)*${label}\\.?)$`), { error: 'must be a domain name' });
