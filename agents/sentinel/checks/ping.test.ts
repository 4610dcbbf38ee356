import { networkInterfaces } from 'node:os';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CommandEnd } from '#agents/runtime/command.ts';
import type { Observation } from '#agents/sentinel/check.ts';
import { readPing } from '#agents/sentinel/probes/ping.ts';
import { answering, checkContext, ending } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './ping.ts';

// Asked on a host: loopback itself always answers, whatever its ports do.
kindContract(check, () => ({ address: '192.0.2.1', from: 'host', replyWithin: '1s' }));

const minute = 60_000;

function printed(stdout: string, code = 0, stderr = ''): CommandEnd {
  return { end: 'exited', code, output: { stdout, stderr, truncated: false } };
}

const iputils = `PING 10.0.0.9 (10.0.0.9) 56(84) bytes of data.
64 bytes from 10.0.0.9: icmp_seq=1 ttl=64 time=0.298 ms

--- 10.0.0.9 ping statistics ---
4 packets transmitted, 3 received, +1 duplicates, 25% packet loss, time 604ms
rtt min/avg/max/mdev = 0.039/0.168/0.298/0.129 ms
`;
const busybox = `PING 10.0.0.9 (10.0.0.9): 56 data bytes
64 bytes from 10.0.0.9: seq=0 ttl=64 time=0.125 ms

--- 10.0.0.9 ping statistics ---
3 packets transmitted, 3 packets received, 0% packet loss
round-trip min/avg/max = 0.072/0.105/0.125 ms
`;
const inetutils = `--- 10.0.0.9 ping statistics ---
3 packets transmitted, 3 packets received, 0% packet loss
round-trip min/avg/max/stddev = 0.030/0.046/0.062/0.000 ms
`;
const unreachable = `PING 10.0.0.9 (10.0.0.9) 56(84) bytes of data.
From 10.0.0.1 icmp_seq=1 Destination Host Unreachable

--- 10.0.0.9 ping statistics ---
3 packets transmitted, 0 received, +3 errors, 100% packet loss, time 2030ms
`;

describe('what ping says', () => {
  test.each([
    ['iputils, with duplicates', iputils, { sent: 4, received: 3, averageMs: 0.168 }],
    ['busybox', busybox, { sent: 3, received: 3, averageMs: 0.105 }],
    ['inetutils', inetutils, { sent: 3, received: 3, averageMs: 0.046 }],
    ['a router', unreachable, { sent: 3, received: 0, said: 'Destination Host Unreachable' }],
  ])('%s', (_what, text, wanted) => {
    expect(readPing(printed(text))).toMatchObject({ is: 'counted', ...wanted });
  });

  test.each<[string, CommandEnd, object]>([
    [
      'an unknown name',
      printed('', 2, 'ping: nas.invalid: Name or service not known\n'),
      { is: 'nameless', reason: 'nas.invalid: Name or service not known' },
    ],
    [
      'no permission',
      printed('', 2, 'ping: socktype: SOCK_RAW\nping: socket: Operation not permitted\n'),
      { is: 'unable', reason: expect.stringContaining('cap_net_raw') },
    ],
    ['no route', printed('', 2, 'ping: connect: Network is unreachable\n'), { is: 'unable' }],
    ['a silent resolver', printed('', 2, 'ping: x: Temporary failure in name resolution\n'), { is: 'unable' }],
    [
      'no program',
      { end: 'unreachable', reason: '"ping" is not installed' },
      { is: 'unable', reason: expect.stringContaining('install iputils-ping') },
    ],
  ])('%s', (_what, end, wanted) => {
    expect(readPing(end)).toMatchObject(wanted);
  });

  test('any text is bounded data', () => {
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom(iputils, busybox).map((one) => one.slice(20)),
    );
    fc.assert(
      fc.property(text, text, fc.integer({ min: 0, max: 2 }), (stdout, stderr, code) => {
        expect(JSON.stringify(readPing(printed(stdout, code, stderr))).length).toBeLessThan(700);
      }),
    );
  });
});

