import { describe, expect, test } from 'vitest';
import { ada, message, setTelegramStage, stranger } from '../../../../test/parts/telegram-stage.ts';
import { until } from '../../../../test/parts/until.ts';

const { signal } = new AbortController();

describe('listening', () => {
  test('a press is answered on the button', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    const person = telegram.user(ada, 'Ada');
    const channel = await stage.open();
    await channel.deliver(message, undefined, signal);
    const press = person.press(telegram.messages()[0]?.id ?? 0, 'Approve');
    expect(await press.answered).toEqual({ text: 'Noted.', alert: false });
    expect(host.done).toEqual(['telegram:7 pressed token-1']);
  });

  test('a long answer to a press is shown short on the button and whole below', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    const person = telegram.user(ada, 'Ada');
    const channel = await stage.open();
    await channel.deliver(message, undefined, signal);
    host.answer = () => `${'why '.repeat(80)}end`;
    const { text } = await person.press(telegram.messages()[0]?.id ?? 0, 'Details').answered;
    expect(text).toHaveLength(200);
    const whole = await telegram.message((each) => each.text.endsWith('end'));
    expect(whole.text).toHaveLength(323);
  });

  test('an answer that is too late for the button comes as a message', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    const person = telegram.user(ada, 'Ada');
    const channel = await stage.open();
    await channel.deliver(message, undefined, signal);
    const isAnswered = Promise.withResolvers<string>();
    host.answer = () => isAnswered.promise;
    const press = person.press(telegram.messages()[0]?.id ?? 0, 'Approve');
    await until(() => host.done.length === 1, 'the press');
    telegram.expire(press);
    isAnswered.resolve('Approved.');
    expect(await telegram.message((each) => each.text === 'Approved.')).toMatchObject({ chat: ada });
  });

  test('in a group the person who presses counts', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    telegram.group(-5, 'Ops');
    const channel = await stage.open({ chat: -5 });
    await channel.deliver(message, undefined, signal);
    const id = telegram.messages()[0]?.id ?? 0;
    const refusal = await telegram.user(stranger, 'Mallory').press(id, 'Approve').answered;
    expect(refusal.text).toContain('answers only the people');
    expect((await telegram.user(ada, 'Ada').press(id, 'Approve').answered).text).toBe('Noted.');
    expect(host.done).toEqual(['telegram:666 refused a button', 'telegram:7 pressed token-1']);
  });

  test('a long answer to a press is not told in a chat where the incidents are no longer', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    telegram.group(-5, 'Ops');
    telegram.group(-6, 'New ops');
    const before = await stage.open({ chat: -5 });
    await before.deliver(message, undefined, signal);
    await before.stop();
    await stage.open({ chat: -6 });
    host.answer = () => 'why '.repeat(80);
    await telegram.user(ada, 'Ada').press(telegram.messages(-5)[0]?.id ?? 0, 'Details').answered;
    telegram.user(ada, 'Ada').say('/status', -6);
    await telegram.message((each) => each.chat === -6);
    expect(telegram.messages(-5)).toHaveLength(1);
  });

  test('a stranger is turned away politely, once', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    const mallory = telegram.user(stranger, 'Mallory');
    await stage.open();
    for (let times = 0; times < 5; times += 1) mallory.say('/status');
    telegram.user(ada, 'Ada').say('/status');
    await telegram.message((each) => each.chat === ada);
    expect(telegram.messages(stranger)).toHaveLength(1);
    expect(telegram.messages(stranger)[0]?.text).toContain('Your Telegram id is 666');
    expect(host.done).toEqual(['telegram:666 refused /status', 'telegram:7 /status']);
  });

  test('a pairing link reaches the host with a name that cannot deceive', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    telegram.user(stranger, 'Eve\u202E\n<b>').say('/start nonce-1');
    await stage.open();
    await until(() => host.done.length === 1, 'the pairing');
    expect(host.done).toEqual(['telegram:666 "Eve�␊<b>" pairs nonce-1']);
  });

  test('guessing pairing links is slowed down', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    const mallory = telegram.user(stranger, 'Mallory');
    for (let times = 0; times < 30; times += 1) mallory.say(`/start guess-${times}`);
    await stage.open();
    await until(() => telegram.pending === 0, 'the guesses');
    expect(host.done).toHaveLength(5);
  });

  test('commands are read with the name of the bot, and those for another bot are not', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    telegram.group(-5, 'Ops');
    const person = telegram.user(ada, 'Ada');
    await stage.open({ chat: -5 });
    for (const text of ['/ack@Lares_Test_Bot  inc-1  now', '/ack@other_bot inc-2', 'just talk', '/who'])
      person.say(text, -5);
    await until(() => telegram.messages(-5).length === 2, 'both answers');
    expect(host.done).toEqual(['telegram:7 /ack inc-1  now', 'telegram:7 /who']);
  });

  test('in a strange group nothing is told', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    telegram.group(-9, 'Others');
    telegram.user(ada, 'Ada').say('/incidents', -9);
    await stage.open();
    const answer = await telegram.message((each) => each.chat === -9);
    expect(answer.text).toContain('in our private chat');
    expect(host.done).toEqual([]);
  });

  test('the answer goes into the topic of the question', async () => {
    await using stage = await setTelegramStage();
    const { telegram } = stage;
    telegram.group(-5, 'Ops', [42]);
    await stage.open({ chat: -5 });
    telegram.user(ada, 'Ada').say('/status', -5, 42);
    expect(await telegram.message((each) => each.chat === -5)).toMatchObject({ topic: 42 });
  });

  test('a long answer comes in parts, none of it markup', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    host.answer = () => 'a <b> & line\n'.repeat(900);
    telegram.user(ada, 'Ada').say('/incidents');
    await stage.open();
    await until(() => telegram.messages().length === 3, 'three parts');
    expect(telegram.messages().every((each) => each.html === undefined)).toBe(true);
    expect(
      telegram
        .messages()
        .map((each) => each.text)
        .join('\n')
        .split('\n'),
    ).toHaveLength(900);
  });

  test('a host that breaks costs one answer and no later one', async () => {
    await using stage = await setTelegramStage();
    const { telegram, host } = stage;
    host.answer = (what) => {
      if (what.includes('/cost')) throw new Error('a bug');
      return 'fine';
    };
    const person = telegram.user(ada, 'Ada');
    await stage.open();
    person.say('/cost');
    person.say('/status');
    await until(() => telegram.messages().length === 2, 'both answers');
    expect(telegram.messages().map((each) => each.text)).toEqual([
      'That did not work: the log of Lares says why.',
      'fine',
    ]);
    expect(stage.logged).toContain('a bug');
  });
});
