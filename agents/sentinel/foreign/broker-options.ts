import { z } from 'zod';
import { SecretRef } from '#config/secret-ref.ts';
import type { Subscription } from './source.ts';

/** MQTT 3.1.1, section 4.7: `#` stands last and alone, `+` alone in its level. */
const Filter = z
  .string()
  .min(1)
  .max(500)
  .refine((text) => /^(?:[^+#\0/]*|\+)(?:\/(?:[^+#\0/]*|\+))*(?:\/#)?$|^#$/.test(text), {
    error: 'must be a topic filter such as alerts/+/state or alerts/#',
  });

/** How a kind of intake that listens at a broker finds it. */
export const brokerOptions = {
  url: z
    .string()
    .regex(
      /^(mqtts?|wss?):\/\/[^@/?#]+(?:[/?#].*)?$/,
      'must start with mqtt://, mqtts://, ws:// or wss:// and hold no password',
    )
    .optional()
    .describe('Address of the broker. Absent: the broker of the bus, when that is one of your own.'),
  user: z.string().max(200).optional().describe('Login at the broker.'),
  password: SecretRef.optional().describe('Password at the broker.'),
  caFile: z.string().optional().describe("Certificate authority of the broker's certificate."),
  topics: z.array(Filter).min(1).max(50).describe('Topic filters to listen to.'),
};

interface BrokerOptions {
  url?: string | undefined;
  user?: string | undefined;
  password?: SecretRef | undefined;
  caFile?: string | undefined;
  topics: readonly string[];
}

export function subscriptionOf({ url, user, password, caFile, topics }: BrokerOptions): Subscription {
  if (url === undefined) return { broker: undefined, topics };
  return {
    topics,
    broker: {
      url,
      ...(user !== undefined && { user }),
      ...(password !== undefined && { password }),
      ...(caFile !== undefined && { caFile }),
    },
  };
}
