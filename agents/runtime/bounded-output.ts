import type { CommandOutput } from './command.ts';

/** Both streams of a command, each in a number of bytes of its own. */
export class BoundedStreams {
  readonly stdout: BoundedOutput;
  readonly stderr: BoundedOutput;

  constructor(limitBytes = 65_536) {
    this.stdout = new BoundedOutput(limitBytes);
    this.stderr = new BoundedOutput(limitBytes);
  }

  get output(): CommandOutput {
    return {
      stdout: this.stdout.text(),
      stderr: this.stderr.text(),
      truncated: this.stdout.truncated || this.stderr.truncated,
    };
  }
}

/**
 * Keeps the beginning and the end of a stream in a fixed number of bytes, however much comes: the beginning says what
 * was done, the end says how it ended.
 */
export class BoundedOutput {
  readonly #headLimit: number;
  readonly #tailLimit: number;
  readonly #head: Buffer[] = [];
  #headBytes = 0;
  #tail: Buffer[] = [];
  #tailBytes = 0;
  #dropped = 0;

  constructor(limitBytes: number) {
    this.#headLimit = Math.floor(limitBytes / 2);
    this.#tailLimit = limitBytes - this.#headLimit;
  }

  get truncated(): boolean {
    return this.#dropped > 0;
  }

  push(chunk: Buffer): void {
    const room = this.#headLimit - this.#headBytes;
    if (room > 0) {
      this.#head.push(chunk.subarray(0, room));
      this.#headBytes += Math.min(room, chunk.length);
    }
    if (chunk.length <= Math.max(0, room)) return;
    this.#tail.push(chunk.subarray(Math.max(0, room)));
    this.#tailBytes += chunk.length - Math.max(0, room);
    // Joined only when twice the limit is held, so that a flood of small chunks costs linear time.
    if (this.#tailBytes > this.#tailLimit * 2) this.#trim();
  }

  /** The text so far; bytes that are no UTF-8 become U+FFFD. */
  text(): string {
    this.#trim();
    const head = Buffer.concat(this.#head).toString('utf8');
    const tail = Buffer.concat(this.#tail).toString('utf8');
    return this.truncated ? `${head}\n[${this.#dropped} bytes left out]\n${tail}` : joined(this.#head, this.#tail);
  }

  #trim(): void {
    if (this.#tailBytes <= this.#tailLimit) return;
    const all = Buffer.concat(this.#tail);
    this.#dropped += all.length - this.#tailLimit;
    // Copied: a view would keep the whole joined buffer alive.
    this.#tail = [Buffer.from(all.subarray(all.length - this.#tailLimit))];
    this.#tailBytes = this.#tailLimit;
  }
}

function joined(head: readonly Buffer[], tail: readonly Buffer[]): string {
  return Buffer.concat([...head, ...tail]).toString('utf8');
}
