import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { answersAt, type Daemon, programPath, startDaemon } from '../parts/daemon.ts';
import { freePort } from '../parts/free-port.ts';
import { writeFleet } from './fleet.ts';
import { type Child, cpuSecondsOf, memoryOf, startLares, startScript, temporaryFolder } from './process.ts';
import type { Bench } from './row.ts';

const checks = 1_000;
const everySeconds = 20;
const rounds = 3;
/** Prometheus spreads its scrapes over the first interval; everything has been asked once after it. */
const settleMs = (everySeconds + 5) * 1_000;
const programs = ['prometheus', 'prometheus-blackbox-exporter'];

/** Lares beside Prometheus with blackbox_exporter, at the same time, each against a target of its own. */
export const httpPeer: Bench = {
  about: `${checks} HTTP checks every ${everySeconds} s, beside Prometheus with blackbox_exporter, over ${rounds * everySeconds} s`,
  missing() {
    const absent = programs.filter((program) => programPath(program) === undefined);
    return Promise.resolve(absent.length === 0 ? undefined : `needs ${absent.join(' and ')}`);
  },
  async run(say) {
    using folder = temporaryFolder();
    await using ourTarget = startScript('target-process.ts');
    await using theirTarget = startScript('target-process.ts');
    await using lares = await startOurs(folder.path, Number((await ourTarget.says())['port']));
    const peers = await startTheirs(folder.path, Number((await theirTarget.says())['port']));
    try {
      say('all are started; waiting until everything was asked once');
      await wait(settleMs);
      const theirs = peers.map(({ pid }) => pid);
      const before = { ours: cpuOf([lares.pid]), theirs: cpuOf(theirs) };
      await wait(rounds * everySeconds * 1_000);
      const asked = (rounds * checks) / 1_000;
      const memory = (pids: readonly number[]): number => pids.reduce((sum, pid) => sum + memoryOf(pid).resident, 0);
      const against = 'Prometheus and blackbox_exporter, both';
      return [
        {
          name: 'http-peer CPU of 1,000',
          ours: (cpuOf([lares.pid]) - before.ours) / asked,
          floor: (cpuOf(theirs) - before.theirs) / asked,
          against,
          unit: 's',
          aim: { of: 'ratio', atMost: 0.4 },
        },
        {
          name: 'http-peer memory',
          ours: memory([lares.pid]),
          floor: memory(theirs),
          against,
          unit: 'MB',
          aim: { of: 'ratio', atMost: 1 },
        },
      ];
    } finally {
      await Promise.all(peers.map((peer) => peer[Symbol.asyncDispose]()));
    }
  },
};

function cpuOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
}

async function startOurs(folder: string, port: number): Promise<Child> {
  const config = writeFleet({ folder, port, hosts: 50, checks, every: `${everySeconds}s`, kinds: ['http'] });
  const lares = startLares(['up', '-c', config], { folder });
  await lares.says((line) => line['event'] === 'first-round');
  return lares;
}

/** As its documentation shows: a module that wants 2xx, and each target handed to the exporter by relabelling. */
async function startTheirs(folder: string, target: number): Promise<Daemon[]> {
  const [prometheus, blackbox] = [await freePort(), await freePort()];
  const modules = join(folder, 'blackbox.yaml');
  writeFileSync(modules, JSON.stringify({ modules: { http_2xx: { prober: 'http', timeout: '5s' } } }));
  const config = join(folder, 'prometheus.yaml');
  const scrape = {
    job_name: 'blackbox',
    metrics_path: '/probe',
    params: { module: ['http_2xx'] },
    static_configs: [{ targets: Array.from({ length: checks }, (_, index) => `http://127.0.0.1:${target}/${index}`) }],
    relabel_configs: [
      { source_labels: ['__address__'], target_label: '__param_target' },
      { source_labels: ['__param_target'], target_label: 'instance' },
      { target_label: '__address__', replacement: `127.0.0.1:${blackbox}` },
    ],
  };
  writeFileSync(config, JSON.stringify({ global: { scrape_interval: `${everySeconds}s` }, scrape_configs: [scrape] }));
  const exporter = await startDaemon({
    program: 'prometheus-blackbox-exporter',
    args: [`--config.file=${modules}`, `--web.listen-address=127.0.0.1:${blackbox}`],
    isReady: () => answersAt(`http://127.0.0.1:${blackbox}/-/healthy`),
  });
  const server = await startDaemon({
    program: 'prometheus',
    args: [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${prometheus}`,
    ],
    isReady: () => answersAt(`http://127.0.0.1:${prometheus}/-/ready`),
  });
  return [exporter, server];
}
