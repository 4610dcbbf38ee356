import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { writeFleet } from './fleet.ts';
import { cpuSecondsOf, startLares, startScript, temporaryFolder } from './process.ts';
import type { Bench } from './row.ts';
import { percentile } from './samples.ts';

const checks = 1_000;
const everyMs = 15_000;
const rounds = 3;
const settleMs = 10_000;
const slipSamples = 150;
const slipEveryMs = 100;

/** Both run at the same time, each against a target of its own: what else the machine does falls on both alike. */
export const httpChecks: Bench = {
  about: `${checks} HTTP checks every ${everyMs / 1_000} s, measured over ${(rounds * everyMs) / 1_000} s`,
  async run() {
    using folder = temporaryFolder();
    await using ourTarget = startScript('target-process.ts');
    await using floorTarget = startScript('target-process.ts');
    const port = Number((await ourTarget.says())['port']);
    const config = writeFleet({
      folder: folder.path,
      port,
      hosts: 50,
      checks,
      every: `${everyMs / 1_000}s`,
      kinds: ['http'],
    });
    await using lares = startLares(['up', '-c', config], { folder: folder.path });
    const { health } = await lares.says((line) => line['event'] === 'started');
    await lares.says((line) => line['event'] === 'first-round');
    const floorPort = String((await floorTarget.says())['port']);
    await using prober = startScript(
      'prober-process.ts',
      floorPort,
      join(folder.path, 'looks.db'),
      String(checks),
      String(everyMs),
    );
    await prober.says();
    await wait(settleMs);
    const before = { ours: cpuSecondsOf(lares.pid), floor: cpuSecondsOf(prober.pid) };
    process.kill(prober.pid, 'SIGUSR2');
    await prober.says();
    await wait(rounds * everyMs);
    const spent = (pid: number, since: number): number => ((cpuSecondsOf(pid) - since) / rounds / checks) * 1_000;
    const cpu = { ours: spent(lares.pid, before.ours), floor: spent(prober.pid, before.floor) };
    const slips = await sampleSlips(String(health));
    process.kill(prober.pid, 'SIGUSR2');
    const { lateP99Ms } = await prober.says();
    return [
      {
        name: 'http-checks CPU of 1,000',
        ...cpu,
        against: 'a bare undici prober that writes to SQLite',
        unit: 's',
        aim: { of: 'ours', atMost: 1 },
      },
      {
        name: 'http-checks schedule slip p99',
        ours: percentile(slips, 0.99),
        floor: Number(lateP99Ms),
        against: 'the timers of the bare prober',
        unit: 'ms',
        aim: { of: 'ours', atMost: 50 },
      },
    ];
  },
};

/** How late the last look began, asked often. */
async function sampleSlips(health: string): Promise<number[]> {
  const slips: number[] = [];
  for (let sample = 0; sample < slipSamples; sample += 1) {
    await wait(slipEveryMs);
    const text = await (await fetch(`${health}/metrics`)).text();
    const seconds = /^\w*schedule_slip_seconds(?:\{[^}]*\})? (\S+)$/m.exec(text)?.[1];
    if (seconds !== undefined) slips.push(Number(seconds) * 1_000);
  }
  return slips;
}
