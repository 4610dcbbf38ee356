import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { answersAt, type Daemon, describeWith, startDaemon } from '../../../test/parts/daemon.ts';
import { type ApiReply, type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { freePort } from '../../../test/parts/free-port.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './qbittorrent.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

process.env['LARES_TEST_QBT'] = 'adminadmin';
process.env['LARES_TEST_QBT_WRONG'] = 'not-the-password';
const login = { user: 'admin', password: { env: 'LARES_TEST_QBT' } };

afterEach(closeHttpAgents);

const look = (given: object): Promise<Observation[]> => check.observe(check.options.parse(given), checkContext());

/** qBittorrent 4.5: 403 without a session, 200 "Fails." for a wrong password, which is a 401 from 5.2 on. */
function qbittorrent(
  of: { refusal?: ApiReply; torrents?: object; status?: string; free?: number; seen?: object; bound?: object } = {},
) {
  const state = { sessions: new Set<string>(), logins: 0 };
  const server = { connection_status: of.status ?? 'connected', free_space_on_disk: of.free ?? -1, ...of.seen };
  const bodies = new Map<string, object>([
    ['/api/v2/sync/maindata', { server_state: server, torrents: of.torrents ?? {} }],
  ]);
  if (of.bound !== undefined) bodies.set('/api/v2/app/preferences', of.bound);
  const answer = ({ path, body, headers }: ApiRequest) => {
    if (path === '/api/v2/auth/login') {
      state.logins += 1;
      if (new URLSearchParams(body).get('password') !== 'adminadmin') return of.refusal ?? { body: 'Fails.' };
      const id = `session${state.logins}`;
      state.sessions.add(id);
      return { body: 'Ok.', headers: { 'set-cookie': `SID=${id}; HttpOnly; path=/; SameSite=Strict` } };
    }
    const id = /SID=(\w+)/.exec(headers.cookie ?? '')?.[1] ?? '';
    if (!state.sessions.has(id)) return { status: 403, body: 'Forbidden' };
    return bodies.has(path) ? { body: bodies.get(path) } : undefined;
  };
  return { answer, state };
}

describe('with a login', () => {
  test('one session serves many looks, and a lost one is made anew', async () => {
    const { answer, state } = qbittorrent();
    await using api = await startFakeApi(answer);
    await look({ url: api.url, ...login });
    await look({ url: api.url, ...login });
    expect(state.logins).toBe(1);
    state.sessions.clear();
    expect(words(await look({ url: api.url, ...login }))).toEqual([
      'qbittorrent-down qbittorrent ok',
      'qbittorrent-disconnected connection ok',
      'qbittorrent-torrents-failed torrents ok',
    ]);
    expect(state.logins).toBe(2);
  });

  test.each<ApiReply>([{ body: 'Fails.' }, { status: 401, body: 'Unauthorized' }])(
    'a wrong password is unknown and tried once, so that the address is not banned',
    async (refusal) => {
      const { answer, state } = qbittorrent({ refusal });
      await using api = await startFakeApi(answer);
      const wrong = { url: api.url, user: 'admin', password: { env: 'LARES_TEST_QBT_WRONG' } };
      expect(words(await look(wrong))).toEqual([
        'qbittorrent-down qbittorrent ok',
        'qbittorrent-disconnected connection unknown',
      ]);
      await look(wrong);
      expect(state.logins).toBe(1);
    },
  );

  test('failed torrents, a lost connection and little room are told', async () => {
    const torrents = { a: { name: 'Debian', state: 'missingFiles' }, b: { name: 'Other', state: 'stalledUP' } };
    const { answer } = qbittorrent({ torrents, status: 'disconnected', free: 5 * 1_073_741_824 });
    await using api = await startFakeApi(answer);
    const found = await look({ url: api.url, ...login });
    expect(found.map(({ summary }) => summary)).toEqual([
      'qBittorrent answers',
      'qBittorrent is disconnected',
      '1 of 2 torrents failed',
      'free for downloads: 5.0 GiB',
    ]);
    expect(found.at(-1)?.reading).toMatchObject({ value: 5, warning: { trigger: 10 } });
    const [first] = found;
    if (first === undefined) throw new Error('nothing was observed');
    const options = check.options.parse({ url: api.url, ...login });
    const evidence = await check.evidence.gather(options, checkContext(), first);
    expect(evidence.flatMap(({ lines }) => lines)).toEqual(['missingFiles: Debian', 'disconnected']);
  });
});

describe('behind a VPN', () => {
  const of = async (product: Parameters<typeof qbittorrent>[0], given: object): Promise<Observation[]> => {
    await using api = await startFakeApi(qbittorrent(product).answer);
    const found = await look({ url: api.url, ...login, ...given });
    return found.filter(({ resource }) => resource === 'vpn');
  };
  const home = { homeAddresses: ['203.0.113.0/28', '2001:db8:7::1', 'localhost'] };

  test.each([
    ['', 'critical', 'qBittorrent uses any interface, not tun0 of the VPN alone'],
    ['eth0', 'critical', 'qBittorrent is bound to eth0, not to tun0 of the VPN'],
    ['tun0', 'ok', 'qBittorrent is bound to tun0'],
  ])('bound to "%s" alone', async (name, is, summary) => {
    const found = await of({ bound: { current_network_interface: name } }, { vpnInterface: 'tun0' });
    expect(words(found)).toEqual([`qbittorrent-vpn-unbound vpn ${is}`]);
    expect(found[0]?.summary).toBe(summary);
  });

  test.each([{ vpnInterface: 'tun0' }, home])('without a login is refused: it would look watched', (given) => {
    const parsed = check.options.safeParse({ url: 'http://127.0.0.1:1', ...given });
    expect(parsed.error?.issues[0]?.path).toEqual(['password']);
  });

  test('settings that cannot be read leave the interface unknown', async () => {
    expect(words(await of({}, { vpnInterface: 'tun0' }))).toEqual(['qbittorrent-vpn-unbound vpn unknown']);
  });

  test.each([
    ['the address of the VPN', { last_external_address_v4: '198.51.100.4', last_external_address_v6: '' }, 'ok'],
    ['an address of the house', { last_external_address_v4: '203.0.113.9' }, 'critical'],
    [
      'the house by IPv6 beside the VPN',
      { last_external_address_v4: '198.51.100.4', last_external_address_v6: '2001:db8:7::1' },
      'critical',
    ],
    ['what the name of the house resolves to', { last_external_address_v4: '127.0.0.1' }, 'critical'],
    ['nowhere yet', { last_external_address_v4: '', last_external_address_v6: '' }, 'unknown'],
    ['a version before 5.1', {}, 'unknown'],
    ['no address at all', { last_external_address_v4: '<b>$(id)</b>' }, 'unknown'],
  ])('seen from %s', async (_name, seen, is) => {
    expect(words(await of({ seen }, home))).toEqual([`qbittorrent-vpn-leak vpn ${is}`]);
  });

  test('a name of the house that does not resolve hides no leak and promises nothing', async () => {
    const given = { homeAddresses: ['nobody.invalid', '203.0.113.9'] };
    expect(words(await of({ seen: { last_external_address_v4: '203.0.113.9' } }, given))).toEqual([
      'qbittorrent-vpn-leak vpn critical',
    ]);
    const [found] = await of({ seen: { last_external_address_v4: '198.51.100.4' } }, given);
    expect(found?.reading).toMatchObject({ is: 'unknown', reason: expect.stringContaining('nobody.invalid') });
  });
});

describeWith(['qbittorrent-nox'], 'qBittorrent of Debian', () => {
  let daemon: Daemon;
  let folder: string;
  let url: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lares-qbittorrent-'));
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    daemon = await startDaemon({
      program: 'sh',
      args: ['-c', `yes | exec qbittorrent-nox --profile=${folder} --webui-port=${port}`],
      env: { HOME: folder },
      isReady: () => answersAt(`${url}/api/v2/app/version`),
    });
  });
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  test('is alive without a login, watched with one, and unknown with a wrong one', async () => {
    expect(words(await look({ url }))).toEqual(['qbittorrent-down qbittorrent ok']);
    // Whether it calls itself connected, and when, is for the network; it tells the room on its disk later than all else.
    expect(words(await look({ url, ...login })).slice(0, 3)).toEqual([
      'qbittorrent-down qbittorrent ok',
      expect.stringMatching(/^qbittorrent-disconnected connection (?:ok|warning)$/),
      'qbittorrent-torrents-failed torrents ok',
    ]);
    const vpn = { vpnInterface: 'lo', homeAddresses: ['203.0.113.9'] };
    const vpnOf = async (): Promise<string[]> => words(await look({ url, ...login, ...vpn })).slice(-2);
    // 4.5 does not know from where it is seen.
    expect(await vpnOf()).toEqual(['qbittorrent-vpn-unbound vpn critical', 'qbittorrent-vpn-leak vpn unknown']);
    await bindTo('lo', url);
    expect(await vpnOf()).toEqual(['qbittorrent-vpn-unbound vpn ok', 'qbittorrent-vpn-leak vpn unknown']);
    const wrong = await look({ url, user: 'other', password: { env: 'LARES_TEST_QBT_WRONG' } });
    expect(words(wrong)).toEqual(['qbittorrent-down qbittorrent ok', 'qbittorrent-disconnected connection unknown']);
  });
});

async function bindTo(name: string, url: string): Promise<void> {
  const post = (path: string, body: Record<string, string>, cookie = '') =>
    fetch(`${url}${path}`, { method: 'POST', body: new URLSearchParams(body), headers: { referer: url, cookie } });
  const session = await post('/api/v2/auth/login', { username: 'admin', password: 'adminadmin' });
  const cookie = session.headers.get('set-cookie')?.split(';')[0] ?? '';
  const json = JSON.stringify({ current_network_interface: name });
  const answer = await post('/api/v2/app/setPreferences', { json }, cookie);
  expect(answer.status).toBe(200);
}
