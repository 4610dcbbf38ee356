import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { FleetHost } from '../fleet/host.ts';
import { Lares } from '../parts/lares.ts';
import {
  type ChatMessage,
  type Press,
  startTelegram,
  type TelegramPart,
  type TelegramUser,
} from '../parts/telegram.ts';
import { until } from '../parts/until.ts';

export interface PlayOptions {
  /** Keys of the configuration that are different from those below; `hosts.web` is merged. */
  config?: Record<string, unknown>;
  host?: Record<string, unknown>;
  /** Keys of the check of the unit. */
  check?: Record<string, unknown>;
  /** What the unit runs. */
  command?: string;
  /** Login that runs what was approved. */
  actAs?: 'root' | 'lares';
}

interface Place {
  host: FleetHost;
  hostKey: string;
  keyFile: string;
  unit: string;
}

/** So long may anything take that ought to happen within a second or two: the machine may be busy. */
export const patienceMs = 45_000;

export const wholeJournals = ['remediation whole', 'sentinel whole', 'triage whole'];

/**
 * The whole program against one unit on a real host, with people on Telegram: anna may approve, otto operate, rita read,
 * and mallory nothing. Each start of the unit writes a line on the host, so that executions are counted there.
 */
export class Play implements AsyncDisposable {
  readonly host: FleetHost;
  readonly unit: string;
  readonly lares: Lares;
  readonly telegram: TelegramPart;
  readonly anna: TelegramUser;
  readonly otto: TelegramUser;
  readonly rita: TelegramUser;
  readonly mallory: TelegramUser;

  private constructor(place: Place, parts: { lares: Lares; telegram: TelegramPart }) {
    this.host = place.host;
    this.unit = place.unit;
    this.lares = parts.lares;
    this.telegram = parts.telegram;
    this.anna = parts.telegram.user(101, 'Anna');
    this.otto = parts.telegram.user(102, 'Otto');
    this.rita = parts.telegram.user(103, 'Rita');
    this.mallory = parts.telegram.user(104, 'Mallory');
  }

  static async open(place: Place, options: PlayOptions): Promise<Play> {
    const telegram = await startTelegram();
    const lares = new Lares({});
    const tokenFile = join(lares.folder, 'telegram.token');
    writeFileSync(tokenFile, telegram.token, { mode: 0o600 });
    lares.configure(configOf(place, { ...options, apiRoot: telegram.apiRoot, tokenFile }));
    const play = new Play(place, { lares, telegram });
    await addUnit(place.host, place.unit, options.command ?? 'exec sleep infinity');
    return play;
  }

