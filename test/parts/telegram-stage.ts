import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { systemClock, type Clock } from '#agents/runtime/clock.ts';
import { createLog } from '#agents/runtime/log.ts';
import { DeliveryFailure, type Card, type ChannelHost, type Person } from '#agents/triage/channel.ts';
import { openTelegram, type TelegramChannel, type TelegramOptions } from '#agents/triage/channels/telegram.ts';
import type { People } from '#config/people.ts';
import { startTelegram, type TelegramPart } from './telegram.ts';

/** Whom the stage's bot knows, and whom it does not. */
export const ada = 7;
export const stranger = 666;

/** Waits are real but short, so that backing off does not take minutes. */
export const hastyClock: Clock = {
  ...systemClock,
  sleep: (ms, abort) => systemClock.sleep(ms >= 30_000 ? ms : Math.min(ms, 20), abort),
};

export const people: People = {
  may: (id) => id === `telegram:${ada}`,
  withRole: () => ['terminal:ada', `telegram:${ada}`],
  add: () => undefined,
};

/** Notes what reaches triage and answers as told. */
class NotingHost implements ChannelHost {
  readonly done: string[] = [];
  answer: (what: string) => string | Promise<string> = () => 'Noted.';

  press(person: Person, token: string): Promise<string> {
    return this.#did(`${person.id} pressed ${token}`);
  }

  command(person: Person, name: string, argument: string): Promise<string> {
    return this.#did(`${person.id} /${name} ${argument}`.trim());
  }

  pair(person: Person, nonce: string): Promise<string> {
    return this.#did(`${person.id} "${person.name}" pairs ${nonce}`);
  }

  refused(person: Person, what: string): void {
    this.done.push(`${person.id} refused ${what}`);
  }

  async #did(what: string): Promise<string> {
    this.done.push(what);
    return this.answer(what);
  }
}

/** A Telegram, the channel on it, and a host behind it. */
class TelegramStage implements AsyncDisposable {
  readonly telegram: TelegramPart;
  readonly host = new NotingHost();
  readonly stateFolder = mkdtempSync(join(tmpdir(), 'lares-telegram-'));
  /** Everything that was logged. */
  logged = '';
  readonly #channels: TelegramChannel[] = [];

  constructor(telegram: TelegramPart) {
    this.telegram = telegram;
  }

  options(changes: Partial<TelegramOptions> = {}): TelegramOptions {
    const destination = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.logged += chunk.toString('utf8');
        done();
      },
    });
    const log = createLog({ level: 'debug', name: 'test', destination });
    const { token, apiRoot } = this.telegram;
    const { stateFolder } = this;
    return {
      token,
      apiRoot,
      people,
      clock: hastyClock,
      log,
      stateFolder,
      timeZone: 'UTC',
      holdSeconds: 20,
      ...changes,
    };
  }

  async open(changes: Partial<TelegramOptions> = {}): Promise<TelegramChannel> {
    const channel = await openTelegram(this.options(changes));
    this.#channels.push(channel);
    await channel.start(this.host);
    return channel;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const channel of this.#channels) await channel.stop();
    await this.telegram[Symbol.asyncDispose]();
    rmSync(this.stateFolder, { recursive: true });
  }
}

export async function setTelegramStage(): Promise<TelegramStage> {
  return new TelegramStage(await startTelegram());
}

export const card: Card = {
  incident: 'inc-1',
  state: 'firing',
  severity: 'critical',
  title: 'Disk full on pve1',
  since: Date.UTC(2026, 10, 20, 3),
  endedAt: undefined,
  why: ['root: disk-full'],
  evidence: [],
  symptoms: [],
  assessment: undefined,
  plan: {
    id: 'p-1',
    title: 'Vacuum the journal',
    risk: 'low',
    commands: ['pve1$ journalctl --vacuum-size=200M'],
    looks: [],
    rollback: [],
    digest: 'ab'.repeat(32),
    blastRadius: ['pve1'],
    expiresAt: Date.UTC(2026, 10, 20, 9),
  },
  news: [],
  buttons: [
    [
      { action: 'approve', label: 'Approve', token: 'token-1' },
      { action: 'details', label: 'Details', token: 'token-2' },
    ],
  ],
};
export const longPlan = {
  ...card.plan,
  id: 'p/../2',
  title: 'Many steps',
  risk: 'high',
  commands: Array.from({ length: 200 }, (_, index) => `pve1$ rm -f /srv/cache/${index} && echo "<done>"`),
  looks: [],
  rollback: ['pve1$ true'],
  digest: 'cd'.repeat(32),
  blastRadius: ['pve1'],
  expiresAt: Date.UTC(2026, 10, 20, 9),
};
export const message = { type: 'card', card, silent: false } as const;

/** The failure that a delivery ended with. */
export async function deliveryError(work: Promise<unknown>): Promise<DeliveryFailure> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof DeliveryFailure) return error;
  throw new Error(`This is no DeliveryFailure: ${String(error)}`);
}
