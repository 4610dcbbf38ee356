import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { sectionsText } from '../../../test/parts/host-sections.ts';
import { namedProblems } from '../../../test/parts/problems.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './listening-ports.ts';

kindContract(check, () => ({}));

const hour = 3_600_000;

/** ss 6.1 on Debian 12, as root and with control groups. */
const ssh = 'tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=500,fd=3)) cgroup:/system.slice/ssh.service';
const ssh6 = 'tcp LISTEN 0 128 [::]:22 [::]:* users:(("sshd",pid=500,fd=4)) cgroup:/system.slice/ssh.service';
const lapi = 'tcp LISTEN 0 4096 127.0.0.1:8080 0.0.0.0:* users:(("crowdsec",pid=9,fd=7))';
const dns = 'udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:*';
const netcat = 'tcp LISTEN 0 1 *:4444 *:* users:(("nc",pid=77,fd=3))';

function watcher(options: object = {}) {
  const context = checkContext();
  const parsed = check.options.parse(options);
  return (lines: string[], now = 0): Promise<Observation[]> =>
    check.observe(parsed, {
      ...context,
      probe: answering(sectionsText({ sockets: lines.join('\n'), done: '' })),
      clock: { ...context.clock, now: () => now },
    });
}

describe('without a list', () => {
  test('the first look is usual, and says what is open', async () => {
    const found = await watcher()([ssh, ssh6, lapi, dns]);
    expect(namedProblems(found)).toEqual([]);
    expect(found[0]?.summary).toBe('1 port open to others: 22/tcp (sshd)');
  });

  test('a new one is told with its program until it is closed', async () => {
    const look = watcher();
    await look([ssh]);
    const found = await look([ssh, netcat], hour);
    expect(namedProblems(found)).toEqual([
      'warning port-new 4444/tcp: 4444/tcp (nc) is newly open to others on *; usual after 1d',
    ]);
    expect(found.at(-1)).toMatchObject({ labels: { port: '4444', protocol: 'tcp', process: 'nc' }, holdMs: 0 });
    expect(namedProblems(await look([ssh], 2 * hour))).toEqual([]);
  });

  test('one that stays for a day is usual, and never with 0s', async () => {
    const look = watcher();
    const strict = watcher({ quietAfter: '0s' });
    for (const each of [look, strict]) {
      await each([ssh]);
      await each([ssh, netcat], hour);
    }
    expect(namedProblems(await look([ssh, netcat], 25 * hour))).toEqual([]);
    expect(namedProblems(await strict([ssh, netcat], 9_000 * hour))).toHaveLength(1);
  });

  test('a program on the port of another is told, one that cannot be read is not', async () => {
    const look = watcher();
    await look([ssh]);
    expect(namedProblems(await look(['tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*'], hour))).toEqual([]);
    expect(namedProblems(await look([ssh.replace('sshd', 'nc')], 2 * hour))).toEqual([
      'warning port-taken 22/tcp: 22/tcp belongs to nc now, no longer to sshd',
    ]);
  });

  test('what moved from loopback to all addresses is new', async () => {
    const look = watcher();
    await look([ssh, lapi]);
    expect(namedProblems(await look([ssh, lapi.replace('127.0.0.1', '0.0.0.0')], hour))[0]).toContain(
      '8080/tcp (crowdsec)',
    );
  });

  test('a program that takes any free port may take another after a restart', async () => {
    const look = watcher();
    const mountd = (port: number): string =>
      `tcp LISTEN 0 64 0.0.0.0:${port} 0.0.0.0:* users:(("rpc.mountd",pid=4,fd=3))`;
    await look([mountd(41_234)]);
    expect(namedProblems(await look([mountd(53_111)], hour))).toEqual([]);
  });

  test('the high UDP port of a client that waits for its answer is none', async () => {
    const look = watcher();
    await look([ssh]);
    expect(namedProblems(await look([ssh, 'udp UNCONN 0 0 0.0.0.0:41641 0.0.0.0:*'], hour))).toEqual([]);
  });
});

describe('with lists', () => {
  test('what is not allowed is told from the first look on, for ever', async () => {
    const look = watcher({ allow: ['22/tcp sshd', '8000-8100/tcp'] });
    const lines = [ssh, netcat, lapi.replace('127.0.0.1', '0.0.0.0')];
    for (const now of [0, 9_000 * hour]) {
      expect(namedProblems(await look(lines, now))).toEqual([
        'warning port-new 4444/tcp: 4444/tcp (nc) is open to others on * and not allowed',
      ]);
    }
  });

  test('an allowed port with another program is not allowed; a unit counts as a program', async () => {
    expect(namedProblems(await watcher({ allow: ['22/tcp ssh'] })([ssh]))).toEqual([]);
    expect(namedProblems(await watcher({ allow: ['22/tcp dropbear'] })([ssh]))).toHaveLength(1);
  });

  test('the local API of CrowdSec open to others is critical', async () => {
    const look = watcher({ localOnly: ['*/tcp crowdsec'] });
    expect(namedProblems(await look([ssh, lapi]))).toEqual([]);
    expect(namedProblems(await look([ssh, lapi.replace('127.0.0.1', '[::]')]))).toContain(
      'critical port-exposed 8080/tcp: 8080/tcp (crowdsec) is for this host only and is open to others on ::',
    );
  });

  test('an expected port that nobody has is critical', async () => {
    const look = watcher({ expect: ['22/tcp', '443/tcp'] });
    expect(namedProblems(await look([ssh]))).toEqual(['critical port-missing 443/tcp: nothing listens on 443/tcp']);
  });

  test.each(['22', 'tcp/22', '70000/tcp', '9-1/tcp', '22/sctp', ''])('"%s" is no port', (text) => {
    expect(check.options.safeParse({ allow: [text] }).success).toBe(false);
  });
});

describeWith(['ss'], 'this machine', () => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  /** Below the ephemeral ports, where a program is known by its port. */
  async function listen(port = 20_000): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '0.0.0.0', () => resolve(true));
    return (await promise) ? port : listen(port + 1);
  }

  test('opens a port, and it is told with the program that has it', async () => {
    const context = checkContext();
    const options = check.options.parse({});
    await check.observe(options, context);
    const port = await listen();
    const fresh = (await check.observe(options, context)).find(({ resource }) => resource === `${port}/tcp`);
    expect(fresh).toMatchObject({ condition: 'port-new', labels: { port: String(port) } });
    const evidence = fresh === undefined ? [] : await check.evidence.gather(options, context, fresh);
    expect(evidence.flatMap(({ lines }) => lines).join('\n')).toContain(`:${port}`);
  });
});
