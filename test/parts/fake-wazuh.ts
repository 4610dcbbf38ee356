import { type ApiReply, type ApiRequest, type FakeApi, startFakeApi } from './fake-api.ts';

export const wazuhPassword = 'wazuh-test-password';

interface ModelAgent {
  id: string;
  name: string;
  status: 'active' | 'disconnected' | 'never_connected' | 'pending';
  lastKeepAlive: string;
  scores?: Record<string, number>;
  scannedAt?: string;
}

const off = ['clusterd', 'maild', 'agentlessd', 'csyslogd', 'dbd', 'integratord', 'reportd'];
const on = [
  'analysisd',
  'remoted',
  'authd',
  'db',
  'modulesd',
  'apid',
  'syscheckd',
  'logcollector',
  'execd',
  'monitord',
];

/** A Wazuh manager as data. Version 5 has neither /manager nor /sca nor /syscheck. */
export class WazuhModel {
  apiVersion = '4.14.0';
  daemons: Record<string, string> = {
    ...Object.fromEntries(on.map((name) => [`wazuh-${name}`, 'running'])),
    ...Object.fromEntries(off.map((name) => [`wazuh-${name}`, 'stopped'])),
  };
  agents: ModelAgent[] = [];
  errors: { timestamp: string; tag: string; level: string; description: string }[] = [];
  /** Of a cluster: those that are connected to its master. */
  nodes: string[] = [];
  outdated: string[] = [];
  /** Answers of these paths are HTTP 200 with this error in them. */
  partial = new Map<string, number>();
  token = 'jwt-1';
  logins = 0;
  /** As versions do that count their manager among the agents. */
  countsItself = false;
  /** Epoch ms, from which the age of a keep-alive is counted. */
  now = Date.parse('2026-11-20T12:00:00Z');
  #refusals = 0;

  answer(request: ApiRequest): ApiReply | undefined {
    const { path, headers } = request;
    if (path === '/security/user/authenticate') return this.#login(headers.authorization ?? '');
    if (headers.authorization !== `Bearer ${this.token}`) {
      return { status: 401, body: { title: 'Unauthorized', detail: 'Invalid token' } };
    }
    const error = this.partial.get(path);
    if (error !== undefined) {
      const data = {
        affected_items: [],
        failed_items: [{ error: { code: 1017, message: 'Some daemons are not ready' } }],
      };
      return { body: { data, message: 'Could not read', error } };
    }
    const data = this.#data(request);
    if (data !== undefined) return { body: { data, message: 'ok', error: 0 } };
    return { status: 404, body: { title: 'Not Found', detail: '404: Not Found' } };
  }

  #login(authorization: string): ApiReply {
    this.logins += 1;
    // `max_login_attempts` of its api.yaml; then the address is locked for `block_time`, 300 s.
    if (this.#refusals >= 50) return { status: 403, body: { title: 'Permission Denied', error: 6_000 } };
    const good = `Basic ${Buffer.from(`wazuh-wui:${wazuhPassword}`).toString('base64')}`;
    if (authorization !== good) {
      this.#refusals += 1;
      return { status: 401, body: { title: 'Unauthorized', detail: 'Invalid credentials' } };
    }
    return { body: { data: { token: this.token }, error: 0 } };
  }

  #data({ path, query }: ApiRequest): unknown {
    const status = query.get('status');
    switch (path) {
      case '/':
        return { title: 'Wazuh API REST', api_version: this.apiVersion, hostname: 'wazuh' };
      case '/cluster/status':
        return { enabled: this.nodes.length > 0 ? 'yes' : 'no', running: this.nodes.length > 0 ? 'yes' : 'no' };
      case '/cluster/nodes':
        return list(this.nodes.map((name) => ({ name, type: 'worker' })));
      case '/agents/summary/status':
        return { connection: this.#counts(), configuration: { synced: this.agents.length, total: this.agents.length } };
      case '/agents/outdated':
        return list(
          this.agents
            .filter(({ id }) => this.outdated.includes(id))
            .map(({ id, name }) => ({ id, name, version: 'Wazuh v4.9.2' })),
        );
      case '/agents':
        return list(this.#known().filter((agent) => agent.status === status && this.#isOlder(agent, query)));
      default:
        return this.#nodeData(path, query) ?? this.#agentData(path);
    }
  }

  /** `older_than=15m`: the last keep-alive is longer ago. */
  #isOlder({ lastKeepAlive }: ModelAgent, query: URLSearchParams): boolean {
    const [, minutes] = /^(\d+)m$/.exec(query.get('older_than') ?? '') ?? [];
    if (minutes === undefined) return true;
    return this.now - Date.parse(lastKeepAlive) > Number(minutes) * 60_000;
  }

  /** The keep-alive of the manager is the end of time. */
  #known(): ModelAgent[] {
    const own: ModelAgent = { id: '000', name: 'wazuh', status: 'active', lastKeepAlive: '9999-12-31T23:59:59Z' };
    return this.countsItself ? [own, ...this.agents] : this.agents;
  }

  #counts(): Record<string, number> {
    const known = this.#known();
    const count = (status: string): number => known.filter((agent) => agent.status === status).length;
    const states = ['active', 'disconnected', 'never_connected', 'pending'];
    return { ...Object.fromEntries(states.map((state) => [state, count(state)])), total: known.length };
  }

  #nodeData(path: string, query: URLSearchParams): unknown {
    const [, sort, ...rest] = path.split('/');
    const isManager = sort === 'manager' && !this.apiVersion.startsWith('5');
    const isNode = sort === 'cluster' && this.nodes.includes(rest[0] ?? '');
    if (!isManager && !isNode) return undefined;
    if (rest.at(-1) === 'status') return list([this.daemons]);
    return rest.at(-1) === 'logs' ? list(this.errors.filter(({ level }) => level === query.get('level'))) : undefined;
  }

  #agentData(path: string): unknown {
    if (this.apiVersion.startsWith('5')) return undefined;
    const [, sort, id, , policy] = path.split('/');
    const agent = this.agents.find((one) => one.id === id);
    if (agent === undefined) return undefined;
    if (sort === 'syscheck') return list([{ start: agent.scannedAt ?? null, end: agent.scannedAt ?? null }]);
    if (sort !== 'sca') return undefined;
    if (policy !== undefined)
      return list([{ id: 2612, title: 'Ensure /tmp is a separate partition', result: 'failed' }]);
    const scores = Object.entries(agent.scores ?? {});
    return list(scores.map(([policy_id, score]) => ({ policy_id, name: 'CIS Debian 12', score, pass: 1, fail: 1 })));
  }
}

function list(items: unknown[]): object {
  return { affected_items: items, total_affected_items: items.length, failed_items: [], total_failed_items: 0 };
}

export function startFakeWazuh(model: WazuhModel): Promise<FakeApi> {
  return startFakeApi((request) => model.answer(request));
}
