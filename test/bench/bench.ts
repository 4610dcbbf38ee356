import { parseArgs } from 'node:util';
import { warmUp } from './process.ts';
import { type Bench, judge, type JudgedRow, tableOf } from './row.ts';

/** Each is loaded when it is run, so that none pays for another's modules. */
const benches: Record<string, () => Promise<Bench>> = {
  'idle-memory': async () => (await import('./idle-memory.ts')).idleMemory,
  'start-to-first-result': async () => (await import('./start-to-first-result.ts')).startToFirstResult,
  'http-checks': async () => (await import('./http-checks.ts')).httpChecks,
  'http-peer': async () => (await import('./http-peer.ts')).httpPeer,
  'finding-to-channel': async () => (await import('./finding-to-channel.ts')).findingToChannel,
  'findings-in': async () => (await import('./findings-in.ts')).findingsIn,
  'alert-peer': async () => (await import('./alert-peer.ts')).alertPeer,
  failover: async () => (await import('./failover.ts')).failover,
  'playbook-ssh': async () => (await import('./playbook-ssh.ts')).playbookSsh,
  'playbook-peer': async () => (await import('./playbook-peer.ts')).playbookPeer,
};

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean' } } });
const unknown = positionals.filter((name) => !Object.hasOwn(benches, name));
if (unknown.length > 0) {
  process.stderr.write(`There is no bench ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}\n`);
  process.exit(2);
}
warmUp();
const rows: JudgedRow[] = [];
for (const [name, load] of Object.entries(benches)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const say = (progress: string): void => void process.stderr.write(`${name}: ${progress}\n`);
  const bench = await load();
  const missing = await bench.missing?.();
  if (missing !== undefined) {
    say(`SKIPPED: ${missing}`);
    continue;
  }
  say(bench.about);
  rows.push(...(await bench.run(say)).map(judge));
}
process.stdout.write(values.json === true ? `${JSON.stringify({ rows })}\n` : `${tableOf(rows)}\n`);
process.exit(rows.some((row) => row.met === false) ? 1 : 0);
