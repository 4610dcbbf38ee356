import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answersAt, startDaemon } from './daemon.ts';
import { freePort } from './free-port.ts';

/** Debian's package `prometheus`. */
export const prometheusPrograms = ['prometheus'] as const;

/** A text is written as it is, anything else as JSON, which is YAML too. */
export type Document = string | Record<string, unknown>;

export interface PrometheusOptions {
  /** Default: scrapes and evaluates every second, and has no targets. */
  config?: Document;
  /** A rule file, loaded when `config` is not a text: `rules.yaml` in its folder. */
  rules?: Document;
}

export interface Prometheus extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Holds `prometheus.yaml` and `rules.yaml`; removed at the end. */
  readonly folder: string;
  /** The last of what it printed. */
  readonly output: string;
  /** Reads its files anew. False when it keeps the old configuration because the new one is wrong. */
  reload(): Promise<boolean>;
  configure(options: PrometheusOptions): Promise<void>;
  /** The series of an instant query. */
  query(expression: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]>;
}

/** Debian's Prometheus with an empty store on a free port of loopback. It knows its targets 5 s after the start. */
export async function startPrometheus(options: PrometheusOptions = {}): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'lares-prometheus-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const configure = (changed: PrometheusOptions): Promise<void> => writeConfiguration(folder, changed);
  await configure(options);
  const daemon = await startDaemon({
    program: 'prometheus',
    args: [
      `--config.file=${join(folder, 'prometheus.yaml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--web.enable-lifecycle',
      // Alertmanagers are known 5 s after the start; an alert of before is sent again only after this.
      '--rules.alert.resend-delay=1s',
    ],
    cwd: folder,
    isReady: async () => (await fetch(`${url}/-/ready`)).ok,
  });
  return {
    url,
    port,
    folder,
    configure,
    get output() {
      return daemon.output;
    },
    reload: async () => (await fetch(`${url}/-/reload`, { method: 'POST' })).ok,
    query: (expression) => instantQuery(url, expression),
    async [Symbol.asyncDispose]() {
      await daemon.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function writeConfiguration(folder: string, { config, rules }: PrometheusOptions): Promise<void> {
  const global = { scrape_interval: '1s', evaluation_interval: '1s', scrape_timeout: '1s' };
  const files = rules === undefined ? {} : { rule_files: ['rules.yaml'] };
  const written = typeof config === 'string' ? config : { global, ...files, ...config };
  if (rules !== undefined) await writeFile(join(folder, 'rules.yaml'), textOf(rules));
  await writeFile(join(folder, 'prometheus.yaml'), textOf(written));
}

export function textOf(document: Document): string {
  return typeof document === 'string' ? document : JSON.stringify(document, undefined, 2);
}

/** Prometheus' and VictoriaMetrics' answer to an instant query. */
export async function instantQuery(
  url: string,
  expression: string,
): Promise<{ metric: Record<string, string>; value: [number, string] }[]> {
  const answer = await fetch(
    `${url}/api/v1/query?${new URLSearchParams({ query: expression, nocache: '1' }).toString()}`,
  );
  const { data } = (await answer.json()) as {
    data: { result: { metric: Record<string, string>; value: [number, string] }[] };
  };
  return data.result;
}

export interface Exporter extends AsyncDisposable {
  readonly url: string;
  /** As a target of a scrape configuration. */
  readonly address: string;
}

/** Debian's own configurations: blackbox modules, and no SNMP module because their MIBs are not free. */
const ownConfig = {
  node: [],
  blackbox: ['--config.file=/etc/prometheus/blackbox.yml'],
  snmp: ['--config.file=/etc/prometheus/snmp.yml'],
};

/** Debian's `prometheus-node-exporter`, `prometheus-blackbox-exporter` or `prometheus-snmp-exporter` on a free port. */
export async function startExporter(
  name: 'node' | 'blackbox' | 'snmp',
  args: readonly string[] = [],
): Promise<Exporter> {
  const address = `127.0.0.1:${await freePort()}`;
  const url = `http://${address}`;
  const daemon = await startDaemon({
    program: `prometheus-${name}-exporter`,
    args: [`--web.listen-address=${address}`, ...(args.length === 0 ? ownConfig[name] : args)],
    isReady: () => answersAt(`${url}/`),
  });
  return { url, address, [Symbol.asyncDispose]: () => daemon.kill() };
}
