import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fingerprintOf } from '#bus/fingerprint.ts';
import { finding, type Finding } from '#bus/messages/finding.ts';
import { startAlertmanager, webhookConfig } from '../parts/alertmanager.ts';
import type { TestBroker } from '../parts/broker.ts';
import { Folder } from '../parts/command.ts';
import { describeWith } from '../parts/daemon.ts';
import { freePort } from '../parts/free-port.ts';
import { Lares } from '../parts/lares.ts';
import { startMosquitto } from '../parts/mosquitto.ts';
import { PlainMosquitto } from '../parts/plain-mosquitto.ts';
import { startPrometheus } from '../parts/prometheus.ts';
import { until } from '../parts/until.ts';
import { startVictoriaMetrics, startVmalert } from '../parts/victoria-metrics.ts';

const run = promisify(execFile);
const token = 'c0ffee00c0ffee00c0ffee00c0ffee00';
const programs = [
  'mosquitto',
  'prometheus',
  'prometheus-alertmanager',
  'amtool',
  'promtool',
  'victoria-metrics',
  'vmalert',
];

/** Lares with doors for everybody, and an ear on its bus. */
class House implements AsyncDisposable {
  readonly lares: Lares;
  readonly findings: Finding[] = [];
  readonly port: number;
  readonly strangers: PlainMosquitto;
  readonly #bus: TestBroker;

  private constructor(of: { port: number; bus: TestBroker; strangers: PlainMosquitto }) {
    this.port = of.port;
    this.#bus = of.bus;
    this.strangers = of.strangers;
    const secret = { token: { file: 'intake.token' } };
    this.lares = new Lares({
      http: { port: of.port },
      bus: { url: of.bus.url, user: '{agent}', password: { file: '{agent}.password' } },
      defaultChecks: false,
      digest: { enabled: false },
      terminal: false,
      hosts: { web: { address: '10.9.8.7' }, db: { address: 'db.example.org' } },
      intake: {
        prometheus: { kind: 'alertmanager', ...secret },
        vmalert: { kind: 'alertmanager', ...secret },
        alertmanager: { kind: 'alertmanager-webhook', ...secret },
        guardian: { kind: 'guardian-events', url: of.strangers.url },
        sensors: {
          kind: 'mqtt',
          url: of.strangers.url,
          topics: ['sensors/+/alarm'],
          map: { title: 'what', host: 'topic[1]', status: 'state' },
        },
      },
    });
    writeFileSync(join(this.lares.folder, 'intake.token'), token, { mode: 0o600 });
    for (const [agent, password] of Object.entries(of.bus.credentials)) {
      writeFileSync(join(this.lares.folder, `${agent}.password`), password, { mode: 0o600 });
    }
    of.bus
      .connect('console', { clientIdSuffix: 'ear' })
      .subscribe(finding, (message) => void this.findings.push(message));
  }

