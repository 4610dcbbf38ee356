import { mkdtemp, rm, writeFile, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { answersAt, type Daemon, describeWith, startDaemon } from '../../../test/parts/daemon.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { freePort } from '../../../test/parts/free-port.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './syncthing.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

process.env['LARES_TEST_SYNCTHING'] = 'syncthing-test-key';
const token = { env: 'LARES_TEST_SYNCTHING' };
const other = 'BBBBBBB-BBBBBBB-BBBBBBB-BBBBBBB-BBBBBBB-BBBBBBB-BBBBBBB-BBBBBBB';
const now = Date.parse('2026-11-20T12:00:00Z');

afterEach(closeHttpAgents);

const look = (given: object, clock = createVirtualClock(now)): Promise<Observation[]> =>
  check.observe(check.options.parse({ token, ...given }), checkContext({ clock }));

/** Syncthing 1.29 with one folder and one other device. */
function syncthing(replaced: Record<string, unknown> = {}) {
  const bodies: Record<string, unknown> = {
    '/rest/config/folders': [{ id: 'docs', label: 'Documents', paused: false }],
    '/rest/db/status': { state: 'idle', pullErrors: 0, needTotalItems: 0, error: '' },
    '/rest/system/status': { myID: 'AAAAAAA' },
    '/rest/config/devices': [
      { deviceID: 'AAAAAAA', name: 'here' },
      { deviceID: other, name: 'laptop' },
    ],
    '/rest/system/connections': { connections: { [other]: { connected: false } } },
    '/rest/stats/device': { [other]: { lastSeen: '2026-11-20T09:00:00Z' } },
    ...replaced,
  };
  return ({ path, headers }: ApiRequest) => {
    if (path === '/rest/noauth/health') return { body: { status: 'OK' } };
    if (headers['x-api-key'] !== 'syncthing-test-key') return { status: 403, body: 'CSRF Error\n' };
    return path in bodies ? { body: bodies[path] } : undefined;
  };
}

describe('what it says', () => {
  test('of idle folders and devices seen today is well', async () => {
    await using api = await startFakeApi(syncthing());
    expect(words(await look({ url: api.url }))).toEqual([
      'syncthing-down syncthing ok',
      'syncthing-folder-failed folders ok',
      'syncthing-folder-failed Documents ok',
      'syncthing-folder-behind Documents ok',
      'syncthing-device-away devices ok',
      'syncthing-device-away laptop ok',
    ]);
  });

  test('of a folder in error, with items missing, is told with the reason', async () => {
    const status = { state: 'error', error: 'folder path missing', pullErrors: 2, needTotalItems: 7 };
    await using api = await startFakeApi(syncthing({ '/rest/db/status': status }));
    const found = await look({ url: api.url });
    expect(words(found)).toContain('syncthing-folder-failed Documents critical');
    expect(found.map(({ summary }) => summary)).toEqual(
      expect.arrayContaining([
        'folder Documents is error, 2 items could not be fetched: folder path missing',
        'folder Documents lacks 7 items',
      ]),
    );
    expect(found.find(({ condition }) => condition === 'syncthing-folder-behind')?.holdMs).toBe(3_600_000);
  });

  test('of what is paused is asleep, neither well nor a problem', async () => {
    const paused = { '/rest/config/folders': [{ id: 'docs', label: '', paused: true }] };
    await using api = await startFakeApi(syncthing(paused));
    expect(words(await look({ url: api.url }))).toContain('syncthing-folder-failed docs asleep');
  });

  test('of a device that stays away for longer than it may, or never came, is a warning', async () => {
    await using api = await startFakeApi(syncthing());
    const later = createVirtualClock(now + 48 * 3_600_000);
    const found = await look({ url: api.url }, later);
    expect(found.at(-1)).toMatchObject({
      summary: 'device laptop was last connected 2d3h ago',
      reading: { ok: false },
    });
    expect(words(await look({ url: api.url, ignoreDevices: ['laptop'] }, later))).not.toContain(
      'syncthing-device-away laptop warning',
    );
    await using fresh = await startFakeApi(
      syncthing({ '/rest/stats/device': { [other]: { lastSeen: '1970-01-01T00:00:00Z' } } }),
    );
    expect((await look({ url: fresh.url })).at(-1)?.summary).toBe('device laptop was never connected');
  });

  test('with another key is unknown, not well', async () => {
    await using api = await startFakeApi(syncthing());
    const found = words(await look({ url: api.url, token: { env: 'HOME' } }));
    expect(found).toEqual([
      'syncthing-down syncthing ok',
      'syncthing-folder-failed folders unknown',
      'syncthing-device-away devices unknown',
    ]);
  });
});

describeWith(['syncthing'], 'Syncthing of Debian', () => {
  let daemon: Daemon;
  let folder: string;
  let url: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lares-syncthing-'));
    url = `http://127.0.0.1:${await freePort()}`;
    daemon = await startDaemon({
      program: 'syncthing',
      args: [
        'serve',
        `--home=${folder}`,
        `--gui-address=${url.slice(7)}`,
        '--gui-apikey=syncthing-test-key',
        '--no-browser',
        '--no-default-folder',
      ],
      env: { HOME: folder, STNORESTART: '1' },
      isReady: () => answersAt(`${url}/rest/system/ping`),
    });
  });
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  test('answers, with and without a key, whatever its version', async () => {
    const found = await check.observe(check.options.parse({ url, token }), checkContext());
    expect(words(found)).toEqual([
      'syncthing-down syncthing ok',
      'syncthing-folder-failed folders ok',
      'syncthing-device-away devices ok',
    ]);
    const alone = await check.observe(check.options.parse({ url }), checkContext());
    expect(words(alone)).toEqual(['syncthing-down syncthing ok']);
  });

  test('whose folder vanishes from the disk is told, with its errors as evidence', async () => {
    const path = join(folder, 'data');
    await mkdir(path);
    await writeFile(join(path, 'file'), 'text');
    const put = (method: string, where: string, body?: object): Promise<Response> =>
      fetch(`${url}/rest/${where}`, {
        method,
        headers: { 'x-api-key': 'syncthing-test-key' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
    await put('PUT', 'config/folders/data', { id: 'data', label: 'Data', path, type: 'sendreceive' });
    await expect
      .poll(async () => words(await check.observe(check.options.parse({ url, token }), checkContext())), {
        timeout: 15_000,
      })
      .toContain('syncthing-folder-failed Data ok');
    await rm(path, { recursive: true });
    await put('POST', 'db/scan?folder=data');
    const bad = async (): Promise<Observation | undefined> =>
      (await check.observe(check.options.parse({ url, token }), checkContext())).find(
        ({ resource, reading }) => resource === 'Data' && reading.is === 'state' && !reading.ok,
      );
    await expect.poll(bad, { timeout: 15_000 }).toMatchObject({ condition: 'syncthing-folder-failed' });
    const observation = await bad();
    if (observation === undefined) throw new Error('the folder came back');
    const evidence = await check.evidence.gather(check.options.parse({ url, token }), checkContext(), observation);
    expect(evidence.map(({ title }) => title)).toContain('Errors of Syncthing');
  });
});
