import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '#agents/runtime/clock.ts';
import { createLog } from '#agents/runtime/log.ts';
import type { Button, Card, Channel, ChannelHost, Person } from '#agents/triage/channel.ts';
import { openTelegram } from '#agents/triage/channels/telegram.ts';
import { openTerminal } from '#agents/triage/channels/terminal.ts';
import type { People } from '#config/people.ts';
import { startTelegram } from '../parts/telegram.ts';
import { until } from '../parts/until.ts';

/** A channel with the two ends that a person has: what they see and what they do. */
interface Stage {
  channel: Channel;
  person: string;
  /** Everything that is on the screen. */
  seen: () => string;
  pressButton: (action: Button['action']) => void;
  write: (command: string) => void;
  close: () => Promise<void>;
}

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

const people: People = { may: () => true, withRole: () => ['telegram:7'], add: () => undefined };

async function telegramStage(): Promise<Stage> {
  const telegram = await startTelegram();
  const ada = telegram.user(7, 'Ada');
  const stateFolder = mkdtempSync(join(tmpdir(), 'lares-channel-'));
  const { token, apiRoot } = telegram;
  const log = createLog({ level: 'silent', name: 'test' });
  const channel = await openTelegram({ token, apiRoot, chat: 7, people, clock: systemClock, log, stateFolder });
  const labels = new Map([...labelOf].map(([action, label]) => [action, label]));
  return {
    channel,
    person: 'telegram:7',
    seen: () =>
      telegram
        .messages()
        .map((message) => message.text)
        .join('\n'),
    pressButton: (action) => void ada.press(telegram.messages().at(-1)?.id ?? 0, labels.get(action) ?? ''),
    write: (command) => void ada.say(`/${command}`),
    close: async () => {
      await telegram[Symbol.asyncDispose]();
      rmSync(stateFolder, { recursive: true });
    },
  };
}

async function terminalStage(): Promise<Stage> {
  const input = new PassThrough();
  const output = new PassThrough();
  let screen = '';
  output.on('data', (chunk: Buffer) => (screen += chunk.toString('utf8')));
  const channel = openTerminal({ input, output, user: 'ada', color: false, interactive: true });
  const words = new Map([...labelOf].map(([action]) => [action, action === 'acknowledge' ? 'ack' : action]));
  return {
    channel,
    person: 'terminal:ada',
    seen: () => screen,
    pressButton: (action) => void input.write(`${words.get(action)} 1\n`),
    write: (command) => void input.write(`${command}\n`),
    close: async () => undefined,
  };
}

const labelOf = new Map<Button['action'], string>([
  ['approve', 'Approve'],
  ['acknowledge', 'Acknowledge'],
  ['details', 'Details'],
]);

const stages = { telegram: telegramStage, terminal: terminalStage };

class Host implements ChannelHost {
  readonly done: string[] = [];
  answer = 'done';

  async press(person: Person, token: string): Promise<string> {
    this.done.push(`${person.id} pressed ${token}`);
    return this.answer;
  }

  async command(person: Person, name: string, argument: string): Promise<string> {
    this.done.push(`${person.id} ${name} ${argument}`.trim());
    return this.answer;
  }

  async pair(): Promise<string> {
    return 'paired';
  }
}

const card: Card = {
  incident: 'inc-1',
  state: 'firing',
  severity: 'critical',
  title: 'Disk /var on <pve1> & friends is full',
  since: Date.UTC(2026, 10, 20, 3),
  endedAt: undefined,
  why: ['root: disk-full'],
  evidence: [{ title: 'df', lines: ['/dev/sda1 96%'] }],
  symptoms: ['3 containers'],
  assessment: 'the journal',
  plan: {
    id: 'p-1',
    title: 'Vacuum the journal',
    risk: 'low',
    commands: ["pve1$ sh -c 'a <b >c && d'"],
    looks: [],
    rollback: ['pve1$ true'],
    digest: 'ab'.repeat(32),
    blastRadius: ['pve1'],
    expiresAt: Date.UTC(2026, 10, 20, 9),
  },
  news: [],
  buttons: [
    [
      { action: 'approve', label: 'Approve', token: 'token-approve' },
      { action: 'acknowledge', label: 'Acknowledge', token: 'token-ack' },
    ],
    [{ action: 'details', label: 'Details', token: 'token-details' }],
  ],
};

