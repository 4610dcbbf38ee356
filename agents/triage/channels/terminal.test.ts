import { PassThrough, Writable } from 'node:stream';
import { afterEach, expect, test } from 'vitest';
import type { Card, CardPlan, Channel, ChannelHost } from '../channel.ts';
import { until } from '../../../test/parts/until.ts';
import { openTerminal } from './terminal.ts';

const { signal } = new AbortController();
const open: Channel[] = [];
afterEach(async () => {
  for (const channel of open.splice(0)) await channel.stop();
});

const card: Card = {
  incident: 'inc-1',
  state: 'firing',
  severity: 'warning',
  title: 'nginx on web1 does not answer',
  since: Date.UTC(2026, 10, 20, 3),
  endedAt: undefined,
  why: ['root: http on web1'],
  evidence: [],
  symptoms: [],
  assessment: undefined,
  plan: undefined,
  news: [],
  buttons: [[{ action: 'acknowledge', label: 'Acknowledge', token: 't-ack' }]],
};

interface Screen {
  channel: Channel;
  text: () => string;
  type: (line: string) => void;
  done: string[];
}

async function screen(options: { interactive?: boolean; color?: boolean; columns?: number } = {}): Promise<Screen> {
  const input = new PassThrough();
  const output = Object.assign(new PassThrough(), options.columns === undefined ? {} : { columns: options.columns });
  let text = '';
  output.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
  const { interactive = true, color = false } = options;
  const clock = {
    now: () => Date.UTC(2026, 10, 20, 4, 5, 6),
    sleep: async () => undefined,
    after: () => () => undefined,
  };
  const channel = openTerminal({ input, output, user: 'ada', color, interactive, clock, timeZone: 'UTC' });
  open.push(channel);
  const done: string[] = [];
  await channel.start(hostOf(done));
  return { channel, done, text: () => text, type: (line) => void input.write(`${line}\n`) };
}

function hostOf(done: string[]): ChannelHost {
  return {
    press: async (person, token) => {
      done.push(`${person.id} ${token}`);
      return 'Noted.';
    },
    command: async (_person, name, argument) => {
      done.push(`${name} ${argument}`);
      if (name === 'cost') throw new Error('the ledger is locked');
      return `did ${name}`;
    },
    pair: async () => '',
  };
}

test('a card reads as a page and its update as the lines that changed', async () => {
  const { channel, text } = await screen();
  const { reference } = await channel.deliver({ type: 'card', card, silent: false }, undefined, signal);
  const page = text();
  const after: Card = {
    ...card,
    state: 'resolved',
    endedAt: card.since + 3_900_000,
    news: ['it answers again'],
    buttons: [],
  };
  await channel.deliver({ type: 'card', card: after, silent: false }, reference, signal);
  expect(page).toContain(
    '#1  ● firing · warning · inc-1\n    nginx on web1 does not answer\n    since 20 Nov 2026, 03:00 UTC\n',
  );
  expect(page).toContain('type  ack 1');
  expect(text().slice(page.length)).toBe(
    '04:05:06 #1  ✔ resolved · warning\n  since 20 Nov 2026, 03:00 UTC, ended 20 Nov 2026, 04:05 UTC after 1 h 5 min\n  it answers again\n',
  );
});

test('that a plan is no longer open is said, unless a new state says what became of it', async () => {
  const { channel, text } = await screen();
  const plan: CardPlan = {
    id: 'p',
    title: 'Restart',
    risk: 'low',
    commands: ['web1$ true'],
    looks: [],
    rollback: [],
    digest: 'd',
    blastRadius: [],
    expiresAt: 0,
  };
  const show = async (version: Card, reference?: string): Promise<string> =>
    (await channel.deliver({ type: 'card', card: version, silent: false }, reference, signal)).reference;
  const reference = await show({ ...card, plan });
  await show({ ...card, state: 'fixing' }, reference);
  expect(text()).not.toContain('the plan is no longer open');
  await show({ ...card, plan }, reference);
  await show(card, reference);
  expect(text()).toContain('the plan is no longer open');
});

