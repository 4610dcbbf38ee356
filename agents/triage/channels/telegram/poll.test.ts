import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock, type Clock } from '#agents/runtime/clock.ts';
import { Failure } from '#bus/failure.ts';
import { ada, message, setTelegramStage } from '../../../../test/parts/telegram-stage.ts';
import { until } from '../../../../test/parts/until.ts';
import { openTelegram } from '../telegram.ts';

const { signal } = new AbortController();
/** Waits between attempts are short. */
const quick: Clock = { ...systemClock, sleep: (ms, abort) => systemClock.sleep(Math.min(ms, 20), abort) };

describe('opening', () => {
  test('a refused token is a failure that no retry mends and that does not show it', async () => {
    await using stage = await setTelegramStage();
    const secret = '4242:wrong-Secret';
    const error = await openTelegram(stage.options({ token: secret })).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(Failure);
    expect(error).toMatchObject({ recoverable: false });
    expect(String(error)).toContain('Cannot use the Telegram bot token: Telegram answered 401 Unauthorized');
    expect(`${String(error)}${stage.logged}`).not.toContain('wrong-Secret');
  });

  test('a token that looks like none is never sent anywhere', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    await expect(openTelegram(stage.options({ token: '../../evil' }))).rejects.toThrow('does not look like');
    expect(telegram.calls).toEqual([]);
  });

  test('a Telegram that is down at the start is found later', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    await telegram.down();
    const channel = await stage.open();
    expect(channel.botName).toBe('');
    await telegram.up();
    await until(() => channel.botName === 'lares_test_bot', 'the name of the bot');
    telegram.user(ada, 'Ada').say('/status');
    await until(() => host.done.length === 1, 'the command');
  });
});

describe('staying', () => {
  test.each(['429', '502', 'reset', 'lost-reply', '401', '403'] as const)('polling outlives %s', async (kind) => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    telegram.fault({ method: 'getUpdates', kind, times: kind === '401' ? 1 : 3 });
    await stage.open({ clock: quick });
    telegram.user(ada, 'Ada').say('/status');
    await until(() => telegram.messages().length === 1, 'the answer');
    expect(host.done).toContain('telegram:7 /status');
    expect(stage.logged).not.toContain('fake-Token');
  });

  test('what is no answer of Telegram is an outage, whatever the method', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    telegram.user(ada, 'Ada').say('/status');
    const channel = await stage.open({ clock: quick });
    await until(() => host.done.length === 1, 'the command');
    for (const method of ['getUpdates', 'sendMessage']) telegram.fault({ method, kind: 'strange', times: 7 });
    for (let times = 0; times < 7; times += 1) {
      const refused = channel.deliver(message, undefined, signal);
      await expect(refused).rejects.toMatchObject({
        recoverable: true,
        message: expect.stringContaining('not one of Telegram'),
      });
    }
    telegram.user(ada, 'Ada').say('/who');
    await until(() => host.done.includes('telegram:7 /who'), 'the next command');
  });

  test('another program with the same token is told, once', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    telegram.user(ada, 'Ada');
    telegram.fault({ method: 'getUpdates', kind: '409', times: 12 });
    await stage.open({ clock: quick });
    await telegram.message((each) => each.text.startsWith('Another program reads'));
    telegram.user(ada, 'Ada').say('/status');
    await until(() => host.done.length === 1, 'the command');
    expect(telegram.messages().filter(({ text }) => text.startsWith('Another program'))).toHaveLength(1);
  });

  test('a poll that hangs is given up', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    telegram.fault({ method: 'getUpdates', kind: 'hang' });
    await stage.open({ holdSeconds: 1, graceSeconds: 1 });
    telegram.user(ada, 'Ada').say('/status');
    expect(await telegram.message((each) => each.chat === ada)).toMatchObject({ text: 'Noted.' });
  });

  test('a second poller and a webhook of an earlier program do not end it', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    telegram.setWebhook();
    await stage.open();
    await until(() => telegram.isPolled, 'polling');
    await fetch(`${telegram.apiRoot}/bot${telegram.token}/getUpdates`);
    telegram.user(ada, 'Ada').say('/status');
    expect(await telegram.message((each) => each.chat === ada)).toMatchObject({ text: 'Noted.' });
  });

  test('a handler that never ends does not keep the next update waiting', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    host.answer = (what) => (what.includes('/cost') ? Promise.withResolvers<string>().promise : 'All is well');
    telegram.user(ada, 'Ada').say('/cost');
    telegram.user(ada, 'Ada').say('/status');
    await stage.open({ clock: quick });
    expect(await telegram.message((each) => each.chat === ada)).toMatchObject({ text: 'All is well' });
  });

  test('an outage loses no press', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    const person = telegram.user(ada, 'Ada');
    const channel = await stage.open();
    await channel.deliver(message, undefined, signal);
    await telegram.down();
    const press = person.press(telegram.messages()[0]?.id ?? 0, 'Approve');
    await telegram.up();
    expect((await press.answered).text).toBe('Noted.');
  });

  test('a press while nothing runs is handled after the start, and only once over restarts', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    const person = telegram.user(ada, 'Ada');
    const channel = await stage.open();
    await channel.deliver(message, undefined, signal);
    await channel.stop();
    const press = person.press(telegram.messages()[0]?.id ?? 0, 'Approve');
    const second = await stage.open();
    await press.answered;
    await second.stop();
    await stage.open();
    person.say('/status');
    await until(() => host.done.includes('telegram:7 /status'), 'the command');
    expect(host.done).toEqual(['telegram:7 pressed token-1', 'telegram:7 /status']);
  });

  test('a press that Telegram tells twice is handled once', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    const person = telegram.user(ada, 'Ada');
    const first = await stage.open();
    await first.deliver(message, undefined, signal);
    const press = person.press(telegram.messages()[0]?.id ?? 0, 'Approve');
    // The process dies after handling: nothing acknowledges the update to Telegram.
    telegram.fault({ method: 'getUpdates', kind: 'reset', times: 2 });
    await press.answered;
    await first.stop();
    telegram.clearFaults();
    await stage.open();
    await until(() => telegram.pending === 0, 'the acknowledgement');
    expect(host.done).toEqual(['telegram:7 pressed token-1']);
  });

  test('stopping waits for the update in hand', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    const isAnswered = Promise.withResolvers<string>();
    host.answer = () => isAnswered.promise;
    telegram.user(ada, 'Ada').say('/status');
    const channel = await stage.open();
    await until(() => host.done.length === 1, 'the command');
    const stopped = channel.stop();
    isAnswered.resolve('All is well');
    await stopped;
    expect(telegram.messages().map((each) => each.text)).toEqual(['All is well']);
    expect(existsSync(join(stage.stateFolder, 'telegram.db-wal'))).toBe(false);
  });
});