const { signal } = new AbortController();

async function started(kind: keyof typeof stages): Promise<Stage & { host: Host }> {
  const stage = await stages[kind]();
  const host = new Host();
  closing.push(stage.close, () => stage.channel.stop());
  await stage.channel.start(host);
  return { ...stage, host };
}

test('every channel of the folder is held to the contract', () => {
  const files = readdirSync(new URL('../../agents/triage/channels/', import.meta.url));
  const kinds = files.filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'));
  expect(kinds.map((file) => file.replace('.ts', '')).toSorted()).toEqual(Object.keys(stages).toSorted());
});

describe.each(Object.keys(stages) as (keyof typeof stages)[])('%s', (kind) => {
  test('its kind is the name of its file', async () => {
    const { channel } = await started(kind);
    expect(channel.kind).toBe(kind);
  });

  test('a card arrives with its text, its exact commands and its digest', async () => {
    const { channel, seen } = await started(kind);
    const delivered = await channel.deliver({ type: 'card', card, silent: false }, undefined, signal);
    expect(delivered.shownPlan).toBe('p-1');
    const facts = [card.title, 'root: disk-full', '/dev/sda1 96%', '3 containers', 'the journal'];
    const plan = ["pve1$ sh -c 'a <b >c && d'", 'pve1$ true', 'ab'.repeat(32)];
    for (const fact of [...facts, ...plan]) expect(seen()).toContain(fact);
  });

  test('an update tells the news and a repeated delivery changes nothing', async () => {
    const { channel, seen } = await started(kind);
    const { reference } = await channel.deliver({ type: 'card', card, silent: false }, undefined, signal);
    const after: Card = { ...card, state: 'fixed', news: ['verdict: fixed'], buttons: [] };
    const second = await channel.deliver({ type: 'card', card: after, silent: true }, reference, signal);
    await until(() => seen().includes('verdict: fixed'), 'the news');
    const before = seen();
    await channel.deliver({ type: 'card', card: after, silent: true }, second.reference, signal);
    expect(seen()).toBe(before);
  });

  test('a press reaches the host with the person and the token', async () => {
    const { channel, host, person, pressButton } = await started(kind);
    await channel.deliver({ type: 'card', card, silent: false }, undefined, signal);
    pressButton('approve');
    await until(() => host.done.length > 0, 'the press');
    expect(host.done).toEqual([`${person} pressed token-approve`]);
  });

  test('a command reaches the host and its answer the person', async () => {
    const { host, person, seen, write } = await started(kind);
    host.answer = 'All 41 checks are <fine> & well';
    write('status of pve1');
    await until(() => seen().includes(host.answer), 'the answer');
    expect(host.done).toEqual([`${person} status of pve1`]);
  });

  test('a notice arrives as text', async () => {
    const { channel, seen } = await started(kind);
    const text = 'Digest of 20 Nov\n<b>41</b> checks & _no_ news \u001B[31m';
    await channel.deliver({ type: 'notice', text, silent: true }, undefined, signal);
    expect(seen()).toContain('<b>41</b> checks & _no_ news');
    expect(seen()).not.toContain('\u001B');
  });

  test('a delivery that was given up does not happen', async () => {
    const { channel, seen } = await started(kind);
    const gone = AbortSignal.abort(new Error('given up'));
    await expect(channel.deliver({ type: 'card', card, silent: false }, undefined, gone)).rejects.toThrow('given up');
    expect(seen()).not.toContain(card.title);
  });

  test('a reference of another time or channel is no obstacle', async () => {
    const { channel, seen } = await started(kind);
    await channel.deliver({ type: 'card', card, silent: false }, '{"what": 1', signal);
    expect(seen()).toContain(card.title);
  });

  test('it stops while nobody does anything', async () => {
    const { channel } = await started(kind);
    await channel.stop();
    closing.pop();
    expect(channel.kind).toBe(kind);
  });
});
