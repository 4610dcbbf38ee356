import type { Observation, Threshold } from '#agents/sentinel/check.ts';
import { formatBytes } from './text.ts';

export interface MemoryUse {
  totalBytes: number;
  availableBytes: number;
  swapTotalBytes: number;
  swapFreeBytes: number;
}

const holdMs = 10 * 60_000;
const mebibyte = 1_024 ** 2;
/** A small container lives well with what would be the end of a server: from 8 GiB on 512 MiB, below that this share. */
const smallHostShare = 1 / 16;
/** So much more has to be available again before it is no longer critical. */
const recovered = 1.5;
/** Pages that come back from swap each second while a machine feels it; a few are the rest of a busy night. */
const swapInPagesPerSecond = 50;

function keyed(text: string): Map<string, number> {
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^(\w+(?:\([\w]+\))?):?\s+(?:\d+\s+)?(\d+)(?: kB)?$/.exec(line.trim());
    if (match !== null) values.set(match[1] ?? '', Number(match[2]));
  }
  return values;
}

/**
 * /proc/meminfo, and ZFS's arcstats where there are some: the ARC shrinks down to `c_min` when memory is wanted, but
 * MemAvailable counts it as used. Undefined when the text is not meminfo.
 */
export function parseMemory(meminfo: string, arcstats = ''): MemoryUse | undefined {
  const values = keyed(meminfo);
  const total = values.get('MemTotal');
  // Kernels before 3.14 and some containers have no MemAvailable.
  const available = values.get('MemAvailable') ?? sumOf(values, ['MemFree', 'Buffers', 'Cached']);
  if (total === undefined || total === 0 || available === undefined) return undefined;
  const arc = keyed(arcstats);
  const shrinkable = Math.max(0, (arc.get('size') ?? 0) - (arc.get('c_min') ?? 0));
  return {
    totalBytes: total * 1_024,
    availableBytes: Math.min(total * 1_024, available * 1_024 + shrinkable),
    swapTotalBytes: (values.get('SwapTotal') ?? 0) * 1_024,
    swapFreeBytes: (values.get('SwapFree') ?? 0) * 1_024,
  };
}

function sumOf(values: ReadonlyMap<string, number>, names: readonly string[]): number | undefined {
  let sum = 0;
  for (const name of names) {
    const value = values.get(name);
    if (value === undefined) return undefined;
    sum += value;
  }
  return sum;
}

/** Pages swapped in since boot, of /proc/vmstat. */
export function parseSwapIns(text: string): number | undefined {
  return keyed(text).get('pswpin');
}

export interface MemoryLimits {
  /** Percent used. */
  warning: number;
  /** Percent used; absent: `criticalFree` decides. */
  critical?: number | undefined;
  /** MiB available. */
  criticalFree: number;
}

/** Percent of memory that programs cannot get any more, against limits of which one is an amount. */
export function observeMemory(use: MemoryUse, limits: MemoryLimits): Observation {
  const percent = usedPercent(use, use.availableBytes);
  return {
    condition: 'memory-low',
    resource: 'memory',
    holdMs,
    summary: `memory is ${percent.toFixed(0)} % used, ${formatBytes(use.availableBytes)} of ${formatBytes(use.totalBytes)} available`,
    reading: {
      is: 'level',
      value: percent,
      unit: '%',
      bad: 'above',
      warning: { trigger: limits.warning, clear: limits.warning - 4 },
      critical: criticalMemory(use, limits),
    },
  };
}

function criticalMemory(use: MemoryUse, { critical, criticalFree }: MemoryLimits): Threshold {
  if (critical !== undefined) return { trigger: critical, clear: critical - 2 };
  const least = Math.min(criticalFree * mebibyte, use.totalBytes * smallHostShare);
  return { trigger: usedPercent(use, least), clear: usedPercent(use, least * recovered) };
}

function usedPercent({ totalBytes }: MemoryUse, availableBytes: number): number {
  return 100 * (1 - availableBytes / totalBytes);
}

/**
 * Percent of swap used. Full swap that nobody reads back is memory well spent, so it has thresholds only while pages
 * come back fast or memory is short as well.
 */
export function observeSwap(
  use: MemoryUse,
  swapInsPerSecond: number | undefined,
  limits: { warning: number; critical: number },
): Observation {
  const percent = (100 * (use.swapTotalBytes - use.swapFreeBytes)) / use.swapTotalBytes;
  const isShort = use.availableBytes < 0.1 * use.totalBytes;
  const matters = isShort || (swapInsPerSecond ?? 0) >= swapInPagesPerSecond;
  const rate = swapInsPerSecond === undefined ? '' : `, ${swapInsPerSecond.toFixed(0)} pages/s read back`;
  return {
    condition: 'swap-used',
    resource: 'swap',
    holdMs,
    summary: `swap is ${percent.toFixed(0)} % used of ${formatBytes(use.swapTotalBytes)}${rate}`,
    reading: {
      is: 'level',
      value: percent,
      unit: '%',
      bad: 'above',
      ...(matters && {
        warning: { trigger: limits.warning, clear: limits.warning - 10 },
        critical: { trigger: limits.critical, clear: limits.critical - 10 },
      }),
    },
  };
}
