import { writeFleet } from './fleet.ts';
import { Child, startLares, startScript, temporaryFolder } from './process.ts';
import type { Bench } from './row.ts';
import { interleave, median } from './samples.ts';

const rounds = 5;

export const startToFirstResult: Bench = {
  about: `from the start of the process to what the first round saw; ${rounds} rounds`,
  async run() {
    await using target = startScript('target-process.ts');
    const port = Number((await target.says())['port']);
    const own = await interleave(rounds, { ours: () => firstRound(), floor: emptyStart });
    const fleet = await interleave(rounds, { ours: () => firstRound(port), floor: emptyStart });
    const row = (name: string, times: typeof own) => ({
      name: `start-to-first-result ${name}`,
      ours: median(times.ours),
      floor: median(times.floor),
      against: 'an empty Node process from its start to its end',
      unit: 'ms',
      aim: { of: 'ours', atMost: 2_000 } as const,
    });
    return [row('built-in defaults', own), row('500 checks', fleet)];
  },
};

/** Without a port: no configuration, this machine with the built-in checks. */
async function firstRound(port?: number): Promise<number> {
  using folder = temporaryFolder();
  const argv = port === undefined ? [] : ['-c', fleetOf(folder.path, port)];
  await using lares = startLares(['up', ...argv], { folder: folder.path, env: { LARES_CONFIG: '' } });
  await lares.says((line) => line['event'] === 'first-round');
  return performance.now() - lares.startedAt;
}

function fleetOf(folder: string, port: number): string {
  return writeFleet({ folder, port, hosts: 50, checks: 500, every: '60s', kinds: ['http', 'tcp'] });
}

async function emptyStart(): Promise<number> {
  await using empty = new Child(['-e', '0']);
  return await empty.ended();
}
