import { z } from 'zod';
import { defineIntake } from '#agents/sentinel/foreign/source.ts';
import { readWebhook } from '#agents/sentinel/foreign/webhook.ts';

export const intake = defineIntake({
  kind: 'alertmanager-webhook',
  about: "Alertmanager's webhook, version 4: a receiver with `webhook_configs` and `send_resolved: true`.",
  options: z.strictObject({}),
  maximumBytes: 4 * 1_048_576,
  read: (_options, delivery) => readWebhook(delivery),
});
