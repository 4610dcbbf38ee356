import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiFaultSwitch, type FakeApi, startFakeApi } from '../../../test/parts/fake-api.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './emqx.ts';

const folder = mkdtempSync(join(tmpdir(), 'lares-emqx-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const secretFile = join(folder, 'secret');
writeFileSync(secretFile, 'the-secret', { mode: 0o600 });
const login = { tokenKey: 'the-key', tokenSecret: { file: secretFile } };

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}`, ...login }));

/** A node as EMQX 5.8 tells of it. */
const node = (of: { name?: string; status?: string; uptime?: number } = {}): object => ({
  node: of.name ?? 'emqx@10.0.0.4',
  node_status: of.status ?? 'running',
  connections: 12,
  live_connections: 12,
  edition: 'Opensource',
  log_path: '/opt/emqx/log',
  max_fds: 1_048_576,
  memory_total: '3.82G',
  memory_used: '1.41G',
  otp_release: '26.2.5.2-1/14.2.5.2',
  process_available: 2_097_152,
  process_used: 612,
  role: 'core',
  uptime: of.uptime ?? 86_400_000,
  version: '5.8.0',
});

interface Broker {
  nodes: object[];
  alarms: object[];
  dropped: number;
}

/** The API below /api/v5, with Basic authentication by API key. */
function startEmqx(broker: Broker): Promise<FakeApi> {
  const expected = `Basic ${Buffer.from('the-key:the-secret').toString('base64')}`;
  return startFakeApi(({ path, query, headers }) => {
    if (headers.authorization !== expected) {
      return { status: 401, body: { code: 'BAD_API_KEY_OR_SECRET', message: 'Check api_key/api_secret' } };
    }
    if (path === '/api/v5/nodes') return { body: broker.nodes };
    if (path === '/api/v5/metrics') return { body: [{ node: 'emqx@10.0.0.4', 'messages.dropped': broker.dropped }] };
    if (path !== '/api/v5/alarms' || query.get('activated') !== 'true') return undefined;
    return { body: { data: broker.alarms, meta: { page: 1, limit: 100, count: broker.alarms.length } } };
  });
}

describe('an EMQX', () => {
  let broker: Broker;
  let api: FakeApi;
  let now: number;
  let context: CheckContext;
  beforeEach(async () => {
    broker = { nodes: [node()], alarms: [], dropped: 5 };
    api = await startEmqx(broker);
    now = 0;
    const base = checkContext();
    context = { ...base, clock: { ...base.clock, now: () => now } };
  });
  afterEach(async () => {
    await closeHttpAgents();
    await api[Symbol.asyncDispose]();
  });

  async function look(more: object = {}): Promise<string[]> {
    const found = await check.observe(check.options.parse({ url: api.url, ...login, ...more }), context);
    expect(faultsOf(found)).toEqual([]);
    return found.map(told);
  }

  function told({ condition, reading, summary }: Observation): string {
    const words = summary.replaceAll(/127\.0\.0\.1:\d+/g, 'BROKER');
    return reading.is === 'state'
      ? `${reading.ok ? 'ok' : reading.severity} ${condition}: ${words}`
      : `${reading.is} ${words}`;
  }

  test('that is well says what was looked at', async () => {
    expect(await look()).toEqual([
      'ok broker-down: EMQX at BROKER answers',
      'ok broker-node-down: node emqx@10.0.0.4 runs with 12 connections',
      'ok broker-restarted: node emqx@10.0.0.4 has run on',
      'ok broker-alarm: EMQX has 0 alarms of its own',
      'ok messages-dropped: the broker drops no messages',
    ]);
  });

  test('with a stopped node, an alarm, a restart and drops tells each', async () => {
    await look();
    now += 100_000;
    broker.nodes = [node({ uptime: 20_000 }), node({ name: 'emqx@10.0.0.5', status: 'stopped' })];
    broker.alarms = [
      {
        node: 'emqx@10.0.0.4',
        name: 'high_system_memory_usage',
        message: 'System memory usage is higher than 70%',
        details: { high_watermark: 70 },
        duration: 297_056,
        activate_at: '2026-11-20T10:36:54.000+00:00',
      },
    ];
    broker.dropped = 55;
    const problems = (await look()).filter((words) => !words.startsWith('ok'));
    expect(problems).toEqual([
      'info broker-restarted: node emqx@10.0.0.4 was started again',
      'critical broker-node-down: node emqx@10.0.0.5 is stopped',
      'warning broker-alarm: EMQX raises high_system_memory_usage: System memory usage is higher than 70%',
      'info messages-dropped: the broker drops 0.50 messages a second',
    ]);
    const options = check.options.parse({ url: api.url, ...login });
    const evidence = await check.evidence.gather(options, context, {} as Observation);
    expect(evidence.map(({ lines }) => lines[0])).toEqual([
      'emqx@10.0.0.4: running, version 5.8.0',
      '2026-11-20T10:36:54.000+00:00 high_system_memory_usage: System memory usage is higher than 70%',
    ]);
  });

  test('that refuses the key is unknown', async () => {
    expect(await look({ tokenKey: 'another' })).toEqual([
      expect.stringMatching(/^unknown .*it answered 401, it does not accept the login/),
    ]);
  });

  test.each<[ApiFaultSwitch, RegExp]>([
    ['hang', /^critical broker-down: EMQX at BROKER does not answer/],
    ['reset', /^critical broker-down/],
    ['server-error-html', /^critical broker-down: EMQX at BROKER is not well/],
    ['forbidden', /^unknown/],
    ['truncated-json', /^unknown/],
    ['wrong-content-type', /^unknown/],
    ['not-the-shape', /^unknown/],
  ])('%s', async (fault, words) => {
    api.fault = fault;
    if (fault === 'hang') context = { ...context, timeoutMs: 500 };
    expect(await look()).toEqual([expect.stringMatching(words)]);
  });
});
