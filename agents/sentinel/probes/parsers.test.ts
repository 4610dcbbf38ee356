import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matchesAny } from './glob.ts';
import { readSynchronisation } from './host-state.ts';
import { type MemoryLimits, observeMemory, observeSwap, parseMemory, parseSwapIns } from './memory.ts';
import { parsePorts, portSettlesMs, rememberPorts } from './ports.ts';
import { splitSections } from './sections.ts';
import { evidenceOf, formatBytes, oneLine } from './text.ts';
import { observeUpdates, parseUpdates, rememberUpdates } from './updates.ts';

describe('text of strangers', () => {
  test('is one bounded line of visible characters, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 3_000 }),
        fc.integer({ min: 1, max: 600 }),
        (text, maximum) => {
          const line = oneLine(text, maximum);
          expect(line.length).toBeLessThanOrEqual(maximum);
          // oxlint-disable-next-line no-control-regex -- none must be left
          expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
        },
      ),
    );
  });

  test('as evidence keeps its last lines and counts the others', () => {
    const [evidence] = evidenceOf(
      'log',
      'x'.repeat(500),
      Array.from({ length: 100 }, (_, index) => `line ${index}`),
    );
    expect(evidence).toMatchObject({ truncated: 70 });
    expect(evidence?.lines.at(-1)).toBe('line 99');
    expect(evidence?.title.length).toBeLessThanOrEqual(120);
  });

  test('bytes read as a person says them', () => {
    expect([0, 1_023, 1_536, 5 * 1_024 ** 3, -2_048].map(formatBytes)).toEqual([
      '0 B',
      '1023 B',
      '1.5 KiB',
      '5.0 GiB',
      '-2.0 KiB',
    ]);
  });
});

describe('sections', () => {
  test('are told from banners, and a line that looks like a start opens none inside', () => {
    const text = 'Welcome!\n@@a\n1\n@@b\n@@end b 0\n2\n@@end a 1\nbye\n@@c\nunfinished';
    expect([...splitSections(text)]).toEqual([['a', { text: '1\n@@b\n@@end b 0\n2', code: 1 }]]);
  });
});

describe('patterns with *', () => {
  test.each([
    ['user@1000.service', 'user@*.service', true],
    ['a.mount', '*.service', false],
    ['abc', 'a*c*c', false],
    ['anything', '*', true],
    ['exact', 'exact', true],
    ['aXbXc', 'a*b*c', true],
  ])('%s by %s: %s', (name, pattern, matches) => {
    expect(matchesAny(name, [pattern])).toBe(matches);
  });
});

describe('memory', () => {
  const meminfo = (of: { total: number; available: number; swap?: number; swapFree?: number }): string =>
    `MemTotal: ${of.total} kB\nMemFree: 1 kB\nMemAvailable: ${of.available} kB\nSwapTotal: ${of.swap ?? 0} kB\nSwapFree: ${of.swapFree ?? 0} kB\nHugePages_Total: 0\nActive(anon): 3 kB\n`;

  test('that the ARC of ZFS gives back is available', () => {
    const arc = 'size                            4    4294967296\nc_min                           4    1073741824\n';
    const use = parseMemory(meminfo({ total: 8_388_608, available: 1_048_576 }), arc);
    expect(use?.availableBytes).toBe(4 * 1_024 ** 3);
  });

  test('without MemAvailable is estimated, and without anything unknown', () => {
    expect(parseMemory('MemTotal: 100 kB\nMemFree: 10 kB\nBuffers: 5 kB\nCached: 20 kB\n')?.availableBytes).toBe(
      35 * 1_024,
    );
    expect(parseMemory('cat: /proc/meminfo: Permission denied')).toBeUndefined();
  });

  const limits = { warning: 90, criticalFree: 512 };
  const criticalAt = (totalMiB: number, of: MemoryLimits = limits): number => {
    const use = parseMemory(meminfo({ total: totalMiB * 1_024, available: 0 }));
    const reading = use && observeMemory(use, of).reading;
    if (use === undefined || reading?.is !== 'level' || reading.critical === undefined) throw new Error('not read');
    expect(reading.critical.clear).toBeLessThan(reading.critical.trigger);
    return Math.round((1 - reading.critical.trigger / 100) * totalMiB);
  };

  test.each([
    ['a server', 65_536, 512],
    ['a host of 8 GiB', 8_192, 512],
    ['a guest of 4 GiB', 4_096, 256],
    ['a container of 1 GiB', 1_024, 64],
  ])('of %s is critical below an amount', (_name, totalMiB, availableMiB) => {
    expect(criticalAt(totalMiB)).toBe(availableMiB);
  });

  test('is critical at another amount, or at a percentage, where a person says so', () => {
    expect(criticalAt(65_536, { ...limits, criticalFree: 2_048 })).toBe(2_048);
    expect(criticalAt(10_000, { ...limits, critical: 97 })).toBe(300);
  });

  test('of a large host with 1 GiB left is a warning', () => {
    const use = parseMemory(meminfo({ total: 64 * 1_024 ** 2, available: 1_024 ** 2 }));
    const reading = use && observeMemory(use, limits).reading;
    if (reading?.is !== 'level') throw new Error('not read');
    expect(reading.value).toBeGreaterThan(reading.warning?.trigger ?? 100);
    expect(reading.value).toBeLessThan(reading.critical?.trigger ?? 0);
  });

  test('full swap that nobody reads back has no thresholds', () => {
    const calm = parseMemory(meminfo({ total: 100, available: 50, swap: 100, swapFree: 5 }));
    if (calm === undefined) throw new Error('not read');
    const swapLimits = { warning: 50, critical: 80 };
    expect(observeSwap(calm, 0, swapLimits).reading).not.toHaveProperty('warning');
    expect(observeSwap(calm, 500, swapLimits).reading).toHaveProperty('critical.trigger', 80);
    expect(observeSwap({ ...calm, availableBytes: 5 * 1_024 }, undefined, swapLimits).reading).toHaveProperty(
      'warning',
    );
  });

  test('pages swapped in are read from vmstat', () => {
    expect(parseSwapIns('pswpin 12\npswpout 3\n')).toBe(12);
  });
});

