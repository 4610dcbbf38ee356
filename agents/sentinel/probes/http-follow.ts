import type { Agent } from 'undici';
import { Exchange, type ExchangeEnd, type HttpPlan } from './http-exchange.ts';
import { headerText } from './http-expect.ts';

/** An exchange with all its redirects, and where it ended. */
export interface FollowedEnd {
  end: ExchangeEnd;
  url: URL;
}

interface FollowOptions {
  plan: HttpPlan;
  agents: { kept: Agent; fresh: Agent };
  redirects: number;
  /** A redirect that is itself what is expected is not followed. */
  isExpected(status: number): boolean;
  /** Whether the connections carry what is for one host only. */
  staysOnHost: boolean;
}

const redirectStatuses = new Set([301, 302, 303, 307, 308]);

/** Asks, follows redirects, and asks once more when a kept connection turned out to be dead. */
export class Follow {
  readonly #options: FollowOptions;
  #current: Exchange | undefined;
  #stopped: string | undefined;

  constructor(options: FollowOptions) {
    this.#options = options;
  }

  /** Ends it now; `run` resolves with a timeout. */
  stop(within: string): void {
    const texts = {
      connecting: `no connection within ${within}`,
      waiting: `connected, but no answer within ${within}`,
      reading: `the answer did not end within ${within}`,
    };
    this.#stopped = texts[this.#current?.phase ?? 'connecting'];
    this.#current?.stop(this.#stopped);
  }

  async run(): Promise<FollowedEnd> {
    let { plan } = this.#options;
    for (let left = this.#options.redirects; ; left -= 1) {
      const end = await this.#ask(plan);
      if (end.is === 'failed' || !redirectStatuses.has(end.status) || this.#options.isExpected(end.status)) {
        return { end, url: plan.url };
      }
      if (left === 0) return failed(plan.url, this.#options.redirects);
      const next = redirected(plan, end);
      if (typeof next === 'string') return { end: { is: 'failed', cause: 'protocol', text: next }, url: plan.url };
      if (this.#options.staysOnHost && next.url.origin !== plan.url.origin) {
        return { end: { is: 'failed', cause: 'protocol', text: `redirects to ${next.url.origin}` }, url: plan.url };
      }
      plan = next;
    }
  }

  async #ask(plan: HttpPlan): Promise<ExchangeEnd> {
    if (this.#stopped !== undefined) return { is: 'failed', cause: 'timeout', text: this.#stopped };
    const end = await this.#exchange(this.#options.agents.kept, plan);
    const isRepeatable = plan.method === 'GET' || plan.method === 'HEAD' || plan.method === 'OPTIONS';
    // A server may close an idle connection at the moment it is used again: that says nothing of its health.
    if (end.is !== 'failed' || end.cause !== 'reset' || !isRepeatable || this.#stopped !== undefined) return end;
    return this.#exchange(this.#options.agents.fresh, plan);
  }

  #exchange(agent: Agent, plan: HttpPlan): Promise<ExchangeEnd> {
    this.#current = new Exchange(agent, plan);
    return this.#current.done;
  }
}

function failed(url: URL, redirects: number): FollowedEnd {
  return { end: { is: 'failed', cause: 'protocol', text: `more than ${redirects} redirects` }, url };
}

/** The next request of a redirect (RFC 9110, section 15.4), or why there is none. */
function redirected(plan: HttpPlan, end: Extract<ExchangeEnd, { is: 'answered' }>): HttpPlan | string {
  const location = headerText(end.headers['location']);
  if (location === '') return `answered ${end.status} without a Location`;
  const url = URL.parse(location, plan.url.href);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    return `answered ${end.status} with a Location that is no web address`;
  }
  // Credentials are for the host that they were configured for.
  const headers = url.origin === plan.url.origin ? plan.headers : publicHeaders;
  const isPlainGet = end.status === 303 || (end.status <= 302 && plan.method === 'POST');
  if (!isPlainGet) return { ...plan, url, headers };
  const { body: _body, ...rest } = plan;
  return { ...rest, url, headers, method: plan.method === 'HEAD' ? 'HEAD' : 'GET' };
}

export const publicHeaders: Record<string, string> = { accept: '*/*', 'user-agent': 'Lares' };
