import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigSchema } from '#config/schema.ts';
import { localRunner } from '#agents/runtime/local-command.ts';
import { checkContext, ending } from '../../test/parts/check-context.ts';
import { FakeCommands } from '../../test/parts/fake-commands.ts';
import { sectionsText } from '../../test/parts/host-sections.ts';
import { HostChanges } from './changes.ts';
import type { CheckContext } from './check.ts';
import { changeScript } from './probes/change-script.ts';
import { changeLines, parseChanges } from './probes/changes.ts';
import { splitSections } from './probes/sections.ts';

const onset = Date.parse('2026-11-20T12:00:00Z');
const stop = new AbortController().signal;

function journal(at: string, fields: Record<string, string>): string {
  return JSON.stringify({ __REALTIME_TIMESTAMP: String(Date.parse(at) * 1_000), MESSAGE: 'x', ...fields });
}

/** A Debian host an hour east of UTC. */
const parts = {
  time: `${onset / 1_000} +0100`,
  uptime: '7200.50 1.0',
  dpkg: `2026-11-19 09:00:00 upgrade bash:amd64 5.2 5.2.1
2026-11-20 12:58:01 upgrade libssl3:amd64 3.0.11 3.0.13
2026-11-20 12:58:02 upgrade openssl:amd64 3.0.11 3.0.13
2026-11-20 12:57:00 remove wazuh-manager:amd64 4.14.0-1 <none>
2026-11-20 14:00:00 install later:amd64 <none> 1.0`,
  apt: 'Start-Date: 2026-11-20  12:56:59\nCommandline: apt-get install wazuh-agent\nRequested-By: ada (1000)',
  units: [
    journal('2026-11-20T11:59:30Z', { MESSAGE_ID: '39f53479d3a045ac8e11786248231fbf', UNIT: 'nginx.service' }),
    journal('2026-11-20T11:40:00Z', { MESSAGE_ID: 'd9b373ed55a64feb8242e02dbe79a49c', UNIT: 'gate.service' }),
    journal('2026-11-20T11:20:00Z', { MESSAGE_ID: 'd9b373ed55a64feb8242e02dbe79a49c', UNIT: 'long-before.service' }),
    journal('2026-11-20T11:59:00Z', { MESSAGE_ID: '39f53479d3a045ac8e11786248231fbf', UNIT: 'session-3.scope' }),
    journal('2026-11-20T11:59:58Z', {
      MESSAGE_ID: '39f53479d3a045ac8e11786248231fbf',
      UNIT: 'systemd-timedated.service',
    }),
    journal('2026-11-20T11:30:00Z', { MESSAGE_ID: '8d45620c1a4348dbb17410da57c60c66', USER_ID: 'ada' }),
    journal('2026-11-20T11:59:59Z', { MESSAGE_ID: '8d45620c1a4348dbb17410da57c60c66', USER_ID: 'lares' }),
  ].join('\n'),
  containers: `${onset / 1_000 - 20} die web 137\n${onset / 1_000 - 10} start web `,
  etc: `${onset / 1_000 - 3_600}.123 /etc/nginx/nginx.conf\n${onset / 1_000 - 60}.1 /etc/resolv.conf\n${onset / 1_000 - 50} /etc/lvm/backup/pve\n${onset / 1_000 - 40} /etc/shadow-`,
};

function linesOf(text: string, ignored: string[] = ['lares']): string[] {
  return changeLines(parseChanges(splitSections(text), ignored), onset).lines;
}