  static async open(): Promise<House> {
    const house = new House({
      port: await freePort(),
      bus: await startMosquitto(),
      strangers: await PlainMosquitto.start(),
    });
    await house.lares.start();
    return house;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async finding(status: Finding['status'], alertname: string): Promise<Finding> {
    const find = (): Finding | undefined => this.findings.findLast(({ labels }) => labels['alertname'] === alertname);
    await until(() => find()?.status === status, `${alertname} to be ${status}\n${this.lares.output}`, 30_000);
    return find() as Finding;
  }

  amtool(...argv: string[]): Promise<{ stdout: string }> {
    return run('amtool', ['--alertmanager.url', `http://${this.address}/in/prometheus/${token}`, ...argv]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lares[Symbol.asyncDispose]();
    await this.#bus[Symbol.asyncDispose]();
    await this.strangers[Symbol.asyncDispose]();
  }
}

/** The configuration of another program as the guide shows it, with its files below a folder. */
function shown(name: string, folder: string): string {
  const guide = readFileSync(join(import.meta.dirname, '../../.github/deployment.md'), 'utf8');
  const [, body = ''] = new RegExp(`^\`\`\`yaml\\n# ${name}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(guide) ?? [];
  const file = join(folder, name);
  writeFileSync(join(folder, 'lares.token'), token, { mode: 0o600 });
  writeFileSync(file, body.replaceAll(/\/etc\/(?:prometheus|alertmanager)\//g, `${folder}/`));
  return file;
}

describeWith(programs, 'those who find things themselves', () => {
  let house: House;
  beforeAll(async () => {
    house = await House.open();
  }, 90_000);
  afterAll(() => house[Symbol.asyncDispose](), 30_000);

  test('Prometheus, told only where its Alertmanager is, reports what fires and what is over; amtool reads it', async () => {
    const port = await freePort();
    const target = `127.0.0.1:${port}`;
    const alertmanager = {
      static_configs: [{ targets: [house.address] }],
      path_prefix: '/in/prometheus',
      authorization: { credentials: token },
    };
    const rule = {
      alert: 'TargetDown',
      expr: 'up{job="web"} == 0',
      labels: { severity: 'page' },
      annotations: { summary: '{{ $labels.instance }} does not answer' },
    };
    await using _prometheus = await startPrometheus({
      config: {
        alerting: { alertmanagers: [alertmanager] },
        scrape_configs: [{ job_name: 'web', static_configs: [{ targets: [target], labels: { host: 'web' } }] }],
      },
      rules: { groups: [{ name: 'g', rules: [rule] }] },
    });
    const fired = await house.finding('firing', 'TargetDown');
    const labels = { alertname: 'TargetDown', host: 'web', instance: target, job: 'web', severity: 'page' };
    expect(fired).toMatchObject({
      fingerprint: fingerprintOf(labels),
      foreign: true,
      severity: 'critical',
      host: 'web',
      check: 'prometheus',
      summary: `${target} does not answer`,
    });
    const { stdout } = await house.amtool('alert', 'query', '-o', 'json', 'alertname=TargetDown');
    expect(JSON.parse(stdout)).toMatchObject([
      { labels, fingerprint: fingerprintOf(labels), status: { state: 'active' } },
    ]);
    expect((await house.amtool('alert', 'query', 'alertname=Nothing')).stdout.trim().split('\n')).toHaveLength(1);

    const server = createServer((_request, response) => response.end('answers 1\n')).listen(port, '127.0.0.1');
    await once(server, 'listening');
    try {
      const over = await house.finding('resolved', 'TargetDown');
      expect(over.occurrence).toBe(fired.occurrence);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }, 90_000);

  test('vmalert does the same with the token in the address', async () => {
    await using metrics = await startVictoriaMetrics();
    await metrics.write('probe_success{instance="db.example.org:5432"} 0');
    await until(async () => (await metrics.query('probe_success')).length === 1, 'the written value');
    const rule = { alert: 'ProbeFailed', expr: 'probe_success == 0', annotations: { summary: 'probe failed' } };
    await using _vmalert = await startVmalert({
      rules: { groups: [{ name: 'g', rules: [rule] }] },
      datasource: metrics.url,
      notifier: `http://${house.address}/in/vmalert/${token}`,
    });
    expect(await house.finding('firing', 'ProbeFailed')).toMatchObject({
      host: 'db',
      severity: 'warning',
      kind: 'alertmanager',
    });
    await metrics.write('probe_success{instance="db.example.org:5432"} 1');
    await house.finding('resolved', 'ProbeFailed');
  }, 90_000);

  test('Alertmanager tells through its webhook', async () => {
    const url = `http://${house.address}/in/alertmanager`;
    await using alertmanager = await startAlertmanager({
      config: webhookConfig(url, { authorization: { credentials: token } }),
    });
    const alert = {
      labels: { alertname: 'FromAlertmanager', instance: '10.9.8.7:9100', severity: 'info' },
      annotations: { summary: 'so it is' },
    };
    await alertmanager.post(alert);
    expect(await house.finding('firing', 'FromAlertmanager')).toMatchObject({
      fingerprint: fingerprintOf(alert.labels),
      host: 'web',
      severity: 'info',
      summary: 'so it is',
    });
    await alertmanager.post({ ...alert, endsAt: new Date().toISOString() });
    await house.finding('resolved', 'FromAlertmanager');
  }, 60_000);

  test('agents and sensors tell over a broker of their own, which may go away and come back', async () => {
    const event = { source: 'openfang', cron: 'disk', host: 'web', symptom: 'disk 91% on /var', context: { used: 91 } };
    const say = (severity: string): Promise<void> =>
      house.strangers.publish(`pixelium/guardian/disk/${severity}`, {
        ...event,
        severity,
        timestamp: new Date().toISOString(),
      });
    await say('info');
    await say('critical');
    const fired = await house.finding('firing', 'disk');
    expect(fired).toMatchObject({ severity: 'critical', host: 'web', summary: 'web: disk 91% on /var' });
    await house.strangers.kill();
    await house.strangers.resume();
    const leak = { what: 'leak', state: 'wet' };
    await until(async () => {
      await house.strangers.publish('sensors/cellar/alarm', leak, true);
      return house.findings.some(({ labels }) => labels['alertname'] === 'leak');
    }, 'the sensor to be heard again');
    expect(await house.finding('firing', 'leak')).toMatchObject({ labels: { alertname: 'leak', host: 'cellar' } });
    await house.strangers.publish('sensors/cellar/alarm', { ...leak, state: 'ok' }, true);
    await house.finding('resolved', 'leak');
    await say('ok');
    expect((await house.finding('resolved', 'disk')).occurrence).toBe(fired.occurrence);
  }, 60_000);

  test('thousands of alerts in one post are told within their limit, and are over in one post', async () => {
    const headers = { authorization: `Bearer ${token}` };
    const send = async (endsAt?: string): Promise<number> => {
      const alerts = Array.from({ length: 5_000 }, (_, index) => ({
        labels: { alertname: 'Storm', instance: `host-${index}`, severity: 'warning' },
        annotations: { summary: `host-${index} is in the storm` },
        ...(endsAt !== undefined && { endsAt }),
      }));
      const body = JSON.stringify(alerts);
      return (await fetch(`http://${house.address}/in/prometheus/api/v2/alerts`, { method: 'POST', body, headers }))
        .status;
    };
    const count = (status: Finding['status']): number =>
      new Set(
        house.findings
          .filter((one) => one.labels['alertname'] === 'Storm' && one.status === status)
          .map(({ fingerprint }) => fingerprint),
      ).size;
    expect(await send()).toBe(200);
    await until(() => count('firing') === 500, 'all of them on the bus', 60_000);
    expect((await house.finding('firing', 'intake-flood')).summary).toContain('4500 of its alerts were left out');
    expect(await send(new Date().toISOString())).toBe(200);
    await until(() => count('resolved') === 500, 'all of them to be over', 60_000);
    expect((await house.lares.run('incidents', '--json')).stdout).toContain('were left out');
  }, 150_000);

  test('the guide shows configurations that their programs accept', async () => {
    using folder = new Folder();
    const checked = await run('promtool', ['check', 'config', shown('prometheus.yml', folder.path)]);
    expect(checked.stdout).toContain('SUCCESS');
    const read = await run('amtool', ['check-config', shown('alertmanager.yml', folder.path)]);
    expect(read.stdout).toContain('1 receivers');
  });

  test('what they told is known to people, written down, and outlives the process', async () => {
    const labels = { alertname: 'Lasting', instance: 'web' };
    const body = JSON.stringify([{ labels, annotations: { summary: 'it lasts' } }]);
    const headers = { authorization: `Bearer ${token}` };
    const posted = await fetch(`http://${house.address}/api/v2/alerts`, { method: 'POST', body, headers });
    expect(posted.status).toBe(200);
    const fired = await house.finding('firing', 'Lasting');
    await house.lares.end('SIGKILL');
    await house.lares.start();
    const { stdout } = await house.amtool('alert', 'query', '-o', 'json', 'alertname=Lasting');
    expect(fired.fingerprint).toBe(fingerprintOf(labels));
    const kept = { labels, fingerprint: fingerprintOf(labels), startsAt: fired.startsAt };
    expect(JSON.parse(stdout)).toMatchObject([kept]);
    const isTold = async () => (await house.lares.run('incidents', '--json')).stdout.includes('it lasts');
    await until(isTold, 'the incident', 60_000);
    expect((await house.lares.run('audit', 'verify')).status).toBe(0);
    expect(house.lares.output).not.toContain(token);
  }, 120_000);
});
