import { z } from 'zod';
import { parseBlocks } from './host-answer.ts';
import { jsonOf } from './text.ts';

/** One timer of systemd; times are epoch ms. */
export interface Timer {
  name: string;
  activates: string;
  lastAt?: number;
  nextAt?: number;
  isActive: boolean;
  isEnabled: boolean;
  /** Its own conditions keep it from starting here, such as `ConditionVirtualization=!container`. */
  isExempt: boolean;
  /** False for a name that no unit has. */
  isLoaded: boolean;
  job: Job;
}

interface Job {
  isRunning: boolean;
  /** Since when it runs. */
  since?: number;
}

const microseconds = z.number().nullish();
const Listed = z.array(
  z.object({ unit: z.string().nullish(), activates: z.string().nullish(), next: microseconds, last: microseconds }),
);
const maximumTimers = 500;

/** `systemctl list-timers --all --output=json` (times in µs, 0 or null: none) and `systemctl show` of timers and their jobs. */
export function parseTimers(list: string, timerBlocks: string, jobBlocks: string): Timer[] | undefined {
  const listed = Listed.safeParse(jsonOf(list));
  if (!listed.success) return undefined;
  const states = new Map(parseBlocks(timerBlocks).map((block) => [block.get('Id') ?? '', block]));
  const jobs = new Map(parseBlocks(jobBlocks).map((block) => [block.get('Id') ?? '', block]));
  const entries = listed.data.filter(({ unit }) => isTimerName(unit ?? ''));
  const names = new Set(entries.map(({ unit }) => unit));
  // What was never started stands in no list.
  const stopped = [...states.keys()].filter((name) => !names.has(name) && isTimerName(name));
  const timerOf = (entry: Partial<(typeof entries)[number]>): Timer => {
    const name = entry.unit ?? '';
    const state = states.get(name);
    const activates = entry.activates ?? '';
    return {
      name,
      activates,
      ...timeOf('lastAt', entry.last),
      ...timeOf('nextAt', entry.next),
      isActive: state?.get('ActiveState') === 'active',
      isEnabled: state?.get('UnitFileState')?.startsWith('enabled') === true,
      isExempt: state?.get('ConditionResult') === 'no' && (state.get('ConditionTimestamp') ?? '') !== '',
      isLoaded: state === undefined || state.get('LoadState') !== 'not-found',
      job: jobOf(jobs.get(activates)),
    };
  };
  return [...entries, ...stopped.map((unit) => ({ unit }))]
    .slice(0, maximumTimers)
    .map(timerOf)
    .filter(({ isLoaded }) => isLoaded);
}

function isTimerName(name: string): boolean {
  return /^[A-Za-z0-9:_.@\\-]{1,255}\.timer$/.test(name);
}

function timeOf<K extends 'lastAt' | 'nextAt'>(key: K, value: number | null | undefined): Partial<Record<K, number>> {
  // A timer without a next time has 0, of old versions the largest number.
  if (value === null || value === undefined || value <= 0 || value > 4e15) return {};
  return { [key]: value / 1_000 } as Partial<Record<K, number>>;
}

/** Only a job that ends, so one of the type oneshot, can run for too long. */
function jobOf(block: ReadonlyMap<string, string> | undefined): Job {
  const state = block?.get('ActiveState');
  const isRunning = state === 'activating' || state === 'active' || state === 'reloading';
  const startedAt = Number(/^@(\d+)/.exec(block?.get('InactiveExitTimestamp') ?? '')?.[1]) * 1_000;
  const isJob = block?.get('Type') === 'oneshot' && state === 'activating';
  return { isRunning, ...(isJob && Number.isFinite(startedAt) && { since: startedAt }) };
}

/** What is remembered of a timer: its last start and the longest of the last gaps between starts, in ms. */
export interface TimerMemory {
  last: number;
  gaps: number[];
}

const keptGaps = 5;

export function rememberStart(before: TimerMemory | undefined, lastAt: number | undefined): TimerMemory | undefined {
  if (lastAt === undefined) return before;
  if (before === undefined) return { last: lastAt, gaps: [] };
  const gap = Math.round(lastAt - before.last);
  return gap <= 1_000 ? before : { last: lastAt, gaps: [...before.gaps, gap].slice(-keptGaps) };
}

/** The usual time between two starts: the plan where there is one, else what was seen. */
export function periodOf(timer: Timer, memory: TimerMemory | undefined): number | undefined {
  const seen = Math.max(0, ...(memory?.gaps ?? []));
  const planned = timer.nextAt !== undefined && timer.lastAt !== undefined ? timer.nextAt - timer.lastAt : 0;
  const period = Math.max(seen, planned);
  return period > 0 ? period : undefined;
}
