import { afterEach, expect, test } from 'vitest';
import { systemClock } from '#agents/runtime/clock.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { type Authority, createAuthority } from '../../../test/parts/certificates.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { startFakeTruenas } from '../../../test/parts/fake-truenas.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { until } from '../../../test/parts/until.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './truenas.ts';

const key = '7-truenas-test-key';
process.env['LARES_TEST_TRUENAS'] = key;
const token = { env: 'LARES_TEST_TRUENAS' };

kindContract(check, (port) => ({ url: `https://127.0.0.1:${port}`, token }));

let authority: Authority | undefined;
let looking = new AbortController();
afterEach(() => {
  looking.abort();
  looking = new AbortController();
  authority?.[Symbol.dispose]();
});

const now = Date.parse('2026-11-20T12:00:00Z');
const dayMs = 86_400_000;
const tank = {
  name: 'tank',
  status: 'ONLINE',
  healthy: true,
  status_detail: null,
  size: 1_000,
  allocated: 500,
  scan: { function: 'SCRUB', state: 'FINISHED', end_time: { $date: now - 3 * dayMs }, errors: 0 },
};

async function start(results: Record<string, unknown> = {}) {
  authority = createAuthority();
  const truenas = await startFakeTruenas(authority.issue({ name: '127.0.0.1' }), key);
  Object.assign(truenas.results, { 'pool.query': [tank], 'alert.list': [], 'app.query': [], ...results });
  const look = (given: object = {}, context: Partial<CheckContext> = {}): Promise<Observation[]> => {
    const options = check.options.parse({ url: truenas.url, token, caFile: authority?.caFile, ...given });
    return check.observe(
      options,
      checkContext({ clock: createVirtualClock(now), lasting: looking.signal, ...context }),
    );
  };
  return { truenas, look };
}

