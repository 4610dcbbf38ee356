import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { Ident, Instant, SignatureField } from './fields.ts';
import type { Signer } from './keys.ts';
import { signedValue, type TrustedKeys, verifySignature } from './sign.ts';

/** What the `data` of an order may hold. */
const OrderData = z.record(z.string().max(64), z.string().max(200));
type OrderData = z.output<typeof OrderData>;

/**
 * A question to the worker that changes what may run, such as `release`: a person's word, signed. It counts once, until
 * it expires, and only for an approver of the worker's own policy.
 */
export const Order = z.strictObject({
  verb: Ident,
  data: OrderData,
  /** `telegram:<user id>` or `terminal:<user name>`. */
  by: z.string().max(120),
  at: Instant,
  expiresAt: Instant,
  /** Never used twice. */
  nonce: z.uuid(),
  signature: SignatureField,
});
export type Order = z.output<typeof Order>;

const domain = 'lares.order/1';
const orderLifeMs = 60_000;

/** The signature covers everything but itself: also which verb, about what, who and until when. */
export function signOrder(order: { verb: string; data: OrderData; by: string; at: number }, signer: Signer): Order {
  const unsigned = {
    ...order,
    at: new Date(order.at).toISOString(),
    expiresAt: new Date(order.at + orderLifeMs).toISOString(),
    nonce: randomUUID(),
  };
  return { ...unsigned, signature: { key: signer.keyId, value: signer.sign(signedValue(domain, unsigned)) } };
}

export function verifyOrder(order: Order, keys: TrustedKeys): boolean {
  const { signature, ...signed } = order;
  return verifySignature(signedValue(domain, signed), signature, keys);
}
