import { decode, encode, type Answer } from 'dns-packet';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { type BindPair, startBindPair } from '../../../test/parts/bind.ts';
import { type Authority, createAuthority } from '../../../test/parts/certificates.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { startDatagramTarget } from '../../../test/parts/datagram-target.ts';
import { freePort } from '../../../test/parts/free-port.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { startUnbound, type Unbound } from '../../../test/parts/unbound.ts';
import { problems } from '../../../test/parts/problems.ts';
import { check } from './dns.ts';

const loopback = (port: number): string => `127.0.0.1:${port}`;
kindContract(check, (port) => ({ server: loopback(port), name: 'www.lab.test', transport: 'tcp' }));

const dayMs = 86_400_000;

async function look(options: object): Promise<Observation[]> {
  const found = await check.observe(check.options.parse({ giveUpAfter: '10s', ...options }), checkContext());
  expect(faultsOf(found)).toEqual([]);
  return found;
}

/** The problem of a look, with the port of the server left out; how fast it was depends on what else this machine does. */
async function problemOf(options: object): Promise<string> {
  const found = await look(options);
  return problems(found.filter(({ condition }) => condition !== 'dns-slow'))
    .join(' | ')
    .replaceAll(/127\.0\.0\.1:\d+/g, 'SERVER');
}

describeWith(['named'], 'a zone of BIND', () => {
  let pair: BindPair;
  beforeAll(async () => {
    pair = await startBindPair();
  });
  afterAll(() => pair[Symbol.asyncDispose]());

  const ask = (options: object): Promise<string> => problemOf({ server: pair.primary, recursion: false, ...options });

  test.each<object>([
    { name: 'www.lab.test', values: ['192.0.2.10'] },
    { name: 'WWW.Lab.TEST.', values: ['192.0.2.10'] },
    { name: 'two.lab.test', values: ['192.0.2.2', '192.0.2.1'] },
    { name: 'two.lab.test', contains: ['192.0.2.2'], atLeast: 2 },
    { name: 'alias.lab.test', values: ['192.0.2.10'] },
    { name: 'six.lab.test', type: 'AAAA', values: ['2001:0DB8:0:0::1'] },
    { name: 'lab.test', type: 'MX', values: ['10 mail.lab.test'] },
    { name: '_imap._tcp.lab.test', type: 'SRV', values: ['0 5 143 Mail.lab.test.'] },
    { name: 'note.lab.test', type: 'TXT', values: ['v=spf1 -all'] },
    { name: 'lab.test', type: 'CAA', values: ['0 issue letsencrypt.org'] },
    { name: 'none.lab.test', missing: true },
    { name: 'www.lab.test', transport: 'tcp', values: ['192.0.2.10'] },
  ])('%j is well', async (options) => {
    expect(await ask(options)).toBe('');
  });

  test.each<[object, string]>([
    [{ name: 'www.lab.test', values: ['192.0.2.11'] }, 'www.lab.test is 192.0.2.10, not 192.0.2.11'],
    [{ name: 'two.lab.test', values: ['192.0.2.1'] }, 'two.lab.test is 192.0.2.1, 192.0.2.2, not 192.0.2.1'],
    [{ name: 'www.lab.test', contains: ['192.0.2.9'] }, 'www.lab.test is 192.0.2.10, without 192.0.2.9'],
    [{ name: 'www.lab.test', atLeast: 2 }, 'www.lab.test has 1 A record, fewer than 2'],
    [{ name: 'www.lab.test', type: 'AAAA' }, 'www.lab.test has 0 AAAA records, fewer than 1'],
    [{ name: 'none.lab.test' }, 'none.lab.test gives NXDOMAIN, the name does not exist'],
    [{ name: 'www.lab.test', missing: true }, 'www.lab.test must not exist, and is 192.0.2.10'],
    [{ name: 'www.other.test' }, 'www.other.test gives REFUSED, it does not answer us'],
  ])('%j is wrong', async (options, words) => {
    expect(await ask(options)).toBe(`critical dns-wrong: SERVER: ${words}`);
  });

  test('what does not fit into a datagram is fetched over TCP', async () => {
    expect(await ask({ name: 'long.lab.test', type: 'TXT', contains: [] })).toBe('');
    const evidence = await check.evidence.gather(
      check.options.parse({ server: pair.primary, name: 'long.lab.test', type: 'TXT' }),
      checkContext({ host: undefined }),
      { condition: 'dns-wrong', resource: 'x', summary: 'x', reading: { is: 'unknown', reason: 'x' } },
    );
    expect(evidence[0]?.lines.slice(0, 2)).toEqual([
      expect.stringMatching(/^status NOERROR, flags qr aa rd, \d+ ms over tcp$/),
      expect.stringMatching(/^answer: long\.lab\.test\. 60 TXT 0{200}1+…$/),
    ]);
  });

  test('how long it took is a level with its limit', async () => {
    const found = await look({ server: pair.primary, name: 'www.lab.test', slowAfter: '800ms' });
    expect(found.find(({ condition }) => condition === 'dns-slow')?.reading).toMatchObject({
      is: 'level',
      unit: 'ms',
      warning: { trigger: 800 },
    });
  });
});

