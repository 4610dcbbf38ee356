import { z } from 'zod';
import { Failure } from '#bus/failure.ts';
import { Order, verifyOrder } from '#bus/order.ts';
import { type JudgingContext, notBelieved, rememberedMs, skewMs } from './persons-word.ts';

/** An order that may be kept for longer is none. */
const longestLifeMs = 15 * 60_000;

/**
 * The data of a person's order, once: from then on the same order is refused. Throws a Failure that says why it does
 * not count.
 */
export function takeOrder<S extends z.ZodType>(
  by: JudgingContext,
  of: { verb: string; data: unknown; schema: S },
): { data: z.output<S>; person: string } {
  const parsed = Order.safeParse(of.data);
  if (!parsed.success) throw refused(`it is no signed order: ${z.prettifyError(parsed.error)}`);
  const order = parsed.data;
  const refusal = refusalOf(by, order, of.verb);
  if (refusal !== undefined) {
    by.dropped.note({ kind: 'order-refused', subject: of.verb, body: { by: order.by, at: order.at, why: refusal } });
    throw refused(refusal);
  }
  const data = of.schema.safeParse(order.data);
  if (!data.success) throw refused(z.prettifyError(data.error));
  const now = by.clock.now();
  by.store.guards.forgetOrders(now - rememberedMs);
  if (!by.store.guards.useOrder(order.nonce, Date.parse(order.expiresAt))) throw refused('it was given before');
  return { data: data.data, person: order.by };
}

function refusalOf({ clock, people, trustedKeys }: JudgingContext, order: Order, verb: string): string | undefined {
  if (!verifyOrder(order, trustedKeys())) return notBelieved;
  if (order.verb !== verb) return `it is an order to "${order.verb}"`;
  if (!people.may(order.by, 'approver')) return `"${order.by}" is no approver here`;
  const [now, at, expiresAt] = [clock.now(), Date.parse(order.at), Date.parse(order.expiresAt)];
  const here = new Date(now).toISOString();
  if (at > now + skewMs) return `it says "${order.at}" and the worker's clock ${here}; set the clocks`;
  if (expiresAt <= now) return `it came too late: it says "${order.expiresAt}" and the worker's clock ${here}`;
  return expiresAt - at > longestLifeMs ? 'it is meant to last for too long' : undefined;
}

function refused(why: string): Failure {
  return new Failure(`The worker refuses: ${why}`, { recoverable: false });
}
