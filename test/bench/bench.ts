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

const usage = `npm run bench [-- [name ...] [--json]]

Measures Lares and, in the same run, what the same work costs without it or in a peer. Without a name: everything.
Names: ${Object.keys(benches).join(', ')}.
Ends with 1 when an aim is not met or a bench fails, with 2 for a wrong command line.
`;

const { values, positionals } = readArguments();
if (values.help === true) {
  process.stdout.write(usage);
  process.exit(0);
}
const unknown = positionals.filter((name) => !Object.hasOwn(benches, name));
if (unknown.length > 0) refuse(`There is no bench ${unknown.join(', ')}.`);
warmUp();
const rows: JudgedRow[] = [];
const failed: string[] = [];
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
  try {
    rows.push(...(await bench.run(say)).map(judge));
  } catch (error) {
    // The others are worth their minutes all the same.
    failed.push(name);
    say(`FAILED: ${error instanceof Error ? error.message : String(error)}`);
  }
}
process.stdout.write(values.json === true ? `${JSON.stringify({ rows, failed })}\n` : `${tableOf(rows)}\n`);
process.exit(failed.length > 0 || rows.some((row) => row.met === false) ? 1 : 0);

function readArguments(): { values: { json?: boolean; help?: boolean }; positionals: string[] } {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function refuse(why: string): never {
  process.stderr.write(`${why}\n\n${usage}`);
  process.exit(2);
}
