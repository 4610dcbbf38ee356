import { randomUUID } from 'node:crypto';
import type { DigestMessage } from '#bus/messages/digest.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import type { Watched } from '../agent-watch.ts';
import type { Desk } from '../desk.ts';
import type { Spent } from '../llm/ledger.ts';
import { dueDigest, lastDueDay } from './due.ts';
import { collectFacts } from './facts.ts';
import { digestText } from './text.ts';

interface NightlyOptions {
  desk: Desk;
  spending: () => readonly Spent[];
  capEuro: number;
  agents: () => readonly Watched[];
  publish: (digest: DigestMessage) => void;
}

const dayMs = 24 * 60 * 60_000;

/** The digest of each night, made once, also after a night when nobody was awake. */
export interface Nightly {
  /** Makes the digest when it is due. */
  look(): void;
  /** The digest of the last day, on demand. */
  now(): string;
  /** The last one, for the bus to hold. */
  last(): DigestMessage | undefined;
}

export function createNightly(options: NightlyOptions): Nightly {
  const { desk } = options;
  const times = { at: desk.config.digest.at, timeZone: desk.config.digest.timezone };
  const text = (range: { from: number; missedDays: readonly string[] }): string => {
    const around = { spending: options.spending(), capEuro: options.capEuro, agents: options.agents() };
    return digestText(collectFacts(desk, { ...range, to: desk.now }, around), times.timeZone);
  };
  function make(due: { day: string; missed: string[] }, lastAt: number): void {
    const message: DigestMessage = {
      kind: 'nightly',
      day: due.day,
      // Never more than a month: the store answers for less than that in one message.
      text: text({ from: Math.max(lastAt, desk.now - 31 * dayMs), missedDays: due.missed }),
      at: toInstant(desk.now),
    };
    desk.store.digests.save(message);
    // Not by its day: a clock that was ahead may have made one of that day.
    desk.outbox.notice(`digest:${randomUUID()}`, { type: 'notice', text: message.text, silent: true });
    desk.journal('digest', due.day, { characters: message.text.length, missed: due.missed });
    desk.afterCommit(() => options.publish(message));
  }
  return {
    look() {
      if (!desk.config.digest.enabled) return;
      const last = desk.store.fact('digest.day');
      if (last === undefined) {
        // The first digest is that of the first night.
        desk.store.setFact('digest.day', lastDueDay(desk.now, times));
        desk.store.setFact('digest.at', String(desk.now));
        return;
      }
      const due = dueDigest(last, desk.now, times);
      if (due === undefined) return;
      desk.transact(() => {
        make(due, Number(desk.store.fact('digest.at') ?? desk.now - dayMs));
        desk.store.setFact('digest.day', due.day);
        desk.store.setFact('digest.at', String(desk.now));
      });
    },
    now: () => text({ from: desk.now - dayMs, missedDays: [] }),
    last: () => desk.store.digests.newest(),
  };
}
