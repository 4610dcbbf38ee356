import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Failure } from '#bus/failure.ts';
import { createLog } from '#agents/runtime/log.ts';
import { type Store, openStore } from '#agents/runtime/store.ts';
import { type VirtualClock, createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { MemoryChannel } from '../../../test/parts/memory-channel.ts';
import { type Card, DeliveryFailure } from '../channel.ts';
import { type Outbox, createOutbox } from './outbox.ts';
import { triageMigrations } from '../store/schema.ts';

let clock: VirtualClock;
let rows: Store;
let chat: MemoryChannel;
const running: Outbox[] = [];

beforeEach(() => {
  clock = createVirtualClock(Date.parse('2026-11-20T12:00:00Z'));
  rows = openStore({ path: ':memory:', migrations: triageMigrations });
  chat = new MemoryChannel('chat', clock);
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((outbox) => outbox.stop()));
  rows.close();
});

function open(refused: string[] = [], onDelivered = (): void => undefined, store: Store = rows): Outbox {
  const outbox = createOutbox({
    rows: store,
    channels: [chat],
    clock,
    log: createLog({ level: 'silent', name: 'test' }),
    onDelivered,
    onRefused: ({ key }) => void refused.push(key),
    timeText: (at) => new Date(at).toISOString().slice(11, 16),
  });
  outbox.start();
  running.push(outbox);
  return outbox;
}

function cardOf(title: string): { type: 'card'; card: Card; silent: boolean } {
  const card: Card = {
    incident: 'i1',
    state: 'firing',
    severity: 'critical',
    title,
    since: 0,
    endedAt: undefined,
    why: [],
    evidence: [],
    symptoms: [],
    assessment: undefined,
    plan: undefined,
    news: [],
    buttons: [],
  };
  return { type: 'card', card, silent: false };
}

