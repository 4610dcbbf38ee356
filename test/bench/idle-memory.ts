import { setTimeout as wait } from 'node:timers/promises';
import { writeFleet } from './fleet.ts';
import { memoryOf, startLares, startScript, temporaryFolder } from './process.ts';
import type { Aim, Bench } from './row.ts';
import { interleave, median } from './samples.ts';

const rounds = 3;
/** After the first round: what the start left over is collected by then. */
const settleMs = 30_000;
const laterMs = 60_000;
/** Under the 130 MB that are promised: what comes later needs some too. */
const aim: Aim = { of: 'ours', atMost: 120 };

type Memory = ReturnType<typeof memoryOf>;

export const idleMemory: Bench = {
  about: `all agents in one process, 50 hosts, 500 checks; ${rounds} rounds of ${(settleMs + laterMs) / 1_000} s`,
  async run() {
    await using target = startScript('target-process.ts');
    const port = Number((await target.says())['port']);
    const { ours, floor } = await interleave(rounds, { ours: () => measure(port), floor: measureEmpty });
    const of = (pick: (memory: Memory) => number) => ({
      unit: 'MB',
      floor: median(floor.map(pick)),
      against: 'an empty Node process',
    });
    const resident = (memory: Memory): number => memory.resident;
    return [
      {
        name: 'idle-memory resident',
        ours: median(ours.map(({ idle }) => resident(idle))),
        ...of(resident),
        aim,
      },
      {
        name: 'idle-memory resident a minute later',
        ours: median(ours.map(({ later }) => resident(later))),
        ...of(resident),
        aim,
      },
      {
        name: 'idle-memory proportional',
        ours: median(ours.map(({ idle }) => idle.proportional)),
        ...of((memory) => memory.proportional),
      },
    ];
  },
};

async function measure(port: number): Promise<{ idle: Memory; later: Memory }> {
  using folder = temporaryFolder();
  const config = writeFleet({
    folder: folder.path,
    port,
    hosts: 50,
    checks: 500,
    every: '60s',
    kinds: ['http', 'tcp'],
  });
  await using lares = startLares(['up', '-c', config], { folder: folder.path });
  await lares.says((line) => line['event'] === 'first-round');
  await wait(settleMs);
  const idle = memoryOf(lares.pid);
  await wait(laterMs);
  return { idle, later: memoryOf(lares.pid) };
}

async function measureEmpty(): Promise<Memory> {
  await using empty = startScript('empty-process.ts');
  await empty.says();
  await wait(1_000);
  return memoryOf(empty.pid);
}
