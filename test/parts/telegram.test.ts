import { expect, test } from 'vitest';
import { until } from './until.ts';
import { startTelegram, type TelegramPart } from './telegram.ts';

interface Reply {
  ok: boolean;
  result?: unknown;
  error_code?: number;
  description?: string;
  parameters?: { retry_after?: number; migrate_to_chat_id?: number };
}

async function call(telegram: TelegramPart, method: string, fields: object = {}): Promise<Reply> {
  return ask(`${telegram.apiRoot}/bot${telegram.token}/${method}`, fields);
}

async function ask(address: string, fields: object): Promise<Reply> {
  const response = await fetch(address, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(fields),
  });
  return (await response.json()) as Reply;
}

async function updates(telegram: TelegramPart, fields: object): Promise<number[]> {
  const { result } = await call(telegram, 'getUpdates', fields);
  return (result as { update_id: number }[]).map((update) => update.update_id);
}

test('a wrong token is unauthorized and a malformed one is not found', async () => {
  await using telegram = await startTelegram();
  expect((await call(telegram, 'getMe')).ok).toBe(true);
  expect(await ask(`${telegram.apiRoot}/bot1:no/getMe`, {})).toMatchObject({
    error_code: 401,
    description: 'Unauthorized',
  });
  expect(await ask(`${telegram.apiRoot}/botno/getMe`, {})).toMatchObject({ error_code: 404 });
});

test('an update comes again until a higher offset acknowledges it', async () => {
  await using telegram = await startTelegram();
  telegram.user(7, 'Ada').say('one');
  telegram.user(7, 'Ada').say('two');
  const [first = 0, second = 0] = await updates(telegram, {});
  expect(await updates(telegram, {})).toEqual([first, second]);
  expect(await updates(telegram, { offset: first + 1 })).toEqual([second]);
  expect(await updates(telegram, { offset: second + 1 })).toEqual([]);
  expect(telegram.pending).toBe(0);
});

test('a poll is held until something comes', async () => {
  await using telegram = await startTelegram();
  const held = updates(telegram, { timeout: 30 });
  await until(() => telegram.isPolled, 'the poll');
  telegram.user(7, 'Ada').say('hello');
  expect(await held).toHaveLength(1);
});

test('a poll with nothing to tell ends after its timeout', async () => {
  await using telegram = await startTelegram();
  expect(await updates(telegram, { timeout: 1 })).toEqual([]);
});

test('the older of two pollers is told of the conflict', async () => {
  await using telegram = await startTelegram();
  const older = call(telegram, 'getUpdates', { timeout: 30 });
  await until(() => telegram.isPolled, 'the first poll');
  const newer = call(telegram, 'getUpdates', { timeout: 30 });
  expect(await older).toMatchObject({ error_code: 409 });
  telegram.user(7, 'Ada').say('hello');
  expect((await newer).ok).toBe(true);
});

test.each([
  ['a < b', 'Bad Request: can\'t parse entities: Unsupported start tag "" at byte offset 2'],
  ['ü<foo>x</foo>', 'Bad Request: can\'t parse entities: Unsupported start tag "foo" at byte offset 2'],
  ['<b>x', 'Bad Request: can\'t parse entities: Can\'t find end tag corresponding to start tag "b"'],
  ['<b>x</i>', 'Bad Request: can\'t parse entities: Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'],
  ['x</b>', "Bad Request: can't parse entities: Unexpected end tag at byte offset 1"],
  ['<b', "Bad Request: can't parse entities: Unclosed start tag at byte offset 0"],
  ['', 'Bad Request: message text is empty'],
  ['<b> </b>', 'Bad Request: message text is empty'],
])('HTML %j is refused in the words of Telegram', async (text, description) => {
  await using telegram = await startTelegram();
  telegram.user(7, 'Ada');
  expect(await call(telegram, 'sendMessage', { chat_id: 7, text, parse_mode: 'HTML' })).toMatchObject({ description });
});

