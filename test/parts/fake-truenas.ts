import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import type { ServerKeys } from './certificates.ts';

interface FakeTruenas extends AsyncDisposable {
  readonly url: string;
  /** Results by method. A method that is missing is refused as one that does not exist. */
  readonly results: Record<string, unknown>;
  readonly calls: string[];
  /** The key that it accepts. */
  key: string;
  logins: number;
  fault: 'none' | 'hang' | 'garbage';
  dropConnections(): void;
}

/** The WebSocket API of TrueNAS 25 and 26: JSON-RPC, a login by API key, and a lock after twenty of them, which is an error. */
export async function startFakeTruenas(keys: ServerKeys, key: string): Promise<FakeTruenas> {
  const server = createServer(keys);
  const sockets = new WebSocketServer({ server, path: '/api/current' });
  sockets.on('connection', (socket) => {
    let isIn = false;
    socket.on('message', (data: Buffer) => {
      if (fake.fault === 'hang') return;
      if (fake.fault === 'garbage') return socket.send('<html>');
      const { id, method, params } = JSON.parse(data.toString()) as { id: number; method: string; params: unknown[] };
      fake.calls.push(method);
      const answer = (body: object): void => socket.send(JSON.stringify({ jsonrpc: '2.0', id, ...body }));
      if (method === 'auth.login_with_api_key' || method === 'auth.login_ex') {
        fake.logins += 1;
        if (fake.logins > 20) {
          return answer({
            error: { code: -32_001, message: 'Method call error', data: { reason: '[EBUSY] Rate Limit Exceeded' } },
          });
        }
        const given = typeof params[0] === 'string' ? params[0] : (params[0] as { api_key: string }).api_key;
        isIn = given === fake.key;
        return answer({ result: method === 'auth.login_ex' ? { response_type: isIn ? 'SUCCESS' : 'AUTH_ERR' } : isIn });
      }
      const refuse = (reason: string): void =>
        answer({ error: { code: -32_001, message: 'Call error', data: { reason } } });
      if (!isIn) return refuse('[ENOTAUTHENTICATED] Not authenticated');
      return method in fake.results ? answer({ result: fake.results[method] }) : refuse('Method does not exist');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const fake: FakeTruenas = {
    url: `https://127.0.0.1:${port}`,
    results: {},
    calls: [],
    key,
    logins: 0,
    fault: 'none',
    dropConnections() {
      for (const client of sockets.clients) client.terminate();
    },
    async [Symbol.asyncDispose]() {
      fake.dropConnections();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return fake;
}
