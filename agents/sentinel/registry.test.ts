import { expect, test } from 'vitest';
import { z } from 'zod';
import { type Config, type ConfigInput, ConfigSchema } from '#config/schema.ts';
import { type CheckDefinition, defineCheck, noEvidence } from './check.ts';
import { bindChecks, loadKinds } from './registry.ts';

const door = defineCheck({
  kind: 'door',
  about: 'Whether a door is shut.',
  options: z.object({ url: z.url().describe('Where.'), tries: z.number().int().min(1).default(3) }),
  reach: 'network',
  evidence: noEvidence,
  resourceOf: (options) => options.url,
  observe: () => Promise.resolve([]),
});
const window = defineCheck({ ...door, kind: 'window', reach: 'host' });
const kinds = new Map<string, CheckDefinition>([
  ['door', door],
  ['window', window],
]);

function configOf(input: ConfigInput): Config {
  return ConfigSchema.parse({ defaultChecks: false, ...input });
}

test('a check is bound to its kind, with the options that the kind parsed', () => {
  const config = configOf({
    hosts: { box: { via: 'local' } },
    checks: [{ id: 'front', kind: 'door', url: 'https://example.org/', host: 'box', every: '5m' }],
  });
  const { checks, faults } = bindChecks(config, kinds);
  expect(faults).toEqual([]);
  expect(checks).toMatchObject([
    {
      id: 'front',
      options: { url: 'https://example.org/', tries: 3 },
      resource: 'https://example.org/',
      intervalMs: 300_000,
      host: { name: 'box' },
    },
  ]);
});

test('every fault is told at once, at the key where it can be mended', () => {
  const config = configOf({
    checks: [
      { id: 'a', kind: 'dor', url: 'https://example.org/' },
      { id: 'b', kind: 'door', url: 'not a url', tris: 2 },
      { id: 'c', kind: 'window', url: 'https://example.org/' },
    ],
  });
  const { checks, faults } = bindChecks(config, kinds);
  expect(checks).toEqual([]);
  expect(faults.map(({ path }) => path.join('.'))).toEqual([
    'checks.0.kind',
    'checks.1.url',
    'checks.1.tris',
    'checks.2',
  ]);
  expect(faults[0]?.message).toContain('did you mean "door"?');
  expect(faults[0]?.message).toContain('known are door, window');
  expect(faults[2]?.message).toContain('did you mean "tries"?');
  expect(faults[3]?.message).toContain('needs a "host"');
});

test('what names this machine is not remote', () => {
  const url = ['http://localhost:3000/', 'http://127.0.0.1/x', 'http://[::1]:80/', 'https://localhost.example/'];
  const config = configOf({ checks: url.map((address, index) => ({ id: `c${index}`, kind: 'door', url: address })) });
  const { checks } = bindChecks(config, kinds);
  expect(checks.map(({ isRemote }) => isRemote)).toEqual([false, false, false, true]);
});

test('a nightly check counts its longest gap as its interval', () => {
  const config = configOf({
    checks: [{ id: 'night', kind: 'door', url: 'https://example.org/', cron: '0 3 * * 1-5', timezone: 'Europe/Paris' }],
  });
  expect(bindChecks(config, kinds).checks[0]?.intervalMs).toBe(3 * 86_400_000);
});

test('each kind that ships is found under the name of its file', async () => {
  const shipped = await loadKinds();
  expect([...shipped.keys()]).toContain('heartbeat');
  for (const [name, definition] of shipped) expect(definition.kind).toBe(name);
});
