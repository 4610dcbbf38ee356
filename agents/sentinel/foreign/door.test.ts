import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import type { Finding } from '#bus/messages/finding.ts';
import { ConfigSchema } from '#config/schema.ts';
import { createHttpSurface } from '#agents/runtime/http.ts';
import { createLog } from '#agents/runtime/log.ts';
import { createMetrics } from '#agents/runtime/metrics.ts';
import { History } from '#agents/sentinel/history.ts';
import { Keeping } from '#agents/sentinel/keeping.ts';
import { SentinelStore } from '#agents/sentinel/store.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { bindIntakes } from './bind.ts';
import { Complaints } from './complaints.ts';
import { openDoor } from './door.ts';
import { Foreign } from './foreign.ts';
import { Receiver } from './receiver.ts';

/** A door alone, with the store and the log behind it at hand. */
async function openAlone() {
  const folder = mkdtempSync(join(tmpdir(), 'lares-door-'));
  const clock = createVirtualClock(Date.UTC(2026, 10, 20));
  const lines: string[] = [];
  const destination = new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) });
  const log = createLog({ level: 'warn', name: 'test', destination });
  const store = new SentinelStore(folder);
  const keeping = new Keeping({ clock, log });
  const history = new History(folder, { clock, keeping });
  const told: Finding[] = [];
  const { sources } = await bindIntakes(ConfigSchema.parse({ intake: { prom: { kind: 'alertmanager' } } }));
  const foreign = new Foreign({
    sources,
    store,
    history,
    clock,
    keeping,
    hostOf: () => undefined,
    journal: () => undefined,
    tell: (_event, finding) => told.push(finding),
  });
  const complaints = new Complaints(log, clock);
  const metrics = createMetrics();
  const receiver = new Receiver({ foreign, clock, metrics, complaints, secret: () => '' });
  const http = createHttpSurface({ address: '127.0.0.1', port: 0, log, clock });
  openDoor({ http, receiver, sources, tokens: new Map(), address: '127.0.0.1', clock, complaints });
  const { port } = await http.listen();
  return {
    store,
    clock,
    told,
    lines,
    metrics,
    post: (body: string) => fetch(`http://127.0.0.1:${port}/in/prom/api/v2/alerts`, { method: 'POST', body }),
    async [Symbol.asyncDispose]() {
      foreign.stop();
      await http.close();
      history.close();
      store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const body = JSON.stringify([{ labels: { alertname: 'A', note: 'x'.repeat(5_000) } }]);

test('what cannot be stored is asked for again, tells nobody, and is taken when there is room', async () => {
  await using door = await openAlone();
  const pages = Number(door.store.rows.get('PRAGMA page_count')?.['page_count']);
  door.store.rows.get(`PRAGMA max_page_count=${pages}`);
  for (let round = 0; round < 3; round += 1) {
    const answer = await door.post(body);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '10']);
  }
  expect(door.told).toEqual([]);
  expect(door.lines).toHaveLength(1);
  door.store.rows.get('PRAGMA max_page_count=100000');
  expect((await door.post(body)).status).toBe(200);
  expect(door.told).toHaveLength(1);
});

test('what is over while nothing can be stored ends once it can, and fills no log until then', async () => {
  await using door = await openAlone();
  await door.post(body);
  door.store.rows.get('PRAGMA query_only=1');
  await door.clock.advance(10 * 60_000);
  expect(door.lines.length).toBeLessThanOrEqual(6);
  expect(door.told).toHaveLength(1);
  door.store.rows.get('PRAGMA query_only=0');
  await door.clock.advance(60_000);
  expect(door.told.at(-1)?.status).toBe('resolved');
});

test('the same complaint fills no log, and says later how often it came up', async () => {
  await using door = await openAlone();
  for (let round = 0; round < 5; round += 1) expect((await door.post('nonsense')).status).toBe(400);
  expect(door.lines).toHaveLength(1);
  expect(door.lines[0]).toContain('the body is no JSON');
  await door.clock.advance(3_600_001);
  await door.post('nonsense');
  expect(door.lines).toHaveLength(2);
  expect(door.lines[1]).toContain('"times":5');
});

test('a sender may post often or much, not both, and gets its turn again', async () => {
  await using door = await openAlone();
  const large = `[${' '.repeat(4_000_000)}]`;
  const many = async (): Promise<number[]> => {
    const answers = [];
    for (let round = 0; round < 4; round += 1) answers.push((await door.post(large)).status);
    return answers;
  };
  expect(await many()).toEqual([200, 200, 200, 429]);
  expect((await door.post('[]')).status).toBe(200);
  await door.clock.advance(10_000);
  expect(await many()).toEqual([200, 200, 200, 429]);
});

test('what came in is measured', async () => {
  await using door = await openAlone();
  await door.post(body);
  await door.post(JSON.stringify([{ labels: { alertname: 'Watchdog', severity: 'none' } }]));
  expect(door.metrics.exposition()).toContain('lares_intake_alerts_total{intake="prom",result="firing"} 1');
  expect(door.metrics.exposition()).toContain('lares_intake_alerts_total{intake="prom",result="counted"} 1');
});
