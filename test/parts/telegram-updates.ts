import { ApiError } from './telegram-chat.ts';

interface Waiter {
  finish: () => void;
  fail: (error: ApiError) => void;
}

/** The queue behind `getUpdates`: held requests, offsets as acknowledgement, one poller at a time. */
export class Updates {
  #queue: { update_id: number }[] = [];
  #lastId = 700_000_000;
  #waiting: Waiter | undefined;

  get pending(): number {
    return this.#queue.length;
  }

  /** Whether a bot is asking right now. */
  get isPolled(): boolean {
    return this.#waiting !== undefined;
  }

  push(fields: Record<string, unknown>): void {
    this.#lastId += 1;
    this.#queue.push({ update_id: this.#lastId, ...fields });
    this.#waiting?.finish();
  }

  /** The newer of two pollers wins, as on Telegram. */
  async poll(fields: Record<string, unknown>, closed: AbortSignal): Promise<{ update_id: number }[]> {
    const conflict =
      'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running';
    this.#waiting?.fail(new ApiError(409, conflict));
    this.#acknowledge(fields['offset'] === undefined ? 0 : Number(fields['offset']));
    const timeoutMs = Math.min(50, Number(fields['timeout'] ?? 0)) * 1_000;
    if (this.#queue.length === 0 && timeoutMs > 0) await this.#hold(timeoutMs, closed);
    return this.#queue.slice(0, Math.min(100, Number(fields['limit'] ?? 100)));
  }

  #acknowledge(offset: number): void {
    if (offset < 0) this.#queue = this.#queue.slice(offset);
    else this.#queue = this.#queue.filter((update) => update.update_id >= offset);
  }

  #hold(timeoutMs: number, closed: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        closed.removeEventListener('abort', waiter.finish);
        if (this.#waiting === waiter) this.#waiting = undefined;
      };
      const waiter: Waiter = {
        finish: () => {
          end();
          resolve();
        },
        fail: (error) => {
          end();
          reject(error);
        },
      };
      const timer = setTimeout(waiter.finish, timeoutMs);
      closed.addEventListener('abort', waiter.finish);
      this.#waiting = waiter;
    });
  }
}
