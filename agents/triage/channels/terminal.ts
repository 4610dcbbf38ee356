import { createInterface, cursorTo, clearLine, type Interface } from 'node:readline';
import { messageOf } from '#bus/failure.ts';
import { systemClock, type Clock } from '#agents/runtime/clock.ts';
import { commandEntries, isCommandName } from '../people/command-list.ts';
import { timeOfDay } from '../render/moment.ts';
import { cardLines, changeLines, painter, typed, type TerminalStyle } from '../render/terminal-card.ts';
import { visibleLine, visibleText } from '../render/visible.ts';
import { wrap } from '../render/wrap.ts';
import {
  DeliveryFailure,
  type Card,
  type Channel,
  type ChannelHost,
  type Delivered,
  type Outbound,
  type Person,
  type Reference,
} from '../channel.ts';

interface TerminalOptions {
  input: NodeJS.ReadableStream;
  output: NodeJS.WritableStream & { columns?: number };
  /** Name of the person at the keyboard, `terminal:<user>` to the rest of Lares. */
  user: string;
  color: boolean;
  /** Whether somebody can type. Otherwise cards are printed without anything to press. */
  interactive: boolean;
  clock?: Clock;
  timeZone?: string;
}

export interface TerminalChannel extends Channel {
  /** Words of the program itself, above the prompt and what is being typed. */
  say(text: string): Promise<void>;
}

export function openTerminal(options: TerminalOptions): TerminalChannel {
  return new Terminal(options);
}

/** A button is pressed by its short word or by the name of what it does: `again 1` and `ask-again 1`. */
const pressWords: ReadonlySet<string> = new Set(Object.entries(typed).flat());

interface Shown {
  number: number;
  card: Card;
}

class Terminal implements TerminalChannel {
  readonly kind = 'terminal';
  readonly #options: TerminalOptions;
  readonly #person: Person;
  readonly #clock: Clock;
  /** By incident. Numbers are short because they are typed; they hold while the process lives. */
  readonly #shown = new Map<string, Shown>();
  #lines: Interface | undefined;
  #notices = 0;
  #lastNumber = 0;

  constructor(options: TerminalOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#person = { id: `terminal:${options.user}`, name: options.user };
  }

