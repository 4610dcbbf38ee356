import { z } from 'zod';

const Secret = {
  file: z.string().optional().describe('File that holds the secret and nothing else.'),
  env: z.string().optional().describe('Environment variable that holds it.'),
  credential: z.string().optional().describe('Name of a systemd credential (LoadCredential=).'),
};
/** Where a secret is kept; exactly one place. Never the secret itself. */
export const SecretRef = z
  .strictObject(Secret)
  .refine((ref) => Object.values(ref).filter((place) => place !== undefined).length === 1, {
    error: 'must name exactly one of file, env or credential',
  });
export type SecretRef = z.output<typeof SecretRef>;