test('each incident keeps its own short number', async () => {
  const { channel, done, type } = await screen();
  await channel.deliver({ type: 'card', card, silent: false }, undefined, signal);
  const buttons: Card['buttons'] = [[{ action: 'acknowledge', label: 'Acknowledge', token: 't-second' }]];
  await channel.deliver(
    { type: 'card', card: { ...card, incident: 'inc-2', buttons }, silent: false },
    undefined,
    signal,
  );
  type('ack 2');
  type('/acknowledge #1');
  await until(() => done.length === 2, 'both presses');
  expect(done).toEqual(['terminal:ada t-second', 'terminal:ada t-ack']);
});

test('a number in a command stands for its incident', async () => {
  const { channel, done, type } = await screen();
  await channel.deliver({ type: 'card', card, silent: false }, undefined, signal);
  type('snooze 1 2h');
  await until(() => done.length === 1, 'the command');
  expect(done).toEqual(['snooze inc-1 2h']);
});

test('a button that is gone says so, and unknown words print what is known', async () => {
  const { channel, done, text, type } = await screen();
  await channel.deliver({ type: 'card', card, silent: false }, undefined, signal);
  type('approve 1');
  type('abracadabra');
  await until(() => text().includes('abracadabra'), 'the help');
  expect(text()).toContain('There is nothing to approve on #1 now.');
  expect(text()).toContain('approve 1 · dry-run 1 · reject 1 · ack 1');
  expect(done).toEqual([]);
});

test('a decision without a number is not taken, and says which there are', async () => {
  const { channel, done, text, type } = await screen();
  const buttons: Card['buttons'] = [[{ action: 'approve', label: 'Approve', token: 't-approve' }]];
  await channel.deliver({ type: 'card', card: { ...card, buttons }, silent: false }, undefined, signal);
  type('approve');
  type('reject');
  await until(() => text().includes('nothing to reject'), 'the answers');
  expect(text()).toContain('Say which: approve 1');
  expect(done).toEqual([]);
});

test('a host that breaks costs one answer', async () => {
  const { text, type } = await screen();
  type('cost');
  type('status');
  await until(() => text().includes('did status'), 'the second answer');
  expect(text()).toContain('Cannot do that: the ledger is locked');
});

test('a pipe gets the cards and no invitation to type', async () => {
  const { channel, text } = await screen({ interactive: false });
  const { shownPlan } = await channel.deliver({ type: 'card', card, silent: false }, undefined, signal);
  expect(text()).toContain(card.title);
  expect(text()).not.toContain('ack 1');
  expect(shownPlan).toBeUndefined();
});

test('color is there when asked for', async () => {
  const { channel, text } = await screen({ color: true });
  await channel.deliver({ type: 'card', card, silent: false }, undefined, signal);
  expect(text()).toContain('\u001B[33m');
});

test('a narrow terminal wraps the text', async () => {
  const { channel, text } = await screen({ columns: 40 });
  const why = ['the disk of this host fills by 1.2 GB an hour since the log was rotated'];
  await channel.deliver({ type: 'card', card: { ...card, why }, silent: false }, undefined, signal);
  for (const line of text().split('\n').slice(1)) expect(line.length).toBeLessThanOrEqual(40);
});

test('a closed pipe fails the delivery and nothing else', async () => {
  const output = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
  const channel = openTerminal({ input: new PassThrough(), output, user: 'ada', color: false, interactive: false });
  open.push(channel);
  await channel.start(hostOf([]));
  const delivery = channel.deliver({ type: 'card', card, silent: false }, undefined, signal);
  await expect(delivery).rejects.toMatchObject({ message: 'Cannot write to the terminal: EPIPE', recoverable: false });
});