  async start(host: ChannelHost): Promise<void> {
    // Without a listener a closed pipe would end the process; `deliver` reports it.
    this.#options.output.on('error', ignoreClosedPipe);
    if (!this.#options.interactive) return;
    const { input, output } = this.#options;
    const terminal = 'isTTY' in input && input.isTTY === true && 'isTTY' in output && output.isTTY === true;
    this.#lines = createInterface({ input, output, terminal, prompt: this.#style().paint('dim', 'lares> ') });
    this.#lines.on('line', (line) => void this.#typed(host, line));
    // In raw mode Ctrl-C reaches this listener and nobody else; the process decides what it means.
    this.#lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
    const name = visibleLine(this.#options.user);
    await this.#print([`Incidents appear here. You are ${name}; type help for what you can do.`]);
  }

  async deliver(message: Outbound, previous: Reference | undefined, signal: AbortSignal): Promise<Delivered> {
    signal.throwIfAborted();
    if (message.type === 'notice') {
      await this.#print(this.#stamped(visibleText(message.text).trim().split('\n')), signal);
      this.#notices += 1;
      return { reference: `notice:${this.#notices}`, shownPlan: undefined };
    }
    const { card } = message;
    const known = this.#shown.get(card.incident);
    const shown = { number: known?.number ?? (this.#lastNumber += 1), card };
    const visible = this.#options.interactive ? card : { ...card, buttons: [] };
    await this.#print(this.#cardOrChange(visible, shown.number, previous === undefined ? undefined : known), signal);
    this.#remember(shown);
    return { reference: card.incident, shownPlan: this.#options.interactive ? card.plan?.id : undefined };
  }

  async say(text: string): Promise<void> {
    const lines = visibleText(text).split('\n');
    // In a file or a pipe a line is a line, so that it can be searched for.
    const isScreen = 'isTTY' in this.#options.output && this.#options.output.isTTY === true;
    const fitting = isScreen ? lines.flatMap((line) => wrap(line, this.#columns())) : lines;
    // What cannot be written here has no other place to go.
    await this.#print(fitting).catch(ignoreClosedPipe);
  }

  async stop(): Promise<void> {
    this.#lines?.close();
    this.#lines = undefined;
    this.#options.output.off('error', ignoreClosedPipe);
  }

  #cardOrChange(card: Card, number: number, known: Shown | undefined): string[] {
    if (known === undefined) return ['', ...cardLines(card, number, this.#style()), ''];
    const before = this.#options.interactive ? known.card : { ...known.card, buttons: [] };
    const lines = changeLines({ before, after: card, number }, this.#style());
    return lines.length === 0 ? [] : this.#stamped(lines, `#${number}`);
  }

  /** Time and number stand before the first line, the others are indented below it. */
  #stamped(lines: readonly string[], label = ''): string[] {
    const { paint } = this.#style();
    const time = paint('dim', timeOfDay(this.#clock.now(), this.#options.timeZone));
    const prefix = label === '' ? time : `${time} ${paint('bold', label)}`;
    const first = lines.findIndex((line) => line !== '');
    return lines
      .slice(Math.max(0, first))
      .map((line, index) => (index === 0 ? `${prefix}  ${line.trimStart()}` : `  ${line}`));
  }

  /** Incidents that ended are forgotten first, so that years of them do not fill the memory. */
  #remember(shown: Shown): void {
    this.#shown.delete(shown.card.incident);
    this.#shown.set(shown.card.incident, shown);
    const oldest = [...this.#shown.values()].find(({ card }) => card.endedAt !== undefined);
    if (this.#shown.size > 500 && oldest !== undefined) this.#shown.delete(oldest.card.incident);
  }

  async #typed(host: ChannelHost, line: string): Promise<void> {
    const [first = '', ...rest] = line.trim().split(/\s+/);
    const answer = first === '' ? '' : await this.#answer(host, first.replace(/^\//, '').toLowerCase(), rest);
    if (answer === '') await this.#print([]).catch(ignoreClosedPipe);
    else await this.say(answer);
  }

  async #answer(host: ChannelHost, word: string, rest: readonly string[]): Promise<string> {
    const shown = this.#numbered(rest[0]);
    const action = shown?.card.buttons.flat().find(({ action }) => action === word || typed[action] === word);
    try {
      if (action !== undefined && rest.length === 1) return await host.press(this.#person, action.token);
      if (!isCommandName(word)) return this.#unanswered(word, shown, rest);
      const argument = shown === undefined ? rest : [shown.card.incident, ...rest.slice(1)];
      const answer = await host.command(this.#person, word, argument.join(' '));
      return word === 'help' ? `${answer}\n${this.#help()}` : answer;
    } catch (error) {
      return `Cannot do that: ${messageOf(error)}`;
    }
  }

  #unanswered(word: string, shown: Shown | undefined, rest: readonly string[]): string {
    const isPress = pressWords.has(word);
    if (isPress && shown !== undefined) return `There is nothing to ${word} on #${shown.number} now.`;
    if (isPress && rest.length === 0) return this.#whichOne(word);
    return `Cannot understand "${word}".\n${this.#help()}`;
  }

  /** Nothing is pressed without its number: what was read may not be what is the only one by now. */
  #whichOne(word: string): string {
    const offering = [...this.#shown.values()].filter(({ card }) =>
      card.buttons.flat().some(({ action }) => action === word || typed[action] === word),
    );
    if (offering.length === 0) return `There is nothing to ${word} now.`;
    return `Say which: ${offering.map(({ number }) => `${word} ${number}`).join(' · ')}`;
  }

  #numbered(word: string | undefined): Shown | undefined {
    if (word === undefined || !/^#?\d{1,6}$/.test(word)) return undefined;
    const number = Number(word.replace('#', ''));
    return [...this.#shown.values()].find((shown) => shown.number === number);
  }

  #help(): string {
    const words = Object.values(typed).map((word) => `${word} 1`);
    const names = commandEntries.map(([name]) => name);
    return `On an incident, by its number: ${words.join(' · ')}\nAnywhere: ${names.join(' · ')}`;
  }

  #columns(): number {
    // A terminal that does not know its size says 0.
    const { columns = 0 } = this.#options.output;
    return columns === 0 ? 100 : Math.max(20, columns);
  }

  #style(): TerminalStyle {
    return { paint: painter(this.#options.color), columns: this.#columns(), timeZone: this.#options.timeZone };
  }

  /** Takes the prompt away, writes, and puts it back with what was typed so far. */
  async #print(lines: readonly string[], signal?: AbortSignal): Promise<void> {
    const { output } = this.#options;
    if (this.#lines?.terminal === true) {
      cursorTo(output, 0);
      clearLine(output, 0);
    }
    if (lines.length > 0) await written(output, `${lines.join('\n')}\n`, signal);
    if (this.#lines?.terminal === true) this.#lines.prompt(true);
  }
}

function ignoreClosedPipe(): void {
  // The write that failed has told its caller already.
}

function written(output: NodeJS.WritableStream, text: string, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal?.reason as Error);
    signal?.addEventListener('abort', abort, { once: true });
    output.write(text, (error) => {
      signal?.removeEventListener('abort', abort);
      if (error)
        reject(new DeliveryFailure(`Cannot write to the terminal: ${messageOf(error)}`, { recoverable: false }));
      else resolve();
    });
  });
}