describe('the outbox', () => {
  test('sends only the newest version of a card, however many there were', async () => {
    const outbox = open();
    for (const title of ['one', 'two', 'three']) outbox.card('i1', cardOf(title));
    outbox.wake();
    await clock.advance(1_000);
    expect(chat.deliveries.map(({ message }) => message.type === 'card' && message.card.title)).toEqual(['three']);
    expect(chat.sounds()).toBe(1);
  });

  test('edits in place, and the same content is no new version', async () => {
    const outbox = open();
    for (const title of ['one', 'two', 'two']) {
      outbox.card('i1', { ...cardOf(title), silent: title !== 'one' });
      outbox.wake();
      await clock.advance(1_000);
    }
    expect(chat.deliveries.map(({ previous }) => previous)).toEqual([undefined, 'chat-1']);
  });

  test('a send that was cut off before its record is sent again: a duplicate is better than a loss', async () => {
    const outbox = open();
    let asked = 0;
    chat.hold = () => {
      asked += 1;
      return new Promise(() => undefined);
    };
    outbox.card('i1', cardOf('one'));
    outbox.wake();
    await clock.advance(1_000);
    expect(asked).toBe(1);
    await outbox.stop();
    chat.hold = undefined;
    open();
    await clock.advance(1_000);
    expect(chat.deliveries).toHaveLength(1);
  });

  test('what was delivered while the disk was full is recorded when there is room, and not sent twice', async () => {
    let isFull = true;
    const outbox = open([], () => {
      if (isFull) throw new Failure('Cannot keep state: the disk is full', { recoverable: true });
    });
    outbox.card('i1', cardOf('one'));
    outbox.wake();
    await clock.advance(60_000);
    expect(outbox.length()).toBe(1);
    isFull = false;
    await clock.advance(5_000);
    expect(outbox.length()).toBe(0);
    expect(chat.deliveries).toHaveLength(1);
  });

  test('a store that cannot be read for a while delays what waits and ends nothing', async () => {
    let isBroken = true;
    const outbox = open([], undefined, {
      run: (sql, ...values) => rows.run(sql, ...values),
      get: (sql, ...values) => {
        if (isBroken) throw new Failure('Cannot keep state: it cannot be read', { recoverable: true });
        return rows.get(sql, ...values);
      },
      all: (sql, ...values) => rows.all(sql, ...values),
      transaction: (work) => rows.transaction(work),
      close: () => undefined,
    });
    outbox.card('i1', cardOf('one'));
    outbox.wake();
    await clock.advance(60_000);
    expect(chat.deliveries).toEqual([]);
    isBroken = false;
    await clock.advance(5_000);
    expect(chat.deliveries).toHaveLength(1);
  });

  test('a version that came while an older one was on its way is sent after it', async () => {
    const outbox = open();
    outbox.card('i1', cardOf('one'));
    chat.refuse = () => {
      chat.refuse = undefined;
      outbox.card('i1', { ...cardOf('two'), silent: true });
      return undefined;
    };
    outbox.wake();
    await clock.advance(1_000);
    expect(chat.deliveries.map(({ message }) => message.type === 'card' && message.card.title)).toEqual(['one', 'two']);
    expect(outbox.length()).toBe(0);
  });

  test('a message that was deleted in the chat is sent anew', async () => {
    const outbox = open();
    outbox.card('i1', cardOf('one'));
    outbox.wake();
    await clock.advance(1_000);
    chat.refuse = () => {
      chat.refuse = undefined;
      return new DeliveryFailure('message to edit not found', { recoverable: false });
    };
    outbox.card('i1', { ...cardOf('two'), silent: true });
    outbox.wake();
    await clock.advance(1_000);
    expect(chat.deliveries.map(({ previous }) => previous)).toEqual([undefined, undefined]);
  });

  test('a refusal for good is told once, and a late notice says when it was written', async () => {
    const refused: string[] = [];
    const outbox = open(refused);
    chat.refuse = () => new DeliveryFailure('chat not found', { recoverable: false });
    for (const title of ['one', 'two']) {
      outbox.card('i1', cardOf(title));
      outbox.wake();
      await clock.advance(1_000);
    }
    expect(refused).toEqual(['card:i1']);
    chat.refuse = () => new DeliveryFailure('no route', { recoverable: true });
    outbox.notice('n1', { type: 'notice', text: 'Hello', silent: true });
    outbox.wake();
    await clock.advance(10 * 60_000);
    chat.refuse = undefined;
    await clock.advance(2 * 60_000);
    expect(chat.notices()).toEqual(['(12:00) Hello']);
  });

  test('while a channel is shut all of it waits and is asked rarely, which is told once, and comes when it is open', async () => {
    const refused: string[] = [];
    const outbox = open(refused);
    let asked = 0;
    chat.refuse = () => {
      asked += 1;
      return new DeliveryFailure('blocked', { recoverable: true, retryAfterMs: 300_000, isShut: true });
    };
    outbox.card('i1', cardOf('one'));
    for (const key of ['n1', 'n2', 'n3']) outbox.notice(key, { type: 'notice', text: key, silent: true });
    outbox.wake();
    await clock.advance(299_000);
    expect([asked, refused]).toEqual([1, ['card:i1']]);
    await clock.advance(2 * 300_000);
    expect([asked, refused]).toEqual([3, ['card:i1']]);
    chat.refuse = undefined;
    await clock.advance(300_000);
    expect(chat.deliveries).toHaveLength(4);
    expect(outbox.length()).toBe(0);
  });

  test('a flood limit holds back every message of the channel, also one that is new', async () => {
    const outbox = open();
    let asked = 0;
    chat.refuse = () => {
      asked += 1;
      return new DeliveryFailure('429', { recoverable: true, retryAfterMs: 40_000 });
    };
    outbox.card('i1', cardOf('one'));
    outbox.wake();
    await clock.advance(1_000);
    for (let index = 0; index < 20; index += 1) {
      outbox.notice(`n${index}`, { type: 'notice', text: 'more', silent: false });
      outbox.wake();
      await clock.advance(1_000);
    }
    expect(asked).toBe(1);
    chat.refuse = undefined;
    await clock.advance(60_000);
    expect(chat.deliveries).toHaveLength(21);
  });

  test('the plan that was shown is known for each channel, and forgotten when the card shows it no more', async () => {
    const outbox = open();
    const plan = {
      id: 'p1',
      title: '',
      risk: 'low',
      commands: [],
      looks: [],
      rollback: [],
      digest: '',
      blastRadius: [],
      expiresAt: 0,
    };
    outbox.card('i1', { ...cardOf('one'), card: { ...cardOf('one').card, plan } });
    outbox.wake();
    expect(outbox.shownPlan('chat', 'i1')).toBeUndefined();
    await clock.advance(1_000);
    expect(outbox.shownPlan('chat', 'i1')).toBe('p1');
    expect(outbox.shownPlan('other', 'i1')).toBeUndefined();
    outbox.card('i1', cardOf('two'));
    outbox.wake();
    await clock.advance(1_000);
    expect(outbox.shownPlan('chat', 'i1')).toBeUndefined();
  });
});