  /** Starts Lares and waits until it has looked once. */
  async start(): Promise<void> {
    const rounds = this.#rounds();
    await this.lares.start();
    await until(() => this.#rounds() > rounds, 'the first round', patienceMs);
  }

  /** SIGKILL, as the kernel does it when memory is short. */
  async crash(): Promise<void> {
    await this.lares.end('SIGKILL');
  }

  /** `kill -9` of the unit's process: systemd marks it failed and leaves it so. */
  async breakUnit(unit = this.unit): Promise<void> {
    await this.host.run(
      `systemctl kill --signal=KILL ${unit}; until systemctl is-failed -q ${unit}; do sleep 0.05; done`,
    );
  }

  /** How often the host has started the unit. */
  async starts(unit = this.unit): Promise<number> {
    return Number((await this.host.run(`wc -l < ${countFile(unit)}`)).trim());
  }

  async isActive(): Promise<boolean> {
    return (await this.host.run(`systemctl is-active ${this.unit} || true`)).trim() === 'active';
  }

  /** Cards about the unit: messages with buttons now or earlier. Notices have none. */
  cards(unit = this.unit): ChatMessage[] {
    return this.telegram
      .messages(this.anna.id)
      .filter((message) => !message.deleted && isCard(message) && message.text.includes(unit));
  }

  /** The card with a button to approve. */
  async proposal(unit = this.unit): Promise<ChatMessage> {
    const what = (): string =>
      `a proposal for ${unit}; the chat is\n${this.chat()}\n${this.lares.output.slice(-3_000)}`;
    const find = (): ChatMessage | undefined => this.cards(unit).find((card) => hasButton(card, 'Approve'));
    await until(() => find() !== undefined, 'a proposal', patienceMs).catch((error: unknown) => {
      throw new Error(what(), { cause: error });
    });
    const found = find();
    if (found === undefined) throw new Error(`The proposal vanished; ${what()}`);
    return found;
  }

  /** Until Lares knows that what stands in the chat is there. */
  async delivered(): Promise<void> {
    const rows = new DatabaseSync(join(this.lares.folder, 'state/triage/triage.db'), { readOnly: true });
    try {
      const waiting = rows.prepare(`SELECT count(*) AS n FROM outbox WHERE state <> 'sent'`);
      await until(() => waiting.get()?.['n'] === 0, 'the deliveries', patienceMs);
    } finally {
      rows.close();
    }
  }

  approve(card: ChatMessage, by = this.anna): Press {
    return by.press(card.id, 'Approve');
  }

  /** Waits until a card says it. */
  async says(card: ChatMessage, pattern: RegExp, limitMs = patienceMs): Promise<void> {
    await until(() => pattern.test(card.text), `the card to say ${pattern}`, limitMs).catch((error: unknown) => {
      throw new Error(`The card never said ${pattern}; it is\n${card.text}\n${this.lares.output.slice(-3_000)}`, {
        cause: error,
      });
    });
  }

  /** Waits until the card is that of a fixed incident, and nothing is open any more. */
  async fixed(card: ChatMessage, limitMs = patienceMs): Promise<void> {
    await this.says(card, /\nfixed · /, limitMs);
    const open = await this.openIncidents();
    if (open.length > 0) throw new Error(`Fixed, but this is open: ${JSON.stringify(open)}`);
  }

  async openIncidents(): Promise<unknown[]> {
    const { stdout } = await this.lares.run('incidents', '--json');
    return (JSON.parse(stdout) as { incidents: unknown[] }).incidents;
  }

  /** What `lares audit verify` says of each journal: `wholeJournals` when all is well. */
  async audit(): Promise<string[]> {
    const { stdout } = await this.lares.run('audit', 'verify', '--json');
    const { journals } = JSON.parse(stdout) as { journals: { agent: string; ok: boolean; entries?: number }[] };
    return journals
      .map(({ agent, ok, entries = 0 }) => `${agent} ${ok && entries > 0 ? 'whole' : 'damaged'}`)
      .toSorted();
  }

  /** The chat as a person sees it, for a message that explains a failure. */
  chat(): string {
    return this.telegram
      .messages(this.anna.id)
      .map(
        ({ id, text, buttons }) =>
          `#${id} [${buttons
            .flat()
            .map((button) => button.text)
            .join(', ')}] ${text}`,
      )
      .join('\n---\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lares[Symbol.asyncDispose]();
    await this.telegram[Symbol.asyncDispose]();
    await removeUnit(this.host, this.unit);
  }

  #rounds(): number {
    return this.lares.output.split('"event":"first-round"').length - 1;
  }
}

export function hasButton(message: ChatMessage, label: string): boolean {
  return message.buttons.flat().some(({ text }) => text === label);
}

/** Every card names its incident beside state and severity. */
function isCard(message: ChatMessage): boolean {
  return /\n[\w-]+ · (info|warning|critical) · /.test(message.text);
}

function countFile(unit: string): string {
  return `/var/log/starts-${unit}`;
}

/** A unit that does no harm, writes one line per start, and stays down when it died. Starts it. */
export async function addUnit(host: FleetHost, unit: string, command: string): Promise<void> {
  await host.run(`
cat > /etc/systemd/system/${unit} <<'END'
[Unit]
Description=Shop
StartLimitIntervalSec=0
[Service]
ExecStartPre=/bin/sh -c 'echo started >> ${countFile(unit)}'
ExecStart=/bin/sh -c '${command}'
Restart=no
END
systemctl daemon-reload
systemctl start ${unit}`);
}

export async function removeUnit(host: FleetHost, unit: string): Promise<void> {
  await host.run(
    `systemctl stop ${unit}; systemctl reset-failed ${unit}; rm -f /etc/systemd/system/${unit} ${countFile(unit)}; systemctl daemon-reload; true`,
  );
}

function configOf(place: Place, options: PlayOptions & { apiRoot: string; tokenFile: string }): object {
  const { host, hostKey, keyFile, unit } = place;
  return {
    defaultChecks: false,
    hosts: {
      web: {
        address: host.address,
        hostKeys: [hostKey],
        read: { user: 'lares', keyFile },
        act: { user: options.actAs ?? 'root', keyFile },
        ...options.host,
      },
    },
    checks: [
      { id: 'shop', kind: 'systemd-unit', host: 'web', units: [unit], every: '1s', for: '1s', ...options.check },
    ],
    people: { approvers: [101], operators: [102], readers: [103] },
    telegram: { token: { file: options.tokenFile }, apiRoot: options.apiRoot, chat: 101 },
    triage: { groupWait: '1s' },
    digest: { enabled: false },
    ...options.config,
  };
}
