import { expect, test } from 'vitest';
import { House } from './house.ts';

/** A job that has to report itself: its silence is a finding that needs no other machine. */
const backup = {
  hosts: { nas: { via: 'local' } },
  checks: [{ id: 'backup', kind: 'heartbeat', host: 'nas', ping: 'backup', period: '2m', grace: '1m', every: '5s' }],
};
const minute = 60_000;

test.concurrent('an alert of a time without Telegram arrives once, with its own time', async () => {
  await using house = await House.open({ config: backup });
  await house.ping('backup');
  await house.pass(minute);
  await house.telegram.down();
  await house.pass(10 * minute);
  const { incidents } = (await house.ask('incidents')) as { incidents: { startsAt: string; title: string }[] };
  const [incident] = incidents;
  expect(incident?.title).toContain('backup');
  expect(house.telegram.calls.filter(isSend)).toEqual([]);

  await house.telegram.up();
  const card = await house.message(/heartbeat "backup"/);
  const began = Date.parse(incident?.startsAt ?? '');
  expect(house.clock.now() - began).toBeGreaterThan(6 * minute);
  expect(card.text).toContain(`since 20 Nov 2026, ${new Date(began).toISOString().slice(11, 16)} UTC`);
  expect(card.silent).toBe(false);

  await house.pass(5 * minute);
  expect(house.messages()).toEqual([card]);
  expect(house.telegram.calls.filter(isSend)).toHaveLength(1);
});

test.concurrent('what began and ended while Telegram was away is told as ended, once', async () => {
  await using house = await House.open({ config: backup });
  await house.ping('backup');
  await house.telegram.down();
  await house.pass(6 * minute);
  for (let minutes = 0; minutes < 2; minutes += 1) {
    await house.ping('backup');
    await house.pass(minute);
  }
  await house.telegram.up();
  await house.ping('backup');
  await house.message(/heartbeat "backup"/);
  await house.pass(minute);
  const cards = house.messages().filter(({ text }) => /· (?:warning|critical) · /.test(text));
  expect(cards).toHaveLength(1);
  expect(cards[0]?.text).toContain('resolved');
  expect(cards[0]?.text).toMatch(/ended 20 Nov 2026/);
});

test.concurrent('a Telegram that asks for patience is asked again when it said, and not before', async () => {
  await using house = await House.open({ config: backup });
  house.telegram.fault({ method: 'sendMessage', kind: '429', retryAfter: 240 });
  await house.until(() => house.log.includes('Too Many Requests'), 'the refusal');
  const refusedAt = house.clock.now();
  await house.pass(3 * minute);
  expect(house.messages()).toEqual([]);
  await house.message(/heartbeat "backup"/);
  expect(house.clock.now() - refusedAt).toBeGreaterThanOrEqual(4 * minute - 1_000);
  await house.pass(minute);
  expect(house.messages()).toHaveLength(1);
  expect(house.telegram.calls.filter(isSend)).toHaveLength(1);
});

test.concurrent('a refusal for good is told on the terminal, which has the alert as well', async () => {
  await using house = await House.open({ config: backup });
  house.anna.block();
  await house.until(() => house.terminal.includes('could not be delivered'), 'the terminal to say it');
  expect(house.terminal).toMatch(/could not be delivered on telegram: .*403 Forbidden: bot was blocked by the user/);
  expect(house.terminal).toContain('heartbeat "backup"');
  await house.pass(10 * minute);
  expect(house.messages()).toEqual([]);
  expect(house.terminal.match(/could not be delivered/g)).toHaveLength(1);
});

test.concurrent('a reply that was lost on its way costs at most one message more, and the card goes on as one', async () => {
  await using house = await House.open({ config: backup });
  house.telegram.fault({ method: 'sendMessage', kind: 'lost-reply' });
  await house.message(/heartbeat "backup"/);
  await house.pass(2 * minute);
  expect(house.messages().length).toBeLessThanOrEqual(2);
  await house.ping('backup');
  await house.until(() => house.messages().some(({ text }) => text.includes('resolved')), 'the end on the card');
});

function isSend({ method }: { method: string }): boolean {
  return method.toLowerCase() === 'sendmessage';
}