describe('open ports', () => {
  const ss = `tcp   LISTEN 0      128          0.0.0.0:22        0.0.0.0:*    users:(("sshd",pid=1,fd=3))
tcp   LISTEN 0      4096       127.0.0.1:9477      0.0.0.0:*    users:(("node",pid=2,fd=20))
tcp   LISTEN 0      4096   127.0.0.53%lo:53        0.0.0.0:*
tcp   LISTEN 0      511             [::]:80           [::]:*    users:(("ng\\"inx",pid=3,fd=6),("nginx",pid=4,fd=6))
tcp   LISTEN 0      511            [::1]:631          [::]:*
udp   UNCONN 0      0            0.0.0.0:51820     0.0.0.0:*
udp   UNCONN 0      0            0.0.0.0:67        0.0.0.0:*
tcp   LISTEN 0      100                *:8080            *:*
`;

  test('of ss: what others can reach, clients of UDP left out', () => {
    expect(parsePorts(ss)).toEqual([
      { name: 'tcp/22', protocol: 'tcp', port: 22, process: 'sshd' },
      { name: 'tcp/80', protocol: 'tcp', port: 80, process: String.raw`ng\"inx` },
      { name: 'tcp/8080', protocol: 'tcp', port: 8080 },
      { name: 'udp/67', protocol: 'udp', port: 67 },
    ]);
  });

  test('of /proc/net, where there is no ss', () => {
    const text = `proc tcp
  sl  local_address rem_address   st tx_queue
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   2: 0A4D000A:0016 0A4D00FE:A1B2 01 00000000:00000000 00:00000000 00000000     0        0 1 1
proc tcp6
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A 00000000:00000000
`;
    expect(parsePorts(text).map(({ name }) => name)).toEqual(['tcp/22', 'tcp/80']);
  });

  test('a new one is news for a day, then belongs; the first look is never news', () => {
    const port = (name: string, process?: string) => ({
      name,
      protocol: 'tcp' as const,
      port: 1,
      ...(process && { process }),
    });
    const first = rememberPorts(undefined, [port('tcp/22')], 0);
    expect(first.fresh).toEqual({});
    const second = rememberPorts(first, [port('tcp/22'), port('tcp/99', 'nc')], 1_000);
    expect(second.fresh).toEqual({ 'tcp/99': { since: 1_000, process: 'nc' } });
    expect(rememberPorts(second, [port('tcp/22'), port('tcp/99')], 2_000).fresh).toEqual(second.fresh);
    expect(rememberPorts(second, [port('tcp/22')], 2_000).fresh).toEqual({});
    const settled = rememberPorts(second, [port('tcp/99')], 1_000 + portSettlesMs);
    expect(settled).toEqual({ known: ['tcp/22', 'tcp/99'], fresh: {} });
  });
});

describe('updates', () => {
  const apt = `Reading package lists...
Inst openssl [3.0.11-1] (3.0.17-1 Debian:12.12/oldstable, Debian-Security:12/oldstable-security [amd64])
Inst tzdata [2024a] (2025b Debian:12.12/oldstable-updates [all])
Inst libc6 [2.39-0ubuntu8] (2.39-0ubuntu8.6 Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security [amd64])
Inst new-pkg (1.0 Debian:12.12/oldstable [amd64])
Conf openssl (3.0.17-1 Debian:12.12/oldstable [amd64])
`;

  test('of apt: security by origin, never by the word stable', () => {
    expect(parseUpdates(apt)).toEqual({ total: 4, security: ['openssl 3.0.17-1', 'libc6 2.39-0ubuntu8.6'] });
  });

  test('get older while they wait, also when a newer version comes', () => {
    const day = 86_400_000;
    const limits = { warningMs: 3 * day, criticalMs: 14 * day };
    const first = rememberUpdates(undefined, { total: 1, security: ['openssl 1'] }, 0);
    const later = rememberUpdates(first, { total: 1, security: ['openssl 2'] }, 4 * day);
    expect(observeUpdates(first, day, limits).reading).toMatchObject({ ok: false, severity: 'info' });
    expect(observeUpdates(later, 4 * day, limits).reading).toMatchObject({ ok: false, severity: 'warning' });
    expect(observeUpdates(later, 15 * day, limits)).toMatchObject({
      reading: { severity: 'critical' },
      summary: '1 security update pending for 15 days: openssl',
    });
    const none = rememberUpdates(later, { total: 0, security: [] }, 16 * day);
    expect(observeUpdates(none, 16 * day, limits).reading).toMatchObject({ ok: true });
  });
});

describe('the clock', () => {
  test.each([
    ['NTP=yes\nNTPSynchronized=no\n', { isSynchronised: false, isWanted: true }],
    ['NTP=no\nNTPSynchronized=yes\n', { isSynchronised: true, isWanted: false }],
    [
      'A1B2C3D4,ntp.example,2,1795188107.1,0.0001,0.0,0.0,1.0,0.0,0.1,0.01,0.001,64.1,Normal',
      { isSynchronised: true, isWanted: true },
    ],
    [
      '7F7F0101,,10,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,Not synchronised',
      { isSynchronised: false, isWanted: true },
    ],
    ['Failed to query server', undefined],
  ])('%#', (text, state) => {
    expect(readSynchronisation(text)).toEqual(state);
  });
});
