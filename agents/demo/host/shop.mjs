// The sacrificial service of the demo: answers on loopback until somebody kills it.
import { createServer } from 'node:http';
const server = createServer((request, response) =>
  response.end(request.url === '/health' ? 'ok' : 'The shop is open.'),
);
server.listen(Number(process.env.DEMO_PORT), '127.0.0.1', () => process.stdout.write(`listening ${process.pid}\n`));
