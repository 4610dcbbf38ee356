import { z } from 'zod';
import type { CheckMemory, Observation } from '#agents/sentinel/check.ts';

/** Ticks since boot of all CPUs together. */
interface CpuTicks {
  idle: number;
  total: number;
}

/**
 * The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal; guests are part of user. A CPU
 * whose programs wait for a disk is idle: it is there for any other, and a backup that waits for hours is no trouble.
 */
export function parseCpuTicks(text: string): CpuTicks | undefined {
  const match = /^cpu +(\d+(?: \d+){3,9}) *$/m.exec(text);
  const ticks = (match?.[1] ?? '').split(' ').map(Number).slice(0, 8);
  const [, , , idle, waiting = 0] = ticks;
  if (match === null || idle === undefined) return undefined;
  return { idle: idle + waiting, total: ticks.reduce((sum, one) => sum + one, 0) };
}

/** Percent that was not idle between two readings; since boot when the machine was booted in between. */
export function busyPercent(before: CpuTicks, after: CpuTicks): number | undefined {
  const isBooted = after.total < before.total || after.idle < before.idle;
  const idle = after.idle - (isBooted ? 0 : before.idle);
  const total = after.total - (isBooted ? 0 : before.total);
  return total > 0 ? 100 * (1 - Math.min(1, idle / total)) : undefined;
}

/** So long it must be above the critical limit, over the time that a warning takes. */
const criticalForMs = 30 * 60_000;

const Known = z.object({ idle: z.number(), total: z.number(), highSince: z.number().nullable() });

/**
 * How busy the CPUs were since the look before. The first look only counts. Critical only after half an hour: short of
 * that a busy machine does its work.
 */
export function observeCpu(
  ticks: CpuTicks,
  limits: { warning: number; critical: number; lasts: number },
  of: { memory: CheckMemory; now: number },
): Observation[] {
  const before = Known.safeParse(of.memory.get('cpu')).data;
  const percent = before === undefined ? undefined : busyPercent(before, ticks);
  const isHigh = percent !== undefined && percent >= limits.critical;
  const highSince = isHigh ? (before?.highSince ?? of.now) : null;
  of.memory.set('cpu', { ...ticks, highSince });
  if (percent === undefined) return [];
  const isLasting = highSince !== null && of.now - highSince >= criticalForMs;
  return [
    {
      condition: 'cpu-high',
      resource: 'cpu',
      holdMs: limits.lasts,
      summary: `the CPUs are ${percent.toFixed(0)} % busy`,
      reading: {
        is: 'level',
        value: percent,
        unit: '%',
        bad: 'above',
        warning: { trigger: limits.warning, clear: limits.warning - 5 },
        ...(isLasting && { critical: { trigger: limits.critical, clear: limits.critical - 5 } }),
      },
    },
  ];
}
