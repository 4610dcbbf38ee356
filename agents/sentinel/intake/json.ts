import { z } from 'zod';
import { mappingOptions, readMapped } from '#agents/sentinel/foreign/mapping.ts';
import { defineIntake } from '#agents/sentinel/foreign/source.ts';

export const intake = defineIntake({
  kind: 'json',
  about: 'Any JSON that is posted, read by paths of your own.',
  options: z.strictObject({ map: z.strictObject(mappingOptions).describe('Where in the document things stand.') }),
  maximumBytes: 1_048_576,
  read: ({ map }, delivery) => readMapped(map, delivery),
});
