import { request } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import type { SecretRef } from '#config/schema.ts';
import { createHttpSurface, type HttpListener } from '#agents/runtime/http.ts';
import { createLog } from '#agents/runtime/log.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { acceptHeartbeats } from './pings.ts';
import { waitingFor } from './waiting.ts';

const token = '0123456789abcdef0123456789abcdef';
const opened: HttpListener[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((surface) => surface.close()));
});

const heartbeat = (ping: string, secret?: SecretRef) => ({
  id: `check-${ping}`,
  kind: 'heartbeat',
  options: { ping, ...(secret !== undefined && { token: secret }) },
});

async function open(address = '127.0.0.1') {
  const clock = createVirtualClock(0);
  const log = createLog({ level: 'silent', name: 'test' });
  const surface = createHttpSurface({ address: '127.0.0.1', port: 0, log, clock });
  opened.push(surface);
  const checks = [heartbeat('backup'), heartbeat('vault', { env: 'VAULT' })];
  const waiting = waitingFor(checks, ({ env }) => (env === 'VAULT' ? token : ''));
  const pings: string[] = [];
  acceptHeartbeats(surface, {
    waiting,
    clock,
    address,
    onPing: (name, { kind, exitStatus = '' }) => pings.push(`${name} ${kind} ${exitStatus}`.trim()),
  });
  const { port } = await surface.listen();
  const ping = (path: string, headers: Record<string, string> = {}): Promise<number> =>
    new Promise((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port, path: `/ping/${path}`, headers }, (answer) => {
        answer.resume();
        answer.on('end', () => resolve(answer.statusCode ?? 0));
      });
      asked.on('error', reject);
      asked.end();
    });
  return { ping, pings, clock };
}

test('a heartbeat with a token is reported under the token, and its name is no address', async () => {
  const { ping, pings } = await open();
  expect(await ping('vault')).toBe(404);
  expect(await ping(`${token}0`)).toBe(404);
  expect(await ping(token)).toBe(200);
  expect(await ping(`${token}/fail`)).toBe(200);
  expect(await ping('backup')).toBe(200);
  expect(pings).toEqual(['vault success', 'vault fail', 'backup success']);
});

test('the end of a job is told by a word or by its exit status, which is kept, and nothing else', async () => {
  const { ping, pings } = await open();
  for (const signal of ['start', 'fail', '0', '3', '255', 'log']) expect(await ping(`backup/${signal}`)).toBe(200);
  for (const signal of ['256', '-1', '1.5', 'ok', '03x', '0000']) expect(await ping(`backup/${signal}`)).toBe(400);
  expect(pings).toEqual(['backup start', 'backup fail', 'backup success', 'backup fail 3', 'backup fail 255']);
});

test('a token that is short, or that an address would mangle, is refused with what it needs', () => {
  for (const bad of ['short', `${token}/start`, `${token} x`, 'ä'.repeat(20)]) {
    expect(() => waitingFor([heartbeat('vault', { env: 'VAULT' })], () => bad)).toThrow('16 to 200 letters');
  }
});

test('a name that somebody else made resolve to here is not answered; an address, localhost and our name are', async () => {
  const { ping, pings } = await open('lares.lan');
  for (const host of [
    'evil.example',
    'evil.example:9477',
    'localhost.evil.example',
    '127.0.0.1.nip.io',
    'x@y/z',
    ':',
  ]) {
    expect([host, await ping('backup', { host })]).toEqual([host, 421]);
  }
  expect(pings).toEqual([]);
  for (const host of ['localhost:9477', '192.168.1.5:9477', '[::1]:9477', 'LARES.lan', '127.0.0.1']) {
    expect([host, await ping('backup', { host })]).toEqual([host, 200]);
  }
});

test('a web page reports nothing, whatever it is a page of; a person who types the address does', async () => {
  const { ping, pings } = await open();
  expect(await ping('backup', { origin: 'https://evil.example' })).toBe(403);
  expect(await ping('backup', { origin: 'null' })).toBe(403);
  for (const site of ['cross-site', 'same-site']) expect(await ping('backup', { 'sec-fetch-site': site })).toBe(403);
  expect(pings).toEqual([]);
  expect(await ping('backup', { 'sec-fetch-site': 'none' })).toBe(200);
});

test('one heartbeat that is flooded is told to wait, and the others are heard', async () => {
  const { ping, pings, clock } = await open();
  const statuses = await Promise.all(Array.from({ length: 80 }, () => ping('backup')));
  expect(statuses.filter((status) => status === 200)).toHaveLength(60);
  expect(statuses.filter((status) => status === 429)).toHaveLength(20);
  expect(await ping(token)).toBe(200);
  await clock.advance(1_000);
  expect(await ping('backup')).toBe(200);
  expect(pings).toHaveLength(62);
});
