import { type FakeApi, startFakeApi } from './fake-api.ts';

export interface NodetoolService {
  name: string;
  path: string;
  status: string;
  /** Epoch seconds; null after a restart of the proxy. */
  last_access_epoch: number | null;
}

export interface FakeNodetool extends FakeApi {
  readonly services: NodetoolService[];
  /** Names of the services that a request has started, in order: a probe must never cause one. */
  readonly coldStarts: string[];
}

export const nodetoolToken = 'nodetool-secret';

/**
 * NodeTool's proxy as its `server.py` answers: the whole header compared to the letter, a plain array as status, and a
 * cold start of whatever service has the path that is asked for.
 */
export async function startFakeNodetool(services: NodetoolService[] = []): Promise<FakeNodetool> {
  const coldStarts: string[] = [];
  const fake = await startFakeApi(({ path, headers }) => {
    if (path === '/healthz') return { body: 'ok' };
    if (path.startsWith('/.well-known/acme-challenge/')) return { status: 404, body: 'no such challenge' };
    if (headers.authorization !== `Bearer ${nodetoolToken}`) return { status: 401, body: { detail: 'Unauthorized' } };
    if (path === '/status') {
      return {
        body: services.map((service) => ({ ...service, host_port: service.status === 'running' ? 7_777 : null })),
      };
    }
    const longestFirst = services.toSorted((a, b) => b.path.length - a.path.length);
    const service = longestFirst.find((one) => path.startsWith(one.path));
    if (service === undefined) return { status: 404, body: { detail: 'No backend for path' } };
    coldStarts.push(service.name);
    Object.assign(service, { status: 'running', last_access_epoch: Date.now() / 1_000 });
    return { body: 'started' };
  });
  return Object.assign(fake, { services, coldStarts });
}
