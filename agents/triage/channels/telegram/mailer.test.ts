import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  ada,
  card,
  deliveryError,
  longPlan,
  message,
  people,
  setTelegramStage,
} from '../../../../test/parts/telegram-stage.ts';

const { signal } = new AbortController();

describe('delivering', () => {
  test('an incident is one message that is edited', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    telegram.user(ada, 'Ada');
    const channel = await stage.open();
    const first = await channel.deliver(message, undefined, signal);
    const fixed = { ...card, state: 'fixed', buttons: [] };
    await channel.deliver({ ...message, card: fixed }, first.reference, signal);
    expect(first.shownPlan).toBe('p-1');
    expect(telegram.messages()).toHaveLength(1);
    expect(telegram.messages()[0]).toMatchObject({ buttons: [], silent: false, linkPreview: false });
    expect(telegram.messages()[0]?.text).toMatch(
      /^✅ Disk full on pve1\nfixed · critical · inc-1\nsince 20 Nov 2026, 03:00 UTC/,
    );
    expect(telegram.messages()[0]?.versions).toHaveLength(1);
  });

  test('names with markup, overrides and commands stay text', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    telegram.user(ada, 'Ada');
    const channel = await stage.open();
    const title = '<a href="https://evil">& *x* _y_</a> \u202E \u001B[31m\n/unfreeze @all';
    await channel.deliver({ ...message, card: { ...card, title, plan: undefined } }, undefined, signal);
    const [sent] = telegram.messages();
    expect(sent?.text).toContain('<a href="https://evil">& *x* _y_</a> � ␊/unfreeze @all\n');
    expect(sent?.parsed).toContain('/\u2060unfreeze @\u2060all');
    expect(new Set(sent?.entities.map((entity) => entity.type))).toEqual(new Set(['bold']));
  });

  test('commands that do not fit come as a file before they can be approved, and only once', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    telegram.user(ada, 'Ada');
    const channel = await stage.open();
    const long = { ...message, card: { ...card, plan: longPlan } };
    const first = await channel.deliver(long, undefined, signal);
    const second = await channel.deliver({ ...long, card: { ...long.card, news: ['seen'] } }, first.reference, signal);
    const [file, sent] = telegram.messages();
    expect([first.shownPlan, second.shownPlan]).toEqual([longPlan.id, longPlan.id]);
    expect(telegram.messages()).toHaveLength(2);
    expect(file?.document?.name).toBe('plan-p_.._2.txt');
    expect(file?.document?.content).toContain(longPlan.digest);
    for (const command of longPlan.commands) expect(file?.document?.content).toContain(`  ${command}\n`);
    expect(sent?.text).toContain('200 commands: too long to show here, they are in the file above');
    expect(sent?.buttons.flat().map((each) => each.text)).toEqual(['Approve', 'Details']);
  });

  test('without the file there is no way to approve', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    telegram.user(ada, 'Ada');
    const channel = await stage.open();
    telegram.fault({ method: 'sendDocument', kind: '400-documents' });
    const sent = await channel.deliver({ ...message, card: { ...card, plan: longPlan } }, undefined, signal);
    expect(sent.shownPlan).toBeUndefined();
    expect(
      telegram
        .messages()[0]
        ?.buttons.flat()
        .map((each) => each.text),
    ).toEqual(['Details']);
  });

  test('a file that could not be sent now fails the delivery, so that it is tried again', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    telegram.user(ada, 'Ada');
    const channel = await stage.open();
    telegram.fault({ method: 'sendDocument', kind: '502' });
    const error = await deliveryError(
      channel.deliver({ ...message, card: { ...card, plan: longPlan } }, undefined, signal),
    );
    expect(error.recoverable).toBe(true);
    expect(telegram.messages()).toEqual([]);
  });

  test('another plan is another file', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    telegram.user(ada, 'Ada');
    const channel = await stage.open();
    const long = { ...message, card: { ...card, plan: longPlan } };
    const first = await channel.deliver(long, undefined, signal);
    const next = { ...longPlan, id: 'p-3', digest: 'ef'.repeat(32) };
    await channel.deliver({ ...long, card: { ...card, plan: next } }, first.reference, signal);
    expect(telegram.messages().map((each) => each.document?.name)).toEqual([
      'plan-p_.._2.txt',
      undefined,
      'plan-p-3.txt',
    ]);
  });

  test('what Telegram refuses as HTML arrives as plain text with its buttons', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    telegram.user(ada, 'Ada');
    const channel = await stage.open();
    telegram.fault({ method: 'sendMessage', kind: '400-entities' });
    await channel.deliver(message, undefined, signal);
    expect(telegram.messages()[0]?.html).toBeUndefined();
    expect(telegram.messages()[0]?.text).toContain('Disk full on pve1');
    expect(telegram.messages()[0]?.buttons.flat()).toHaveLength(2);
  });

  test('the same text again is a success', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    telegram.user(ada, 'Ada');
    const channel = await stage.open();
    const first = await channel.deliver(message, undefined, signal);
    expect(await channel.deliver(message, first.reference, signal)).toEqual(first);
  });

  test('a message that somebody deleted is sent anew', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    telegram.user(ada, 'Ada');
    const channel = await stage.open();
    const { reference } = await channel.deliver(message, undefined, signal);
    for (const sent of telegram.messages()) telegram.remove(sent);
    const again = await channel.deliver(message, reference, signal);
    expect(again.reference).not.toBe(reference);
    expect(telegram.messages().filter((sent) => !sent.deleted)).toHaveLength(1);
  });

  test('too many requests says when to come back', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    telegram.user(ada, 'Ada');
    const channel = await stage.open();
    telegram.fault({ method: 'sendMessage', kind: '429', retryAfter: 17 });
    const error = await deliveryError(channel.deliver(message, undefined, signal));
    expect(error).toMatchObject({ recoverable: true, retryAfterMs: 17_000 });
  });

  test.each(['502', 'reset', 'lost-reply'] as const)('after %s it can be tried again', async (kind) => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    telegram.user(ada, 'Ada');
    const channel = await stage.open();
    telegram.fault({ method: 'sendMessage', kind });
    const error = await deliveryError(channel.deliver(message, undefined, signal));
    expect(error.recoverable).toBe(true);
    expect(`${error.message} ${JSON.stringify(error)} ${String(error.cause)} ${stage.logged}`).not.toContain(
      'fake-Token',
    );
  });

  test('a blocked bot, a chat that does not exist and a revoked token close the whole way, and are tried again later', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    telegram.user(ada, 'Ada').block();
    const channel = await stage.open();
    const blocked = await deliveryError(channel.deliver(message, undefined, signal));
    const shut = { recoverable: true, isShut: true, retryAfterMs: 300_000 };
    expect(blocked).toMatchObject(shut);
    expect(blocked.message).toContain('403 Forbidden: bot was blocked by the user');
    const elsewhere = await stage.open({ chat: 123_456, stateFolder: join(stage.stateFolder, 'b') });
    const missing = await deliveryError(elsewhere.deliver(message, undefined, signal));
    expect(missing).toMatchObject(shut);
    telegram.fault({ method: 'sendMessage', kind: '401' });
    expect(await deliveryError(channel.deliver(message, undefined, signal))).toMatchObject(shut);
  });

  test('as long as nobody has paired it waits', async () => {
    await using stage = await setTelegramStage();
    const channel = await stage.open({ people: { ...people, withRole: () => ['terminal:ada'] } });
    const error = await deliveryError(channel.deliver(message, undefined, signal));
    expect(error.recoverable).toBe(true);
    expect(error.message).toContain('nobody has paired yet');
  });

  test('it follows a group that became a supergroup, also after a restart', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    telegram.group(-5, 'Ops');
    const channel = await stage.open({ chat: -5 });
    const { reference } = await channel.deliver(message, undefined, signal);
    telegram.migrate(-5, -1_005);
    const moved = await channel.deliver({ ...message, card: { ...card, state: 'fixing' } }, reference, signal);
    await channel.stop();
    const restarted = await stage.open({ chat: -5 });
    await restarted.deliver({ ...message, card: { ...card, state: 'fixed' } }, moved.reference, signal);
    expect(telegram.messages(-1_005)).toHaveLength(1);
    expect(telegram.messages(-1_005)[0]?.text).toContain('fixed');
  });

  test('a topic of a group gets the messages', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    telegram.group(-5, 'Ops', [42]);
    const channel = await stage.open({ chat: -5, topic: 42 });
    await channel.deliver({ type: 'notice', text: 'Digest\nAll is well', silent: true }, undefined, signal);
    expect(telegram.messages(-5)).toMatchObject([{ topic: 42, silent: true, html: '<b>Digest</b>\nAll is well' }]);
  });

  test('a very long notice is cut and follows whole as a file', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    telegram.user(ada, 'Ada');
    const channel = await stage.open();
    const text = `Digest\n${'line of text\n'.repeat(600)}the end`;
    await channel.deliver({ type: 'notice', text, silent: true }, undefined, signal);
    const [file, notice] = telegram.messages();
    expect(file?.document?.content).toContain('the end');
    expect(notice?.parsed).toHaveLength(4_096);
  });
});
