import { connect } from 'node:net';
import { once } from 'node:events';
import { Writable } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { Failure } from '#bus/failure.ts';
import { createHttpSurface, type HttpListener, type HttpRequest } from './http.ts';
import { createLog } from './log.ts';
import { createVirtualClock } from '../../test/parts/virtual-clock.ts';

const opened: HttpListener[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((surface) => surface.close()));
});

function open(address = '127.0.0.1') {
  const lines: string[] = [];
  const destination = new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) });
  const log = createLog({ level: 'debug', name: 'test', destination });
  const clock = createVirtualClock(0);
  const surface = createHttpSurface({ address, port: 0, log, clock });
  opened.push(surface);
  return { surface, lines, clock };
}

async function listen(surface: HttpListener): Promise<string> {
  return `http://127.0.0.1:${(await surface.listen()).port}`;
}

test('a route gets its parameters, query, headers and body, and its answer goes out', async () => {
  const { surface } = open();
  const seen: HttpRequest[] = [];
  surface.route(['GET', 'POST'], '/ping/:id/:status', (request) => {
    seen.push(request);
    return { status: 201, body: '{}', type: 'application/json' };
  });
  const base = await listen(surface);
  const answer = await fetch(`${base}/ping/db%2Fbackup/7?a=1&a=2`, {
    method: 'POST',
    body: 'äö',
    headers: { 'x-one': '1' },
  });
  expect(answer.status).toBe(201);
  expect(answer.headers.get('content-type')).toBe('application/json');
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  expect(await answer.text()).toBe('{}');
  expect(seen[0]).toMatchObject({ method: 'POST', body: 'äö', parameters: { id: 'db/backup', status: '7' } });
  expect(seen[0]?.query.getAll('a')).toEqual(['1', '2']);
  expect(seen[0]?.headers['x-one']).toBe('1');
});

test('HEAD is answered as GET without a body', async () => {
  const { surface } = open();
  surface.route(['HEAD', 'GET'], '/healthz', () => ({ status: 200, body: 'ok' }));
  surface.route(['HEAD'], '/only-head', (request) => ({ status: 200, body: request.method }));
  const base = await listen(surface);
  const answer = await fetch(`${base}/healthz`, { method: 'HEAD' });
  expect([answer.status, await answer.text()]).toEqual([200, '']);
  expect((await fetch(`${base}/only-head`, { method: 'HEAD' })).status).toBe(200);
});

test('what has no route is 404; another method of one is 405 and names those that are', async () => {
  const { surface } = open();
  surface.route(['POST'], '/a', () => ({ status: 200, body: '' }));
  const base = await listen(surface);
  expect((await fetch(`${base}/b`)).status).toBe(404);
  const wrong = await fetch(`${base}/a`, { method: 'DELETE' });
  expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST']);
});

describe('a body of more than 100 kB is refused', () => {
  test('when its length is announced', async () => {
    const { surface } = open();
    surface.route(['POST'], '/a', (request) => ({ status: 200, body: String(request.body.length) }));
    const base = await listen(surface);
    expect(await (await fetch(`${base}/a`, { method: 'POST', body: 'x'.repeat(100_000) })).text()).toBe('100000');
    expect((await fetch(`${base}/a`, { method: 'POST', body: 'x'.repeat(100_001) })).status).toBe(413);
  });

  test('when it comes in chunks', async () => {
    const { surface } = open();
    surface.route(['POST'], '/a', () => ({ status: 200, body: '' }));
    const base = await listen(surface);
    const chunks = Array.from({ length: 30 }, () => Buffer.alloc(10_000, 'x'));
    const body = ReadableStream.from(chunks);
    const answer = await fetch(`${base}/a`, { method: 'POST', body, duplex: 'half' });
    expect(answer.status).toBe(413);
  });
});

describe('a handler that throws', () => {
  test('a bug is 500, told to the log and not to the caller', async () => {
    const { surface, lines } = open();
    surface.route(['GET'], '/bug', () => {
      throw new TypeError('inner detail, token=hunter2');
    });
    const base = await listen(surface);
    const answer = await fetch(`${base}/bug`);
    expect([answer.status, await answer.text()]).toEqual([500, 'internal error\n']);
    expect(lines.join('')).toContain('inner detail');
    expect(lines.join('')).not.toContain('hunter2');
  });

  test('a Failure is 503', async () => {
    const { surface } = open();
    surface.route(['GET'], '/full', () => Promise.reject(new Failure('Cannot keep state', { recoverable: true })));
    expect((await fetch(`${await listen(surface)}/full`)).status).toBe(503);
  });
});

test('a client that floods is told to wait, and may go on later', async () => {
  const { surface, clock } = open();
  surface.route(['GET'], '/a', () => ({ status: 200, body: '' }));
  const base = await listen(surface);
  const statuses: number[] = [];
  for (let batch = 0; batch < 9; batch += 1) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => fetch(`${base}/a`)));
    statuses.push(...answers.map((answer) => answer.status));
    await Promise.all(answers.map((answer) => answer.text()));
  }
  expect(statuses.filter((status) => status === 200)).toHaveLength(400);
  expect(statuses.filter((status) => status === 429)).toHaveLength(50);
  await clock.advance(1_000);
  expect((await fetch(`${base}/a`)).status).toBe(200);
});

describe('listening', () => {
  test('an empty address is refused: it would be every address', async () => {
    await expect(open('').surface.listen()).rejects.toThrow('empty address');
  });

  test('an address or port that cannot be had is a Failure that names it', async () => {
    const { surface } = open();
    const { port } = await surface.listen();
    const log = createLog({ level: 'error', name: 'test' });
    const second = createHttpSurface({ address: '127.0.0.1', port, log });
    await expect(second.listen()).rejects.toThrow(
      `Cannot listen on "127.0.0.1:${port}": another program listens there`,
    );
    // At boot the address may come later.
    await expect(open('203.0.113.7').surface.listen()).rejects.toMatchObject({ recoverable: true });
  });

  test('a route after it is a bug', async () => {
    const { surface } = open();
    await surface.listen();
    expect(() => surface.route(['GET'], '/late', () => ({ status: 200, body: '' }))).toThrow('after listen');
  });
});

test('closing does not wait for a client that never finishes', async () => {
  const { surface, clock } = open();
  surface.route(['POST'], '/a', () => ({ status: 200, body: '' }));
  const { port } = await surface.listen();
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  socket.write('POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc');
  const closing = surface.close();
  await clock.advance(2_000);
  await closing;
  socket.resume();
  await closed;
  expect(socket.destroyed).toBe(true);
});

test('who is not admitted is answered before the body is read, and a route has a size of its own', async () => {
  const { surface } = open();
  surface.route(['POST'], '/a', {
    handler: (request) => ({ status: 200, body: `${request.bytes.length} ${request.remoteAddress}` }),
    maximumBodyBytes: () => 200_000,
    admit: ({ headers }) =>
      headers.authorization === undefined
        ? { status: 401, body: '', headers: { 'www-authenticate': 'Bearer' } }
        : undefined,
  });
  const base = await listen(surface);
  const body = 'x'.repeat(150_000);
  const refused = await fetch(`${base}/a`, { method: 'POST', body });
  expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
  const taken = await fetch(`${base}/a`, { method: 'POST', body, headers: { authorization: 'Bearer x' } });
  expect(await taken.text()).toBe('150000 127.0.0.1');
});
