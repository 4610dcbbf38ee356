import { DatabaseSync } from 'node:sqlite';
import { setTimeout as wait } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { percentile } from './samples.ts';

/** The least that looks on a schedule and keeps what it saw: argv is port, file, checks, milliseconds between looks. */
const [port = '', file = '', checks = '', every = ''] = process.argv.slice(2);
const everyMs = Number(every);
const dispatcher = new Agent({ pipelining: 1, keepAliveTimeout: 90_000, keepAliveMaxTimeout: 90_000 });
const database = new DatabaseSync(file);
database.exec(
  'PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; CREATE TABLE looks (id INTEGER, at INTEGER, ok INTEGER)',
);
const insert = database.prepare('INSERT INTO looks VALUES (?, ?, ?)');
const lateMs: number[] = [];

async function look(id: number): Promise<void> {
  const { statusCode, body } = await request(`http://127.0.0.1:${port}/${id}`, { dispatcher });
  await body.dump();
  insert.run(id, Date.now(), statusCode === 200 ? 1 : 0);
}

async function probe(id: number): Promise<void> {
  let dueAt = performance.now() + (id / Number(checks)) * everyMs;
  for (;;) {
    await wait(Math.max(0, dueAt - performance.now()));
    lateMs.push(Math.max(0, performance.now() - dueAt));
    await look(id);
    dueAt += everyMs;
  }
}

const all = Array.from({ length: Number(checks) }, (_, id) => id);
await Promise.all(all.map(look));
process.stdout.write(`${JSON.stringify({ event: 'first-round' })}\n`);
process.on('SIGUSR2', () => {
  process.stdout.write(`${JSON.stringify({ lateP99Ms: percentile(lateMs.splice(0), 0.99) })}\n`);
});
await Promise.all(all.map(probe));
