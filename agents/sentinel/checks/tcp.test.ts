import { TLSSocket } from 'node:tls';
import { describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { createAuthority, hasOpenssl } from '../../../test/parts/certificates.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { freePort } from '../../../test/parts/free-port.ts';
import { startTcpTarget } from '../../../test/parts/tcp-target.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './tcp.ts';

kindContract(check, (port) => ({ address: '127.0.0.1', port, expect: '^never$' }));

async function look(port: number, more: object = {}): Promise<Observation> {
  const options = check.options.parse({ address: '127.0.0.1', port, giveUpAfter: '2s', ...more });
  const [observation, ...others] = await check.observe(options, checkContext());
  if (observation === undefined || others.length > 0) throw new Error('not exactly one observation');
  return observation;
}

describe('port-closed', () => {
  test('an open port is well', async () => {
    await using target = await startTcpTarget(() => undefined);
    expect(await look(target.port)).toMatchObject({
      condition: 'port-closed',
      resource: `127.0.0.1:${target.port}`,
      reading: { is: 'state', ok: true },
      summary: expect.stringMatching(/answered in \d+ ms$/),
    });
  });

  test('a closed one is not', async () => {
    expect(await look(await freePort())).toMatchObject({
      reading: { is: 'state', ok: false, severity: 'critical' },
      summary: expect.stringMatching(/does not answer: connection refused$/),
    });
  });

  test('a greeting is waited for, in pieces as well', async () => {
    await using target = await startTcpTarget((socket) => {
      socket.write('SSH-');
      setTimeout(() => socket.write('2.0-OpenSSH_9.2p1\r\n'), 30);
    });
    expect((await look(target.port, { expect: '^SSH-2' })).reading).toMatchObject({ ok: true });
  });

  test('another greeting is not well, and is shown as one short line', async () => {
    await using target = await startTcpTarget((socket) => socket.write(`\u001b[2J<b>${'x'.repeat(10_000)}\n`));
    const { reading, summary } = await look(target.port, { expect: '^SSH-2' });
    expect(reading).toMatchObject({ ok: false });
    expect(summary).toContain('[2J<b>xxx');
    expect(summary.length).toBeLessThan(250);
  });

  test.each<[string, RegExp]>([
    ['silence', /connected, but it says nothing within 200ms$/],
    ['a hang-up', /it hung up without a word$/],
  ])('%s instead of a greeting is not well', async (what, words) => {
    await using target = await startTcpTarget((socket) => (what === 'silence' ? undefined : socket.end()));
    expect((await look(target.port, { expect: 'x', giveUpAfter: '200ms' })).summary).toMatch(words);
  });
});

describe('what answers only when it is spoken to, or behind TLS', () => {
  test('is spoken to', async () => {
    await using target = await startTcpTarget((socket) => {
      socket.on('data', (chunk) => socket.write(chunk.toString() === 'PING\r\n' ? '+PONG\r\n' : '-ERR\r\n'));
    });
    expect((await look(target.port, { say: 'PING\r\n', expect: '^\\+PONG' })).reading).toMatchObject({ ok: true });
    expect((await look(target.port, { say: 'QUIT\r\n', expect: '^\\+PONG' })).summary).toContain('it says "-ERR"');
  });

  test.skipIf(!hasOpenssl)('is heard through TLS, whatever its certificate (needs openssl)', async () => {
    using authority = createAuthority();
    const keys = authority.issueSelfSigned('imap.example');
    await using target = await startTcpTarget((socket) => {
      const secured = new TLSSocket(socket, { isServer: true, ...keys });
      secured.on('error', () => socket.destroy());
      secured.write('* OK ready\r\n');
    });
    expect((await look(target.port, { tls: true, expect: '^\\* OK' })).reading).toMatchObject({ ok: true });
    expect((await look(target.port, { tls: true })).reading).toMatchObject({ ok: true });
  });

  test('a port that accepts and does no TLS is not well', async () => {
    await using target = await startTcpTarget((socket) => socket.write('220 plain\r\n'));
    expect(await look(target.port, { tls: true })).toMatchObject({
      reading: { ok: false },
      summary: expect.stringMatching(/does not answer: TLS failed/),
    });
  });
});

test('the time of an answer is a level where somebody asks for it', async () => {
  await using target = await startTcpTarget(() => undefined);
  const options = check.options.parse({
    address: '127.0.0.1',
    port: target.port,
    slowAfter: '1s',
    verySlowAfter: '3s',
  });
  expect(await check.observe(options, checkContext())).toMatchObject([
    { condition: 'port-closed', reading: { ok: true } },
    { condition: 'port-slow', reading: { is: 'level', warning: { trigger: 1_000 }, critical: { trigger: 3_000 } } },
  ]);
});

test('evidence has what it said before and what else answers there', async () => {
  const context = checkContext();
  let port = 0;
  {
    await using target = await startTcpTarget((socket) => socket.write('SSH-2.0-OpenSSH_9.2p1\r\n'));
    port = target.port;
    const options = check.options.parse({ address: '127.0.0.1', port, expect: '^SSH-' });
    expect(await check.observe(options, context)).toMatchObject([{ reading: { ok: true } }]);
  }
  const options = check.options.parse({ address: '127.0.0.1', port, expect: '^SSH-' });
  const [closed] = await check.observe(options, context);
  const evidence = closed === undefined ? [] : await check.evidence.gather(options, context, closed);
  expect(evidence.find(({ title }) => title.startsWith('What else'))?.lines).toContain(
    `port ${port}: connection refused`,
  );
  expect(evidence.at(-1)?.lines).toEqual(['SSH-2.0-OpenSSH_9.2p1']);
});

describe('host-down', () => {
  test('a refused connection is a sign of life', async () => {
    const observation = await look(await freePort(), { condition: 'host-down' });
    expect(observation).toMatchObject({ condition: 'host-down', reading: { is: 'state', ok: true } });
    expect(observation.summary).toMatch(/is there: connection refused/);
  });

  test('a look that is called off ends at once', async () => {
    await using target = await startTcpTarget(() => undefined);
    const stopping = new AbortController();
    const options = check.options.parse({ address: '127.0.0.1', port: target.port, expect: 'x' });
    const looking = check.observe(options, checkContext({ signal: stopping.signal }));
    stopping.abort(new Error('stopped'));
    await expect(looking).rejects.toThrow('stopped');
  });
});