test('the limit of 4096 counts what is left after parsing', async () => {
  await using telegram = await startTelegram();
  telegram.user(7, 'Ada');
  const send = (text: string): Promise<Reply> =>
    call(telegram, 'sendMessage', { chat_id: 7, text, parse_mode: 'HTML' });
  expect((await send(`<b>${'&amp;'.repeat(4_096)}</b>`)).ok).toBe(true);
  expect((await send('x'.repeat(4_097))).description).toBe('Bad Request: message is too long');
  expect(telegram.messages()[0]).toMatchObject({ text: '&'.repeat(4_096), entities: [{ type: 'bold' }] });
});

test('an edit keeps the earlier text, refuses the same text and what is not there', async () => {
  await using telegram = await startTelegram();
  telegram.user(7, 'Ada');
  await call(telegram, 'sendMessage', { chat_id: 7, text: 'one' });
  const edit = (text: string, id = 1): Promise<Reply> =>
    call(telegram, 'editMessageText', { chat_id: 7, message_id: id, text });
  expect((await edit('one')).description).toContain('message is not modified');
  expect((await edit('two')).ok).toBe(true);
  expect((await edit('two', 99)).description).toBe('Bad Request: message to edit not found');
  expect(telegram.messages()).toMatchObject([{ text: 'two', versions: ['one'] }]);
});

test('button data is at most 64 bytes', async () => {
  await using telegram = await startTelegram();
  telegram.user(7, 'Ada');
  const send = (data: string): Promise<Reply> =>
    call(telegram, 'sendMessage', {
      chat_id: 7,
      text: 'x',
      reply_markup: { inline_keyboard: [[{ text: 'Go', callback_data: data }]] },
    });
  expect((await send('ü'.repeat(32))).ok).toBe(true);
  expect((await send('ü'.repeat(33))).description).toBe('Bad Request: BUTTON_DATA_INVALID');
});

test('a press is answered once and not after it has expired', async () => {
  await using telegram = await startTelegram();
  const ada = telegram.user(7, 'Ada');
  await call(telegram, 'sendMessage', {
    chat_id: 7,
    text: 'x',
    reply_markup: { inline_keyboard: [[{ text: 'Go', callback_data: 'token' }]] },
  });
  const press = ada.press(1, 'Go');
  const answer = { callback_query_id: press.id, text: 'done' };
  expect((await call(telegram, 'answerCallbackQuery', answer)).ok).toBe(true);
  expect((await press.answered).text).toBe('done');
  expect((await call(telegram, 'answerCallbackQuery', answer)).description).toContain('query is too old');
});

test('faults happen as often as asked and to the method that was named', async () => {
  await using telegram = await startTelegram();
  telegram.user(7, 'Ada');
  const send = (): Promise<Reply> => call(telegram, 'sendMessage', { chat_id: 7, text: 'x' });
  telegram.fault({ method: 'sendMessage', kind: '429', retryAfter: 5, times: 2 });
  expect((await call(telegram, 'getMe')).ok).toBe(true);
  expect(await send()).toMatchObject({ error_code: 429, parameters: { retry_after: 5 } });
  expect((await send()).ok).toBe(false);
  expect((await send()).ok).toBe(true);
  telegram.fault({ kind: 'lost-reply' });
  await expect(send()).rejects.toThrow('fetch failed');
  expect(telegram.messages()).toHaveLength(2);
});

test('a blocked, an unknown and a moved chat each get their own refusal', async () => {
  await using telegram = await startTelegram();
  telegram.user(7, 'Ada').block();
  telegram.group(-5, 'Ops');
  telegram.migrate(-5, -1_005);
  const send = (chat: number): Promise<Reply> => call(telegram, 'sendMessage', { chat_id: chat, text: 'x' });
  expect(await send(7)).toMatchObject({ error_code: 403, description: 'Forbidden: bot was blocked by the user' });
  expect(await send(8)).toMatchObject({ error_code: 400, description: 'Bad Request: chat not found' });
  expect(await send(-5)).toMatchObject({ error_code: 400, parameters: { migrate_to_chat_id: -1_005 } });
});

test('it comes back on the same address', async () => {
  await using telegram = await startTelegram();
  const { apiRoot } = telegram;
  await telegram.down();
  await expect(call(telegram, 'getMe')).rejects.toThrow('fetch failed');
  await telegram.up();
  expect(telegram.apiRoot).toBe(apiRoot);
  expect((await call(telegram, 'getMe')).ok).toBe(true);
});
