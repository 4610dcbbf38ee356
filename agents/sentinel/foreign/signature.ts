import { createHmac } from 'node:crypto';
import { isSame } from './credentials.ts';

/** Whether a message authentication code in hex is the one of these bytes. */
export function isSigned(
  shown: string | string[] | undefined,
  secret: string,
  ...parts: readonly (string | Buffer)[]
): boolean {
  if (typeof shown !== 'string') return false;
  const hmac = createHmac('sha256', secret);
  for (const part of parts) hmac.update(part);
  return isSame(
    shown
      .trim()
      .replace(/^sha256=/, '')
      .toLowerCase(),
    hmac.digest('hex'),
  );
}