describeWith(['unbound', 'openssl'], 'a resolver with a blocklist and DNS over TLS', () => {
  let authority: Authority;
  let resolver: Unbound;
  beforeAll(async () => {
    authority = createAuthority();
    resolver = await startUnbound(authority.issue({ name: 'dns.home.test', notAfter: Date.now() + 60 * dayMs }));
  });
  afterAll(async () => {
    await resolver[Symbol.asyncDispose]();
    authority[Symbol.dispose]();
  });

  test.each<[string, boolean, string]>([
    ['x.ads.test', true, ''],
    ['x.track.test', true, ''],
    ['nas.home.test', false, ''],
    ['nas.home.test', true, 'nas.home.test is not blocked: it is 192.0.2.5'],
    ['x.ads.test', false, 'x.ads.test is blocked and must not be: it gives NXDOMAIN, the name does not exist'],
    ['x.track.test', false, 'x.track.test is blocked and must not be: it is 0.0.0.0'],
    ['x.closed.test', true, 'x.closed.test gives REFUSED, it does not answer us'],
  ])('%s, blocked %s', async (name, blocked, words) => {
    const expected = words === '' ? '' : `warning blocklist-wrong: SERVER: ${words}`;
    expect(await problemOf({ server: resolver.plain, name, blocked })).toBe(expected);
  });

  test('a server that drops the question is down', async () => {
    expect(await problemOf({ server: resolver.plain, name: 'x.broken.test', giveUpAfter: '300ms' })).toBe(
      'critical dns-down: SERVER does not answer: no answer within 300ms',
    );
  });

  test('over TLS the certificate is judged beside the answer', async () => {
    const options = { server: resolver.tls, name: 'nas.home.test', transport: 'tls', tlsName: 'dns.home.test' };
    const found = await look({ ...options, caFile: authority.caFile, values: ['192.0.2.5'] });
    expect(problems(found)).toEqual([]);
    const lifetime = found.find(({ condition }) => condition === 'certificate-expiring');
    expect(lifetime?.reading).toMatchObject({ is: 'level', unit: 'd', warning: { trigger: 14 } });
    expect(await problemOf(options)).toContain('critical certificate-invalid: SERVER: bad certificate:');
    expect(await problemOf({ ...options, caFile: authority.caFile, tlsName: 'other.test' })).toMatch(
      /^critical certificate-invalid: .* it is for another name: DNS:dns\.home\.test$/,
    );
  });

  test('a validated answer is asked for and its absence told', async () => {
    expect(await problemOf({ server: resolver.plain, name: 'nas.home.test', dnssec: true })).toBe(
      'warning dnssec-unverified: SERVER did not validate the answer for nas.home.test',
    );
  });
});

const address: Answer = { type: 'A', name: 'www.lab.test', ttl: 1, data: '192.0.2.1' };

function replyTo(query: Buffer, more: { id?: number; name?: string; flags?: number } = {}): Buffer {
  const { id = 0 } = decode(query);
  const questions = [{ type: 'A' as const, name: more.name ?? 'www.lab.test' }];
  return encode({ type: 'response', id: more.id ?? id, flags: more.flags ?? 0, questions, answers: [address] });
}

describe('what comes back over UDP', () => {
  const options = { name: 'www.lab.test', giveUpAfter: '600ms' };

  test('a forged id is passed over until the true answer comes', async () => {
    await using server = await startDatagramTarget((query) => [
      replyTo(query, { id: (decode(query).id ?? 0) ^ 1 }),
      Buffer.from('x'),
      replyTo(query),
    ]);
    expect(await problemOf({ ...options, server: loopback(server.port) })).toBe('');
  });

  test('an answer to another question is none', async () => {
    await using server = await startDatagramTarget((query) => replyTo(query, { name: 'evil.test' }));
    expect(await problemOf({ ...options, server: loopback(server.port) })).toMatch(
      /^unknown dns-down .*: its answer is to another question: evil\.test A$/,
    );
  });

  test('a lost datagram is sent again', async () => {
    let asked = 0;
    await using server = await startDatagramTarget((query) => (asked++ === 0 ? undefined : replyTo(query)));
    expect(await problemOf({ ...options, server: loopback(server.port), giveUpAfter: '3s' })).toBe('');
    expect(server.received.length).toBeGreaterThan(1);
  });

  test('every question has an id of its own', async () => {
    await using server = await startDatagramTarget((query) => replyTo(query));
    for (let turn = 0; turn < 5; turn += 1) await look({ ...options, server: loopback(server.port) });
    expect(new Set(server.received.map((query) => query.readUInt16BE(0))).size).toBeGreaterThan(1);
  });

  test('a closed port is told at once', async () => {
    expect(await problemOf({ ...options, server: loopback(await freePort()), giveUpAfter: '5s' })).toBe(
      'critical dns-down: SERVER does not answer: connection refused',
    );
  });

  test('the answer of DNSSEC is read from its flag', async () => {
    await using server = await startDatagramTarget((query) => replyTo(query, { flags: 0x20 }));
    expect(await problemOf({ ...options, server: loopback(server.port), dnssec: true })).toBe('');
  });
});

describe('the options', () => {
  test.each(['10.0.0.53', '10.0.0.53:5353', 'dns.lan', '[fd00::53]:53', 'fd00::53'])('%s is a server', (server) => {
    expect(check.options.safeParse({ server, name: 'a.test' }).success).toBe(true);
  });

  test.each(['', 'a b', 'x:99999', '-x', 'http://x', 'x:'])('%j is none', (server) => {
    expect(check.options.safeParse({ server, name: 'a.test' }).success).toBe(false);
  });

  test.each(['', 'a..b', `${'a'.repeat(64)}.test`, 'a b', '-a'])('%j is no name', (name) => {
    expect(check.options.safeParse({ server: 'x', name }).success).toBe(false);
  });
});
