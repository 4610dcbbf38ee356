import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDaemon } from './daemon.ts';
import { freePort } from './free-port.ts';
import { type Document, textOf } from './prometheus.ts';

export interface PostedAlert {
  labels: Record<string, string>;
  annotations?: Record<string, string>;
  startsAt?: string;
  endsAt?: string;
  generatorURL?: string;
}

export interface Alertmanager extends AsyncDisposable {
  readonly url: string;
  /** As a target of Prometheus' `alerting.alertmanagers[].static_configs`. */
  readonly address: string;
  /** Holds `alertmanager.yaml`; removed at the end. */
  readonly folder: string;
  readonly output: string;
  readonly pid: number;
  /** False when it keeps the old configuration because the new one is wrong. */
  reload(): Promise<boolean>;
  configure(config: Document): Promise<void>;
  post(...alerts: PostedAlert[]): Promise<void>;
  alerts(): Promise<{ labels: Record<string, string>; status: { state: string } }[]>;
}

/** Groups at once and repeats soon: what waits minutes by default waits a second. */
const impatient = { group_wait: '0s', group_interval: '1s', repeat_interval: '1h' };

/** A configuration that sends everything to one webhook, resolved alerts too. */
export function webhookConfig(url: string, httpConfig: Record<string, unknown> = {}): Record<string, unknown> {
  const webhook = { url, send_resolved: true, http_config: httpConfig };
  return {
    route: { receiver: 'lares', group_by: ['alertname'], ...impatient },
    receivers: [{ name: 'lares', webhook_configs: [webhook] }],
  };
}

/** Debian's Alertmanager without gossip on a free port of loopback. Default: a receiver that tells nobody. */
export async function startAlertmanager({ config }: { config?: Document } = {}): Promise<Alertmanager> {
  const folder = await mkdtemp(join(tmpdir(), 'lares-alertmanager-'));
  const address = `127.0.0.1:${await freePort()}`;
  const url = `http://${address}`;
  const file = join(folder, 'alertmanager.yaml');
  const configure = (changed: Document): Promise<void> => writeFile(file, textOf(changed));
  await configure(config ?? { route: { receiver: 'nobody', ...impatient }, receivers: [{ name: 'nobody' }] });
  const daemon = await startDaemon({
    program: 'prometheus-alertmanager',
    args: [
      `--config.file=${file}`,
      `--storage.path=${join(folder, 'data')}`,
      `--web.listen-address=${address}`,
      '--cluster.listen-address=',
    ],
    cwd: folder,
    isReady: async () => (await fetch(`${url}/-/ready`)).ok,
  });
  return {
    url,
    address,
    folder,
    pid: daemon.pid,
    configure,
    get output() {
      return daemon.output;
    },
    reload: async () => (await fetch(`${url}/-/reload`, { method: 'POST' })).ok,
    async post(...alerts) {
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${url}/api/v2/alerts`, { method: 'POST', headers, body: JSON.stringify(alerts) });
      if (!answer.ok) throw new Error(`Alertmanager refused the alerts: ${answer.status} ${await answer.text()}`);
    },
    alerts: async () => (await (await fetch(`${url}/api/v2/alerts`)).json()) as never,
    async [Symbol.asyncDispose]() {
      await daemon.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
