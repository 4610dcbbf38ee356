import { createHash } from 'node:crypto';
import { fingerprintOf } from '#bus/fingerprint.ts';
import type { Finding } from '#bus/messages/finding.ts';
import type { ConfigInput } from '#config/schema.ts';
import type { SentinelStage } from './sentinel-stage.ts';
import { until } from './until.ts';

export const token = createHash('sha256').update('reporting-house').digest('hex').slice(0, 32);
process.env['REPORTING_HOUSE_TOKEN'] = token;
export const bearer = { authorization: `Bearer ${token}` };

/** Intakes of four sorts, three with a token. */
export const reportedTo: ConfigInput = {
  hosts: { web: { address: '10.0.0.5' }, pve: { address: 'pve.example.org' } },
  intake: {
    prom: { kind: 'alertmanager', token: { env: 'REPORTING_HOUSE_TOKEN' }, labels: { site: 'cellar' } },
    am: { kind: 'alertmanager-webhook', token: { env: 'REPORTING_HOUSE_TOKEN' } },
    few: { kind: 'alertmanager', maximumOpen: 3, token: { env: 'REPORTING_HOUSE_TOKEN' } },
    open: { kind: 'json', map: { title: 'title', status: 'status', time: 'at' } },
  },
};

interface PostedAlert {
  labels: Record<string, string>;
  annotations?: Record<string, string>;
  startsAt?: string;
  endsAt?: string;
}

/** A sentinel that others report to. */
export class ReportingHouse {
  readonly stage: SentinelStage;

  constructor(stage: SentinelStage) {
    this.stage = stage;
  }

  async send(path: string, body: unknown, headers: Record<string, string> = bearer): Promise<Response> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return fetch(`http://127.0.0.1:${this.stage.port}${path}`, { method: 'POST', body: text, headers });
  }

  async post(source: string, ...alerts: PostedAlert[]): Promise<void> {
    const answer = await this.send(`/in/${source}/api/v2/alerts`, alerts);
    const said = await answer.text();
    if (answer.status !== 200 || said !== '') throw new Error(`The post was answered ${answer.status}: ${said}`);
  }

  async get(path: string): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.stage.port}${path}`, { headers: bearer });
  }

  async ask(path: string): Promise<unknown> {
    return (await this.get(path)).json();
  }

  /** What was told last of these labels, whether a sender reported them or Lares said them of a sender. */
  last(labels: Record<string, string>): Finding | undefined {
    const name = fingerprintOf(labels);
    return this.stage.findings.findLast(({ fingerprint }) => fingerprint === name);
  }

  async until(labels: Record<string, string>, status: Finding['status']): Promise<Finding> {
    await until(() => this.last(labels)?.status === status, `${JSON.stringify(labels)} to be ${status}`);
    return this.last(labels) as Finding;
  }
}
