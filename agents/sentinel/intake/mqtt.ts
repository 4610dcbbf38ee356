import { z } from 'zod';
import { brokerOptions, subscriptionOf } from '#agents/sentinel/foreign/broker-options.ts';
import { mappingOptions, readMapped } from '#agents/sentinel/foreign/mapping.ts';
import { defineIntake } from '#agents/sentinel/foreign/source.ts';

export const intake = defineIntake({
  kind: 'mqtt',
  about: 'JSON messages of any MQTT broker, read by paths of your own.',
  options: z.strictObject({
    ...brokerOptions,
    map: z
      .strictObject(mappingOptions)
      .describe('Where in a message things stand; `topic[2]` is the third level of the topic.'),
  }),
  maximumBytes: 262_144,
  read: ({ map }, delivery) => readMapped(map, delivery),
  subscription: subscriptionOf,
});
