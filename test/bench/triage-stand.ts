import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Bus } from '#bus/bus.ts';
import { fingerprintOf } from '#bus/fingerprint.ts';
import type { Finding } from '#bus/messages/finding.ts';
import { credentials, startTestBroker, type TestBroker } from '../parts/broker.ts';
import { type Child, startLares } from './process.ts';

/** Triage alone in its process, on a broker in a process of its own. */
export interface TriageStand extends AsyncDisposable {
  readonly broker: TestBroker;
  /** Connected as the one who may publish findings. */
  readonly sentinel: Bus;
  readonly triage: Child;
  /** What triage keeps. */
  readonly database: string;
}

export async function startTriage(folder: string, config: object): Promise<TriageStand> {
  const broker = await startTestBroker();
  const bus = { url: broker.url, user: '{agent}', password: { env: 'BENCH_BUS_PASSWORD' } };
  const file = join(folder, 'lares.yaml');
  writeFileSync(
    file,
    stringify({ site: broker.site, state: 'state', http: { port: 0 }, terminal: false, bus, ...config }),
  );
  const env = { BENCH_BUS_PASSWORD: credentials.triage };
  const triage = startLares(['triage', '-c', file], { folder, env });
  await triage.says((line) => line['event'] === 'started');
  const sentinel = broker.connect('sentinel');
  await sentinel.ready(AbortSignal.timeout(10_000));
  return {
    broker,
    sentinel,
    triage,
    database: join(folder, 'state', 'triage', 'triage.db'),
    async [Symbol.asyncDispose]() {
      await triage[Symbol.asyncDispose]();
      await broker[Symbol.asyncDispose]();
    },
  };
}

/** A condition of a host and a name of its own, so that no storm is seen in it; with a log excerpt as sentinel sends it. */
export function findingOf(number: number, word: string): Finding {
  const host = `host-${number}`;
  const labels = { alertname: `unit-failed-${number}`, host, unit: `${word}-${number}.service` };
  const now = new Date().toISOString();
  return {
    fingerprint: fingerprintOf(labels),
    occurrence: `${word}-${number}`,
    status: 'firing',
    condition: 'problem',
    severity: 'critical',
    check: `check-${number}`,
    kind: 'systemd-unit',
    host,
    resource: labels.unit,
    labels,
    summary: `${labels.unit} failed`,
    startsAt: now,
    updatedAt: now,
    evidence: [
      {
        kind: 'log',
        title: `Journal of ${labels.unit}`,
        lines: Array.from(
          { length: 5 },
          (_, line) => `${now} systemd[1]: ${labels.unit}: Main process exited, line ${line}`,
        ),
        truncated: 0,
      },
    ],
  };
}
