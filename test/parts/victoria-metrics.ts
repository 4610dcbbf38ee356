import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answersAt, startDaemon } from './daemon.ts';
import { freePort } from './free-port.ts';
import { type Document, instantQuery, textOf } from './prometheus.ts';

export interface VictoriaMetrics extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Lines of the text format, such as `probe_success{job="x"} 0`; without a time they are of now. */
  write(...lines: string[]): Promise<void>;
  query(expression: string): ReturnType<typeof instantQuery>;
}

/** Debian's VictoriaMetrics with an empty store; `scrape` is a Prometheus configuration with `scrape_configs` only. */
export async function startVictoriaMetrics({ scrape }: { scrape?: Document } = {}): Promise<VictoriaMetrics> {
  const folder = await mkdtemp(join(tmpdir(), 'lares-victoria-metrics-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const file = join(folder, 'scrape.yaml');
  if (scrape !== undefined) await writeFile(file, textOf(scrape));
  const daemon = await startDaemon({
    program: 'victoria-metrics',
    args: [
      `-httpListenAddr=127.0.0.1:${port}`,
      `-storageDataPath=${join(folder, 'data')}`,
      // It hides what is younger than 30 s otherwise.
      '-search.latencyOffset=0s',
      ...(scrape === undefined ? [] : [`-promscrape.config=${file}`]),
    ],
    cwd: folder,
    isReady: () => answersAt(`${url}/health`),
  });
  return {
    url,
    port,
    async write(...lines) {
      const answer = await fetch(`${url}/api/v1/import/prometheus`, { method: 'POST', body: `${lines.join('\n')}\n` });
      if (!answer.ok) throw new Error(`VictoriaMetrics refused the lines: ${answer.status}`);
      await fetch(`${url}/internal/force_flush`);
    },
    query: (expression) => instantQuery(url, expression),
    async [Symbol.asyncDispose]() {
      await daemon.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface VmalertOptions {
  rules: Document;
  /** Address of VictoriaMetrics or Prometheus. */
  datasource: string;
  /** What takes `POST /api/v2/alerts`. Absent: nobody is told. */
  notifier?: string;
}

export interface Vmalert extends AsyncDisposable {
  readonly url: string;
  readonly folder: string;
  readonly output: string;
  reload(): Promise<boolean>;
  configure(rules: Document): Promise<void>;
}

/** vmalert 1.79 cannot start without a notifier. */
const nobody = 'http://127.0.0.1:9';

/** Debian's vmalert; it evaluates every second. It knows no `keep_firing_for`. */
export async function startVmalert(options: VmalertOptions): Promise<Vmalert> {
  const folder = await mkdtemp(join(tmpdir(), 'lares-vmalert-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const file = join(folder, 'rules.yaml');
  const configure = (rules: Document): Promise<void> => writeFile(file, textOf(rules));
  await configure(options.rules);
  const daemon = await startDaemon({
    program: 'vmalert',
    args: [
      `-rule=${file}`,
      `-datasource.url=${options.datasource}`,
      `-notifier.url=${options.notifier ?? nobody}`,
      `-httpListenAddr=127.0.0.1:${port}`,
      '-evaluationInterval=1s',
    ],
    cwd: folder,
    isReady: () => answersAt(`${url}/health`),
  });
  return {
    url,
    folder,
    configure,
    get output() {
      return daemon.output;
    },
    reload: async () => (await fetch(`${url}/-/reload`)).ok,
    async [Symbol.asyncDispose]() {
      await daemon.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
