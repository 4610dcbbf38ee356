import { expect, test } from 'vitest';
import { ConfigSchema } from './schema.ts';

test('a password in an address is refused, and the refusal does not repeat it', () => {
  const { error } = ConfigSchema.safeParse({
    bus: { url: 'mqtts://lares:hunter2@broker:8883' },
    heartbeat: { url: 'https://me:hunter2@hc.example/ping/1' },
    telegram: { token: { env: 'X' }, apiRoot: 'http://hunter2@127.0.0.1' },
  });
  expect(error?.issues.map(({ path }) => path.join('.'))).toEqual(['bus.url', 'heartbeat.url', 'telegram.apiRoot']);
  expect(JSON.stringify(error?.issues)).not.toContain('hunter2');
  expect(ConfigSchema.safeParse({ bus: { url: 'wss://broker/mqtt?a@b' } }).success).toBe(true);
});
