import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { valueOf } from '#agents/sentinel/probes/snmp.ts';
import { interfaceLines, type NetworkInterface, observeInterfaces } from '#agents/sentinel/probes/snmp-interfaces.ts';
import { restartedSince } from '#agents/sentinel/probes/uptime-drop.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { type PlayedObject, type Snmpd, startSnmpd } from '../../../test/parts/snmpd.ts';
import { told as toldOf } from '../../../test/parts/words.ts';
import { check } from './snmp.ts';

const folder = mkdtempSync(join(tmpdir(), 'lares-snmp-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function secret(name: string, text: string): { file: string } {
  const file = join(folder, name);
  writeFileSync(file, text, { mode: 0o600 });
  return { file };
}

kindContract(check, (port) => ({ address: '127.0.0.1', port, community: secret('any', 'any'), giveUpAfter: '1s' }));

const told = (found: readonly Observation[]): string[] => toldOf(found, [[/127\.0\.0\.1:\d+/g, 'DEVICE']]);

const pf = '1.3.6.1.4.1.12325.1.200.1';
const pfsense = (of: { running?: number; runtime?: number; drops?: number; states?: number } = {}): PlayedObject[] => [
  { oid: `${pf}.1.1.0`, type: 'integer', value: of.running ?? 1 },
  { oid: `${pf}.1.2.0`, type: 'uinteger', value: of.runtime ?? 9_000_000 },
  { oid: `${pf}.2.6.0`, type: 'counter', value: of.drops ?? 0 },
  { oid: `${pf}.3.1.0`, type: 'uinteger', value: of.states ?? 4_000 },
  { oid: `${pf}.5.1.0`, type: 'uinteger', value: 100_000 },
];

describeWith(['snmpd', 'snmpget'], 'a real snmpd', () => {
  let device: Snmpd;
  let now: number;
  let context: CheckContext;
  beforeEach(async () => {
    device = await startSnmpd(pfsense());
    now = Date.now();
    const base = checkContext({ host: undefined });
    context = { ...base, clock: { ...base.clock, now: () => now } };
  });
  afterEach(() => device[Symbol.asyncDispose]());

  async function look(more: object = {}): Promise<Observation[]> {
    const community = secret('community', device.community);
    const options = { address: '127.0.0.1', port: device.port, giveUpAfter: '10s', community, ...more };
    const found = await check.observe(check.options.parse(options), context);
    expect(faultsOf(found)).toEqual([]);
    return found;
  }

  test('answers a community and an encrypted user; a wrong one of either leaves it unknown', async () => {
    const { name, auth, privacy } = device.user;
    const user = {
      community: undefined,
      user: name,
      authProtocol: 'sha256',
      authPassword: secret('auth', auth),
      privacyPassword: secret('privacy', privacy),
    };
    const [first] = told(await look());
    expect(first).toBe('ok snmp-down: DEVICE answers as device.lab.test');
    expect(told(await look(user))[0]).toBe(first);
    const fresh = checkContext();
    context = { ...fresh, clock: context.clock };
    const fast = { giveUpAfter: '700ms' };
    const wrong = told(await look({ ...fast, community: secret('wrong', 'wrong') }));
    expect(wrong).toHaveLength(1);
    // Which of the two clocks is first depends on the load.
    expect(wrong[0]).toMatch(
      /^unknown snmp-down: cannot look at DEVICE: no answer(?: within 700ms)?: it is down, or the community or the address is not right$/,
    );
    expect(told(await look({ ...user, user: 'nobody' }))[0]).toMatch(
      /^unknown snmp-down: .*it answered "Unknown User Name"$/,
    );
    expect(told(await look({ ...user, authPassword: secret('wrong', 'wrong-password') }))[0]).toMatch(
      /^unknown snmp-down: .*it answered "Wrong Digest/,
    );
    expect(told(await look({ community: undefined }))[0]).toMatch(/neither a community nor a user/);
  });

  test('that answered before and is silent now is down', async () => {
    await look();
    await device.kill();
    expect(told(await look({ giveUpAfter: '500ms' }))).toEqual([
      expect.stringMatching(/^critical snmp-down: DEVICE no longer answers: no answer/),
    ]);
  });

  test('plays a pfSense that is well', async () => {
    const found = told(await look({ profile: 'pfsense' }));
    expect(found.slice(2)).toEqual([
      'ok packet-filter-off: the packet filter runs',
      'ok packet-filter-restarted: the packet filter has run on',
      'level state-table-full: the state table holds 4000 of 100000 connections, 4.0 %',
      'ok packet-filter-out-of-memory: the packet filter drops nothing for want of memory',
    ]);
    expect(found[1]).toMatch(/^ok device-restarted: /);
  });

  test('plays a pfSense whose filter is off, begun anew, full and short of memory', async () => {
    await look({ profile: 'pfsense' });
    now += 60_000;
    await device.play(pfsense({ running: 2, runtime: 500, drops: 600, states: 96_000 }));
    const found = await look({ profile: 'pfsense' });
    expect(told(found).slice(2)).toEqual([
      'critical packet-filter-off: the packet filter is switched off: nothing is filtered',
      'info packet-filter-restarted: the packet filter was started again',
      'level state-table-full: the state table holds 96000 of 100000 connections, 96.0 %',
      'warning packet-filter-out-of-memory: the packet filter drops 10.0 packets a second for want of memory',
    ]);
    expect(found[4]?.reading).toMatchObject({ warning: { trigger: 80 }, critical: { trigger: 95 } });
    expect(found[3]?.holdMs).toBe(0);
  });

  test('that is no pfSense is unknown as one', async () => {
    await device.play([]);
    expect(told(await look({ profile: 'pfsense' })).at(-1)).toMatch(/^unknown packet-filter-off: .*BEGEMOT-PF-MIB/);
  });

  test('tells single values: numbers, texts, counters and what it does not have', async () => {
    const base = '1.3.6.1.4.1.99999.2';
    const play = (count: number): Promise<void> =>
      device.play([
        { oid: `${base}.1.0`, type: 'integer', value: 415 },
        { oid: `${base}.2.0`, type: 'octet_str', value: 'ONLINE' },
        { oid: `${base}.3.0`, type: 'counter', value: count },
      ]);
    await play(4_000_000_000);
    const values = [
      { oid: `.${base}.1.0`, name: 'temperature', divideBy: 10, unit: 'C', above: { warning: 40, critical: 50 } },
      { oid: `${base}.2.0`, name: 'pool', equals: 'ONLINE' },
      { oid: `${base}.2.0`, name: 'other pool', equals: 'DEGRADED' },
      { oid: `${base}.3.0`, name: 'drops', rate: true, above: { warning: 1 } },
      { oid: `${base}.9.0`, name: 'nothing', above: { warning: 1 } },
    ];
    expect(told(await look({ values })).slice(2)).toEqual([
      'level snmp-value: temperature is 41.5 C',
      'ok snmp-value: pool is ONLINE',
      'critical snmp-value: other pool is ONLINE, not DEGRADED',
      'unknown snmp-value: cannot look at drops: counting begins with this look',
      'unknown snmp-value: cannot look at nothing: the device has no object 1.3.6.1.4.1.99999.2.9.0',
    ]);
    now += 10_000;
    await play(4_000_000_050);
    expect(told(await look({ values }))[5]).toBe('level snmp-value: drops is 5 /s');
  });

  test('shows the interfaces of this machine, as state and as evidence', async () => {
    const options = { interfaces: { names: ['lo'], expectUp: 'always' } };
    const found = told(await look(options));
    expect(found).toContain('ok interface-down: looked at 1 interface: 1 up, 0 missed');
    expect(found.join('\n')).toMatch(/ok interface-down: interface lo is up with \d+ Mb\/s/);
    expect(told(await look({ interfaces: { names: ['none*'] } })).at(-1)).toMatch(
      /^unknown .*no interface has such a name$/,
    );
    const parsed = check.options.parse({
      address: '127.0.0.1',
      port: device.port,
      community: secret('c', device.community),
    });
    const [values, interfaces] = await check.evidence.gather(parsed, context, (await look())[0] as Observation);
    expect(values?.lines.join('\n')).toContain('1.3.6.1.2.1.1.5.0 = device.lab.test');
    expect(interfaces?.lines.join('\n')).toMatch(/^lo: admin up, oper up, /m);
  });
});

describe('interfaces', () => {
  const options = { names: ['*'], ignore: ['vlan*'], expectUp: 'once-up', errorsPerSecond: 1 } as const;
  const port = (name: string, oper: number, more: Partial<NetworkInterface> = {}): NetworkInterface => ({
    name,
    admin: 1,
    oper,
    speed: 1_000,
    errors: 0,
    ...more,
  });
  const problems = (found: readonly Observation[]): string[] => told(found).filter((words) => !words.startsWith('ok'));

  test('a port without a cable is not missed until it was up once, and not after it was switched off', () => {
    const context = checkContext();
    expect(problems(observeInterfaces([port('1', 2), port('vlan1', 2)], options, context))).toEqual([]);
    observeInterfaces([port('1', 1)], options, context);
    const missed = ['critical interface-down: interface 1 is down'];
    expect(problems(observeInterfaces([port('1', 2)], options, context))).toEqual(missed);
    expect(problems(observeInterfaces([port('1', 7)], options, context))).toEqual(missed);
    expect(problems(observeInterfaces([port('1', 2, { admin: 2 })], options, context))).toEqual([]);
    expect(problems(observeInterfaces([port('1', 2)], options, context))).toEqual([]);
    expect(problems(observeInterfaces([port('1', 2)], { ...options, expectUp: 'always' }, context))).toEqual(missed);
  });

  test('errors are a level a second; a counter that was set back counts anew', () => {
    const base = checkContext();
    let now = 0;
    const context = { ...base, clock: { ...base.clock, now: () => now } };
    const look = (errors: number): Observation | undefined => {
      now += 10_000;
      return observeInterfaces([port('1', 1, { errors })], options, context).find(
        ({ condition }) => condition === 'interface-errors',
      );
    };
    expect(look(100)).toBeUndefined();
    expect(look(150)).toMatchObject({ reading: { value: 5, warning: { trigger: 1 } } });
    expect(look(10)).toMatchObject({ reading: { value: 0 } });
  });

  test('a device with very many shows those that are missed and how many there are', () => {
    const context = checkContext();
    const all = (oper: number) =>
      Array.from({ length: 400 }, (_, index) => port(String(index), index === 7 ? oper : 1));
    observeInterfaces(all(1).slice(0, 100), options, context);
    expect(told(observeInterfaces(all(2), options, context))).toEqual([
      'ok interface-down: looked at 400 interfaces: 399 up, 1 missed',
      'critical interface-down: interface 7 is down',
    ]);
    expect(interfaceLines(all(2))[0]).toBe('7: admin up, oper down, 1000 Mb/s, 0 errors');
  });
});

describe('an uptime', () => {
  const seen = (steps: readonly [number, number][], wrapsAtMs?: number): boolean[] => {
    const base = checkContext();
    return steps.map(([now, uptimeMs]) =>
      restartedSince(
        { key: 'x', uptimeMs, ...(wrapsAtMs !== undefined && { wrapsAtMs }) },
        { ...base, clock: { ...base.clock, now: () => now } },
      ),
    );
  };

  test('that drops is a restart, one that grows with time is none', () => {
    expect(
      seen([
        [0, 1e6],
        [60_000, 1_060_000],
        [120_000, 5_000],
        [180_000, 65_000],
      ]),
    ).toEqual([false, false, true, false]);
  });

  test('that is larger but too small for the time that passed is a restart too', () => {
    expect(
      seen([
        [0, 1_000],
        [3_600_000, 600_000],
      ]),
    ).toEqual([false, true]);
  });

  test('whose counter begins anew after 497 days is none', () => {
    const wrap = 2 ** 32 * 10;
    expect(
      seen(
        [
          [0, wrap - 30_000],
          [60_000, 30_000],
        ],
        wrap,
      ),
    ).toEqual([false, false]);
  });
});

test.each<[number, unknown, unknown]>([
  [70, Buffer.from([1, 0, 0, 0, 0]), { is: 'number', value: 2 ** 32 }],
  [70, Buffer.alloc(0), { is: 'number', value: 0 }],
  [4, Buffer.from('a\u001b[2Jb'), { is: 'text', value: 'a [2Jb' }],
  [128, null, { is: 'absent' }],
  [129, null, { is: 'absent' }],
  [2, -1, { is: 'number', value: -1 }],
])('type %d of %j', (type, value, expected) => {
  expect(valueOf({ type, value })).toEqual(expected);
});