describe('what changed', () => {
  test('is told newest first, within its time, with packages of one minute in one line', () => {
    expect(linesOf(sectionsText(parts))).toEqual([
      '2026-11-20T11:59:50Z (10s before) container web started',
      '2026-11-20T11:59:40Z (20s before) container web ended with status 137',
      '2026-11-20T11:59:30Z (30s before) nginx.service started',
      '2026-11-20T11:58:02Z (1m58s before) 2 packages upgraded: libssl3, openssl',
      '2026-11-20T11:57:00Z (3m before) package wazuh-manager removed (4.14.0-1)',
      '2026-11-20T11:56:59Z (3m1s before) apt ran: apt-get install wazuh-agent',
      '2026-11-20T11:40:00Z (20m before) gate.service failed',
      '2026-11-20T11:30:00Z (30m before) ada logged in',
      '2026-11-20T11:00:00Z (1h before) /etc/nginx/nginx.conf was changed',
      '2026-11-20T09:59:59Z (2h1s before) the system booted',
    ]);
  });

  test('a unit that starts again and again is one line a minute', () => {
    const units = [1, 2, 3].map((second) =>
      journal(`2026-11-20T11:59:0${second}Z`, { MESSAGE_ID: '39f53479d3a045ac8e11786248231fbf', UNIT: 'flap.service' }),
    );
    expect(linesOf(sectionsText({ time: parts.time, units: units.join('\n') }))).toEqual([
      '2026-11-20T11:59:03Z (57s before) flap.service started (3 times)',
    ]);
  });

  test('other distributions: pacman, rpm and generations of NixOS', () => {
    const text = sectionsText({
      time: parts.time,
      pacman: '[2026-11-20T12:00:00+0100] [ALPM] upgraded linux (6.17-1 -> 6.18-1)',
      rpm: `${onset / 1_000 - 600} kernel 6.12-1.fc43`,
      nix: `${onset / 1_000 - 300} /nix/var/nix/profiles/system-42-link`,
    });
    expect(linesOf(text)).toEqual([
      '2026-11-20T11:55:00Z (5m before) NixOS generation 42 was built',
      '2026-11-20T11:50:00Z (10m before) package kernel installed (6.12-1.fc43)',
      '2026-11-20T11:00:00Z (1h before) package linux upgraded (6.17-1 -> 6.18-1)',
    ]);
  });

  test('no text makes the parser throw, and what it makes is bounded', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom(...Object.keys(parts)), (text, part) => {
        const { lines } = changeLines(parseChanges(splitSections(sectionsText({ ...parts, [part]: text })), []), onset);
        expect(lines.length).toBeLessThanOrEqual(12);
      }),
    );
  });
});

describe('the host', () => {
  function hostContext(probe: CheckContext['probe'], via: 'local' | 'ssh' = 'local'): CheckContext {
    const config = ConfigSchema.parse({ hosts: { box: { via } } }).hosts['box'];
    if (config === undefined) throw new Error('not configured');
    return checkContext({ probe, host: { name: 'box', config } });
  }

  test('is asked once for a storm of findings, and again a minute later', async () => {
    let asked = 0;
    let now = onset;
    const text = sectionsText({ ...parts, done: '' });
    const probe: CheckContext['probe'] = {
      run: () => {
        asked += 1;
        return Promise.resolve({ end: 'exited', code: 0, output: { stdout: text, stderr: '', truncated: false } });
      },
    };
    const context = hostContext(probe);
    const withClock = { ...context, clock: { ...context.clock, now: () => now } };
    const changes = new HostChanges();
    const found = await Promise.all(Array.from({ length: 50 }, () => changes.before(onset, withClock, stop)));
    expect(asked).toBe(1);
    expect(found[49]?.[0]).toMatchObject({ kind: 'change', title: 'What changed in the 24 hours before' });
    now += 61_000;
    await changes.before(onset, withClock, stop);
    expect(asked).toBe(2);
  });

  test('that does not answer, or that nobody may log in to, changed nothing that is known', async () => {
    const changes = new HostChanges();
    expect(await changes.before(onset, hostContext(ending({ end: 'unreachable', reason: 'no route' })), stop)).toEqual(
      [],
    );
    const closed = hostContext({ run: () => Promise.reject(new Error('asked')) }, 'ssh');
    expect(await changes.before(onset, closed, stop)).toEqual([]);
  });

  test('this machine runs the script to its end in bounded time', async () => {
    using fakes = new FakeCommands({ docker: 'sleep 60', journalctl: 'sleep 60' });
    const argv = ['sh', '-c', `${changeScript}part done true\n`, 'sh'];
    const [real, hung] = await Promise.all(
      [localRunner, fakes.probe].map((probe) =>
        probe.run(argv, { timeoutMs: 15_000, signal: stop, maximumOutputBytes: 524_288 }),
      ),
    );
    for (const end of [real, hung]) {
      expect(end?.end === 'exited' && splitSections(end.output.stdout).has('done')).toBe(true);
    }
  });
});
