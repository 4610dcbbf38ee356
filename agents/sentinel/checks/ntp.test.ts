import { assert, property, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { readAnswer } from '#agents/sentinel/probes/sntp.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { startChrony } from '../../../test/parts/chrony.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { startDatagramTarget } from '../../../test/parts/datagram-target.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { told as toldOf } from '../../../test/parts/words.ts';
import { check } from './ntp.ts';

kindContract(check, (port) => ({ address: '127.0.0.1', port, giveUpAfter: '1s' }));

async function look(port: number, more: object = {}): Promise<Observation[]> {
  const options = check.options.parse({ address: '127.0.0.1', port, giveUpAfter: '10s', ...more });
  const found = await check.observe(options, checkContext());
  expect(faultsOf(found)).toEqual([]);
  return found;
}

const told = (found: readonly Observation[]): string[] => toldOf(found, [[/127\.0\.0\.1:\d+/g, 'SERVER']]);

describeWith(['chronyd'], 'a real chronyd', () => {
  test('that vouches for its time agrees with this machine', async () => {
    await using server = await startChrony(8);
    const found = await look(server.port);
    expect(told(found)).toEqual([
      'ok ntp-down: SERVER gives the time',
      'ok ntp-unsynchronised: SERVER: stratum 8, follows 127.127.1.1',
      expect.stringMatching(/^level clock-offset: the clock of this machine is \d+\.\d{3} s (behind|ahead of) SERVER$/),
    ]);
    const offset = found.at(-1)?.reading;
    // Half of the time that the answer took may be wrong, and a busy machine takes its time.
    expect(offset?.is === 'level' && offset.value).toBeLessThan(5);
    expect(told(await look(server.port, { stratumAtMost: 7 }))[1]).toMatch(/^warning .*: stratum above 7$/);
  });

  test('that follows nothing is not synchronised, and its time measures nothing', async () => {
    await using server = await startChrony();
    expect(told(await look(server.port))).toEqual([
      'ok ntp-down: SERVER gives the time',
      expect.stringMatching(/^(?:warning ntp-unsynchronised: .*)$/),
    ]);
  });
});

interface Reply {
  stratum?: number;
  leap?: number;
  aheadMs?: number;
  reference?: string;
  dispersionSeconds?: number;
  nonce?: Buffer;
}

const epochSeconds = 2_208_988_800;

function replyTo(request: Buffer, of: Reply = {}): Buffer {
  const reply = Buffer.alloc(48);
  reply.writeUInt8(((of.leap ?? 0) << 6) | 0x24, 0);
  reply.writeUInt8(of.stratum ?? 2, 1);
  reply.writeUInt32BE((of.dispersionSeconds ?? 0) * 0x1_0000, 8);
  reply.write(of.reference ?? 'GPS', 12, 'latin1');
  (of.nonce ?? request.subarray(40, 48)).copy(reply, 24);
  const now = (Date.now() + (of.aheadMs ?? 0)) / 1_000 + epochSeconds;
  for (const at of [32, 40]) {
    reply.writeUInt32BE(Math.floor(now) % 0x1_0000_0000, at);
    reply.writeUInt32BE(Math.floor((now % 1) * 0x1_0000_0000), at + 4);
  }
  return reply;
}

describe('a server whose answer', () => {
  const answerOf = async (of: Reply): Promise<Observation[]> => {
    await using server = await startDatagramTarget((request) => replyTo(request, of));
    return await look(server.port);
  };

  test('is ahead by a minute is critical by that value', async () => {
    const found = (await answerOf({ aheadMs: 60_000 })).at(-1);
    expect(found?.summary).toMatch(/^the clock of this machine is \d\d\.\d{3} s behind/);
    expect(found?.reading).toMatchObject({ is: 'level', critical: { trigger: 10 } });
  });

  test.each<[string, Reply, string]>([
    [
      'wants to be left alone',
      { stratum: 0, reference: 'RATE' },
      'unknown ntp-down: cannot look at SERVER: it wants to be left alone (RATE)',
    ],
    [
      'says it is not synchronised',
      { leap: 3 },
      'warning ntp-unsynchronised: SERVER: stratum 2, follows 71.80.83.0: it says that it is not synchronised',
    ],
    [
      'is at stratum 16',
      { stratum: 16 },
      'warning ntp-unsynchronised: SERVER: stratum 16, follows 71.80.83.0: stratum above 10',
    ],
    [
      'is unsure of itself',
      { dispersionSeconds: 20 },
      'warning ntp-unsynchronised: SERVER: stratum 2, follows 71.80.83.0: it is unsure of its time by 20.0 s',
    ],
  ])('%s', async (_what, of, words) => {
    expect(told(await answerOf(of)).at(-1)).toBe(words);
  });

  test('is forged does not count', async () => {
    await using server = await startDatagramTarget((request) => [
      replyTo(request, { nonce: Buffer.alloc(8), aheadMs: 1e9 }),
      Buffer.from('x'),
      replyTo(request),
    ]);
    expect((await look(server.port)).at(-1)?.reading).toMatchObject({ is: 'level' });
    expect((await look(server.port)).at(-1)?.summary).toMatch(/ 0\.0\d\d s /);
  });
});

test('after 2036 the time of the second era is read as such', () => {
  const at = Date.UTC(2037, 0, 1);
  const reply = Buffer.alloc(48);
  reply.writeUInt8(0x24, 0);
  reply.writeUInt8(2, 1);
  for (const field of [32, 40]) reply.writeUInt32BE((at / 1_000 + epochSeconds) % 0x1_0000_0000, field);
  expect(readAnswer(reply, { sentAt: at, arrivedAt: at })).toMatchObject({ answer: { offsetMs: 0 } });
});

test('any datagram is read without an error', () => {
  assert(
    property(uint8Array({ maxLength: 80 }), (bytes) => {
      const read = readAnswer(Buffer.from(bytes), { sentAt: 0, arrivedAt: 1 });
      expect(read?.is !== 'answered' || Number.isFinite(read.answer.offsetMs)).toBe(true);
    }),
  );
});
