import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A web server that says yes, in a process of its own so that its work is nobody's. */
const server = createServer({ keepAliveTimeout: 120_000, noDelay: true }, (_request, response) => response.end('ok\n'));
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify({ port: (server.address() as AddressInfo).port })}\n`);
});
