import { readFileSync } from 'node:fs';
import { connectBus } from '#bus/client.ts';
import { createInventory } from '#config/inventory.ts';
import { openPeople } from '#config/people.ts';
import { ConfigSchema } from '#config/schema.ts';
import { createRemediation } from '#agents/remediation/remediation.ts';
import { systemClock } from '#agents/runtime/clock.ts';
import { createLog } from '#agents/runtime/log.ts';
import { createMetrics } from '#agents/runtime/metrics.ts';
import { credentials, site } from './broker.ts';

/** The worker alone, in a process that a test may kill: argv names a folder with `worker.json`. */
const folder = process.argv[2] ?? '';
const { url, config: text } = JSON.parse(readFileSync(`${folder}/worker.json`, 'utf8')) as {
  url: string;
  config: object;
};
const config = ConfigSchema.parse(text);
const log = createLog({ level: process.env['LARES_TEST_LOG'] ?? 'silent', name: 'remediation' });
const bus = connectBus({
  url,
  agent: 'remediation',
  site,
  version: '0.0.0-test',
  username: 'remediation',
  password: credentials.remediation,
  clientIdSuffix: 'test',
  log,
});
const agent = createRemediation({
  config,
  baseFolder: folder,
  inventory: createInventory(config),
  stateFolder: `${folder}/state`,
  keysFolder: `${folder}/keys`,
  people: openPeople(config, `${folder}/state`),
  bus,
  clock: systemClock,
  log,
  metrics: createMetrics(),
  http: { route: () => undefined },
});
await agent.start();
await bus.ready(AbortSignal.timeout(30_000));
process.send?.('started');
process.on('message', () => {
  void agent
    .stop()
    .then(() => bus.close())
    .then(() => process.exit(0));
});
