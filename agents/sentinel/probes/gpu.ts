import type { Observation } from '#agents/sentinel/check.ts';
import { level } from './reading.ts';
import { oneLine } from './text.ts';

/** Order of the columns that are asked for. */
export const gpuColumns = 'index,uuid,name,temperature.gpu,utilization.gpu,memory.used,memory.total,power.draw';

interface Gpu {
  index: string;
  uuid: string;
  name: string;
  /** Celsius. NaN where the card does not tell: `[N/A]`. */
  celsius: number;
  usedPercent: number;
  memoryUsedMib: number;
  memoryTotalMib: number;
  watts: number;
}

const maximumGpus = 32;

/** `--format=csv,noheader,nounits`: values divided by a comma and a blank; names of cards hold no comma. */
export function parseGpus(text: string): Gpu[] {
  return text
    .split('\n')
    .slice(0, maximumGpus)
    .flatMap((line) => {
      const [index = '', uuid = '', name = '', ...values] = line.split(',').map((value) => value.trim());
      if (!/^\d+$/.test(index) || values.length !== 5) return [];
      const [celsius, usedPercent, memoryUsedMib, memoryTotalMib, watts] = values.map(numberIn);
      return [
        {
          index,
          uuid: oneLine(uuid, 60),
          name: oneLine(name, 60),
          celsius: celsius ?? Number.NaN,
          usedPercent: usedPercent ?? Number.NaN,
          memoryUsedMib: memoryUsedMib ?? Number.NaN,
          memoryTotalMib: memoryTotalMib ?? Number.NaN,
          watts: watts ?? Number.NaN,
        },
      ];
    });
}

function numberIn(text: string): number {
  return /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
}

interface GpuLimits {
  temperature: { warning: number; critical: number };
  memory?: { warning: number; critical: number } | undefined;
}

export function observeGpu(gpu: Gpu, limits: GpuLimits): Observation[] {
  const resource = `GPU ${gpu.index}`;
  const said = { resource, labels: { gpu: gpu.index, model: gpu.name } };
  const found: Observation[] = [];
  if (Number.isFinite(gpu.celsius)) {
    found.push(
      level({
        condition: 'gpu-hot',
        ...said,
        holdMs: 300_000,
        summary: `${resource} (${gpu.name}) has ${gpu.celsius} °C at ${gpu.usedPercent} % use and ${gpu.watts} W`,
        value: gpu.celsius,
        unit: '°C',
        bad: 'above',
        ...limits.temperature,
      }),
    );
  }
  if (gpu.memoryTotalMib > 0 && Number.isFinite(gpu.memoryUsedMib)) {
    found.push(
      level({
        condition: 'gpu-memory-full',
        ...said,
        summary: `${resource} (${gpu.name}) uses ${gpu.memoryUsedMib} of ${gpu.memoryTotalMib} MiB`,
        value: Math.round((1_000 * gpu.memoryUsedMib) / gpu.memoryTotalMib) / 10,
        unit: '%',
        bad: 'above',
        ...limits.memory,
      }),
    );
  }
  return found;
}

/** Xids that a program causes itself (a fault in its own shader) and that harm nothing else. */
const harmlessXids = new Set(['13', '31', '43', '45']);

/** `NVRM: Xid (PCI:0000:01:00): 79, pid=..., GPU has fallen off the bus.` of the kernel. */
export function xidsIn(lines: readonly string[]): { xid: string; line: string; isHarmless: boolean }[] {
  return lines.slice(-50).flatMap((line) => {
    const xid = /NVRM: Xid \([^)]*\): (\d+)/.exec(line)?.[1];
    return xid === undefined ? [] : [{ xid, line: oneLine(line, 200), isHarmless: harmlessXids.has(xid) }];
  });
}