describeWith(['openssl'], 'TrueNAS', () => {
  test('that is well says so over one connection for many looks', async () => {
    const { truenas, look } = await start();
    await using _ = truenas;
    await look();
    expect(words(await look())).toEqual([
      'truenas-down truenas ok',
      'zfs-pool-unhealthy pools ok',
      'zfs-pool-unhealthy tank ok',
      'zfs-pool-full tank level',
      'zfs-scrub-old tank ok',
      'truenas-alert alerts ok',
    ]);
    expect(truenas.logins).toBe(1);
    truenas.dropConnections();
    await expect.poll(() => look().then(words), { timeout: 15_000 }).toContain('truenas-down truenas ok');
    expect(truenas.logins).toBe(2);
  });

  test('of version 26 is logged into with a user', async () => {
    const { truenas, look } = await start();
    await using _ = truenas;
    expect(words(await look({ user: 'lares' }))).toContain('zfs-pool-unhealthy tank ok');
    expect(truenas.calls[0]).toBe('auth.login_ex');
  });

  test('that shows no pool is unknown in them', async () => {
    const { truenas, look } = await start({ 'pool.query': [] });
    await using _ = truenas;
    expect(words(await look())).toContain('zfs-pool-unhealthy pools unknown');
  });

  test('tells sick and full pools, old scrubs, open alerts and crashed apps; dismissed and stopped ones rest', async () => {
    const pool = {
      ...tank,
      status: 'DEGRADED',
      healthy: false,
      status_detail: 'One or more devices has been removed',
      allocated: 950,
      scan: { ...tank.scan, end_time: { $date: now - 40 * dayMs } },
    };
    const alert = (uuid: string, level: string, dismissed = false) => ({
      uuid,
      klass: 'SMART',
      level,
      formatted: `Device sda: ${level}`,
      dismissed,
    });
    const { truenas, look } = await start({
      'pool.query': [pool],
      'alert.list': [
        alert('aaaaaaaa-1', 'CRITICAL'),
        alert('bbbbbbbb-1', 'WARNING', true),
        alert('cccccccc-1', 'NOTICE'),
      ],
      'app.query': [
        { name: 'immich', state: 'CRASHED' },
        { name: 'plex', state: 'STOPPED' },
      ],
    });
    await using _ = truenas;
    const found = await look();
    expect(words(found).slice(2)).toEqual([
      'zfs-pool-unhealthy tank critical',
      'zfs-pool-full tank level',
      'zfs-scrub-old tank warning',
      'truenas-alert alerts ok',
      'truenas-alert SMART aaaaaaaa critical',
      'app-crashed immich critical',
      'app-crashed plex asleep',
    ]);
    expect(found[2]?.summary).toBe('pool tank is DEGRADED: One or more devices has been removed');
    const options = check.options.parse({ url: truenas.url, token, caFile: authority?.caFile });
    const evidence = await check.evidence.gather(options, checkContext(), found[0] as Observation);
    expect(evidence.map(({ title }) => title)).toEqual(['Pools', 'Alerts of TrueNAS']);
  });

  test('tells devices that counted errors, hot disks, and services that are switched on and do not run', async () => {
    const device = (disk: string, checksum: number) => ({
      type: 'DISK',
      name: `${disk}1`,
      disk,
      stats: { read_errors: 0, write_errors: 0, checksum_errors: checksum },
      children: [],
    });
    const mirror = {
      type: 'MIRROR',
      name: 'mirror-0',
      stats: { checksum_errors: 4 },
      children: [device('sda', 0), device('sdb', 4)],
    };
    const service = (name: string, state: string, enable = true) => ({ id: 1, service: name, enable, state, pids: [] });
    const { truenas, look } = await start({
      'pool.query': [{ ...tank, topology: { data: [mirror], cache: [], log: [] } }],
      'disk.temperatures': { sda: 38, sdb: 57, nvme0n1: null },
      'service.query': [
        service('nfs', 'STOPPED'),
        service('ssh', 'RUNNING'),
        service('ups', 'STOPPED'),
        service('ftp', 'STOPPED', false),
      ],
    });
    await using _ = truenas;
    const found = await look();
    expect(words(found).slice(4)).toEqual([
      'zfs-errors tank warning',
      'zfs-scrub-old tank ok',
      'truenas-alert alerts ok',
      'disk-hot sda level',
      'disk-hot sdb level',
      'truenas-service-down nfs critical',
      'truenas-service-down ssh ok',
      'truenas-service-down ups warning',
    ]);
    expect(found[4]?.summary).toContain('counted errors: sdb (4 checksum)');
    expect(found[8]?.reading).toMatchObject({ value: 57, critical: { trigger: 55 } });
    expect(words(await look({ ignoreServices: ['ups'] }))).not.toContain('truenas-service-down ups warning');
    truenas.results['disk.temperatures'] = { sda: 'warm' };
    expect(words(await look())).toContain('disk-hot disks unknown');
  });

  test('that refuses the key is unknown, and is asked once: twenty tries would lock everybody out', async () => {
    const { truenas, look } = await start();
    await using _ = truenas;
    for (let turn = 0; turn < 3; turn += 1) {
      expect(words(await look({ token: { env: 'HOME' } }))).toEqual(['truenas-down truenas unknown']);
    }
    expect(truenas.logins).toBe(1);
    const later = createVirtualClock(now + 601_000);
    expect(words(await look({ token: { env: 'HOME' } }, { clock: later }))).toEqual(['truenas-down truenas unknown']);
    expect(truenas.logins).toBe(2);
  });

  test('whose key was refused and is accepted again is looked at after ten minutes; a lock is told', async () => {
    const { truenas, look } = await start();
    await using _ = truenas;
    truenas.key = 'another';
    expect(words(await look())).toEqual(['truenas-down truenas unknown']);
    truenas.key = key;
    expect(words(await look())).toEqual(['truenas-down truenas unknown']);
    const clock = createVirtualClock(now + 601_000);
    expect(words(await look({}, { clock }))).toContain('truenas-down truenas ok');
    truenas.logins = 20;
    truenas.dropConnections();
    await until(async () => (await look({}, { clock }))[0]?.reading.is === 'unknown', 'the lock');
    expect((await look({}, { clock }))[0]?.reading).toMatchObject({ reason: expect.stringContaining('Rate Limit') });
  });

  test('that may rest is asleep while it is silent; one that hangs or speaks nonsense is never well', async () => {
    const { truenas, look } = await start();
    const hasty = { timeoutMs: 400, clock: systemClock };
    truenas.fault = 'hang';
    expect(words(await look({}, hasty))).toEqual(['truenas-down truenas critical']);
    truenas.fault = 'garbage';
    expect(words(await look({}, hasty))).toEqual(['truenas-down truenas critical']);
    await truenas[Symbol.asyncDispose]();
    expect(words(await look({ onDemand: true }))).toEqual(['truenas-down truenas asleep']);
    expect(words(await look())).toEqual(['truenas-down truenas critical']);
  });
});