async function lookAt(more: object, context = checkContext()): Promise<Observation[]> {
  return check.observe(check.options.parse({ address: '10.0.0.9', from: 'host', ...more }), context);
}

describe('observations', () => {
  test('loss and time are levels of their own', async () => {
    const found = await lookAt({ slowAfter: '10ms' }, checkContext({ probe: answering(iputils) }));
    expect(found).toMatchObject([
      { condition: 'ping-lost', reading: { is: 'state', ok: true }, summary: '10.0.0.9 answers in 0.168 ms' },
      { condition: 'ping-loss', reading: { is: 'level', value: 25, warning: { trigger: 50 } } },
      { condition: 'ping-slow', reading: { is: 'level', value: 0.168, warning: { trigger: 10 } } },
    ]);
  });

  test('silence is a warning after 5 minutes and critical after 15, counted from its begin', async () => {
    const context = checkContext({ probe: answering(unreachable, { code: 1 }) });
    const at = (now: number) => lookAt({}, { ...context, clock: { ...context.clock, now: () => now } });
    const began = Date.now();
    expect(await at(began)).toMatchObject([
      { reading: { is: 'state', ok: false, severity: 'warning' }, holdMs: 5 * minute },
    ]);
    expect(await at(began + 15 * minute)).toMatchObject([
      {
        reading: { severity: 'critical' },
        summary: expect.stringContaining('for 15m: 3 echoes lost, Destination Host'),
      },
    ]);
    await lookAt({}, { ...context, probe: answering(iputils) });
    expect(await at(began + 20 * minute)).toMatchObject([{ reading: { severity: 'warning' } }]);
  });

  test('the reachability of a host is critical and waits no longer than any other', async () => {
    const [first] = await lookAt(
      { condition: 'host-down' },
      checkContext({ probe: answering(unreachable, { code: 1 }) }),
    );
    expect(first).toMatchObject({ condition: 'host-down', reading: { ok: false, severity: 'critical' } });
    expect(first?.holdMs).toBeUndefined();
  });

  test('a machine without ping leaves it unknown', async () => {
    const probe = ending({ end: 'unreachable', reason: '"ping" is not installed' });
    expect(await lookAt({}, checkContext({ probe }))).toMatchObject([{ reading: { is: 'unknown' } }]);
  });

  test('an address is never an option of ping', () => {
    const accepted = ['-f', '--', '$(id)', 'a b', ''].filter((address) => check.options.safeParse({ address }).success);
    expect(accepted).toEqual([]);
  });
});

describeWith(['ping'], 'the real ping', () => {
  const real = (more: object): Promise<Observation[]> => lookAt({ from: 'here', ...more });

  const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

  test.each(['127.0.0.1', 'localhost', ...(hasIpv6 ? ['::1'] : [])])('%s answers', async (address) => {
    expect(await real({ address })).toMatchObject([
      { condition: 'ping-lost', reading: { ok: true } },
      { condition: 'ping-loss', reading: { value: 0 } },
    ]);
  });

  test('an address that nobody can have is silent', async () => {
    const [first] = await real({ address: '240.0.0.1', count: 1 });
    // A machine without a default route cannot ask at all.
    expect(first?.reading.is === 'unknown' || (first?.reading.is === 'state' && !first.reading.ok)).toBe(true);
  });

  test('a name that does not exist is not well', async () => {
    const [first] = await real({ address: 'does-not-exist.invalid' });
    expect(first?.reading).not.toMatchObject({ ok: true });
  });

  test('evidence tells a dead service from a dead machine', async () => {
    const options = check.options.parse({ address: '127.0.0.1' });
    const observation = { condition: 'ping-lost', resource: '127.0.0.1', summary: 'x' } as Observation;
    const [nearby] = await check.evidence.gather(options, checkContext(), observation);
    expect(nearby).toMatchObject({ title: 'What else answers at 127.0.0.1' });
    expect(nearby?.lines[0]).toMatch(/^ping: answers in/);
    expect(nearby?.lines.some((line) => line.startsWith('port 443: '))).toBe(true);
  });
});
