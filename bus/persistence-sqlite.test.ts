import assert from 'node:assert/strict';
import looseAssert from 'node:assert';
import { createRequire } from 'node:module';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { queueBounds } from './outgoing-queue.ts';
import { SqlitePersistence } from './persistence-sqlite.ts';
import { silentLog } from '../test/parts/broker.ts';

let folder = '';
let files = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lares-persistence-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function freshFile(): string {
  files += 1;
  return join(folder, `${files}.db`);
}

/** What the suite needs of a test context of node:test. */
function suiteContext(): { context: object; check: () => void } {
  let planned: number | undefined;
  let made = 0;
  const counted = new Proxy(looseAssert, {
    get: (target, name) => {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== 'function') return method;
      return (...values: unknown[]): unknown => {
        made += 1;
        return Reflect.apply(method, target, values);
      };
    },
  });
  const plan = (count: number): void => {
    planned = count;
  };
  return {
    context: { assert: counted, plan, diagnostic: () => undefined },
    check: () => assert.equal(made, planned ?? made, 'as many assertions as planned'),
  };
}

describe('the conformance suite of aedes-persistence', () => {
  const suite = createRequire(import.meta.url)('aedes-persistence/abstract.js') as (options: object) => void;
  suite({
    testAsync: true,
    persistence: () => new SqlitePersistence(freshFile(), silentLog),
    test: (name: string, run: (context: object) => Promise<void>) => {
      it(`keeps: ${name}`, async () => {
        const { context, check } = suiteContext();
        await run(context);
        check();
        expect(context).toBeDefined();
      });
    },
  });
});

async function opened(file: string): Promise<SqlitePersistence> {
  const persistence = new SqlitePersistence(file, silentLog);
  await persistence.setup({ id: 'broker', counter: 0 });
  return persistence;
}

function packet(text: string): { topic: string; payload: Buffer; qos: number; retain: boolean } {
  return { topic: 'lares/home/freeze', payload: Buffer.from(text), qos: 1, retain: true };
}

async function payloads(stream: AsyncIterable<{ payload: Buffer }>): Promise<string[]> {
  const texts: string[] = [];
  for await (const { payload } of stream) texts.push(payload.toString());
  return texts;
}

describe('what was accepted', () => {
  it('is there when the file is opened again, in the order it came', async () => {
    const file = freshFile();
    const first = await opened(file);
    await first.addSubscriptions({ id: 'triage' }, [{ topic: 'lares/home/#', qos: 1 }]);
    for (const text of ['a', 'b', 'c']) {
      await new Promise<void>((resolve, reject) => {
        first.accept(packet(text), (error) => (error ? reject(error) : resolve()));
      });
    }
    // Not closed: what was called back is on the disk.
    const second = await opened(file);
    expect(await payloads(second.outgoingStream({ id: 'triage' }))).toEqual(['a', 'b', 'c']);
    expect(await payloads(second.createRetainedStream('lares/+/freeze'))).toEqual(['c']);
    expect(await second.subscriptionsByClient({ id: 'triage' })).toMatchObject([{ topic: 'lares/home/#', qos: 1 }]);
    await first.destroy();
    await second.destroy();
  });

  it('is not queued twice when aedes stores it again', async () => {
    const persistence = await opened(freshFile());
    const subscriber = { clientId: 'triage' };
    await persistence.addSubscriptions({ id: 'triage' }, [{ topic: '#', qos: 1 }]);
    const accepted = packet('once');
    await new Promise<void>((resolve) => {
      persistence.accept(accepted, () => resolve());
    });
    await persistence.outgoingEnqueueCombi([subscriber], accepted);
    expect(await payloads(persistence.outgoingStream({ id: 'triage' }))).toEqual(['once']);
    await persistence.destroy();
  });
});

it('a queue is bounded and keeps the newest', async () => {
  const persistence = await opened(freshFile());
  const big = Buffer.alloc(queueBounds.bytes / 4, 'x');
  for (let counter = 1; counter <= 6; counter += 1) {
    await persistence.outgoingEnqueue(
      { clientId: 'a' },
      {
        ...packet(''),
        payload: Buffer.concat([big, Buffer.from(String(counter))]),
        brokerId: 'b',
        brokerCounter: counter,
      },
    );
  }
  const kept = (await payloads(persistence.outgoingStream({ id: 'a' }))).map((text) => text.at(-1));
  expect(kept).toEqual(['4', '5', '6']);
  await persistence.destroy();
});

it('an acknowledgement on a new connection removes no message that was sent on the old one', async () => {
  const persistence = await opened(freshFile());
  await persistence.outgoingEnqueue({ clientId: 'a' }, { ...packet('old'), brokerId: 'b', brokerCounter: 1 });
  await persistence.outgoingUpdate({ id: 'a' }, { ...packet('old'), brokerId: 'b', brokerCounter: 1, messageId: 7 });
  persistence.forgetMessageIds('a');
  expect(await persistence.outgoingClearMessageId({ id: 'a' }, { ...packet(''), messageId: 7 })).toBeUndefined();
  expect(await payloads(persistence.outgoingStream({ id: 'a' }))).toEqual(['old']);
  await persistence.destroy();
});
