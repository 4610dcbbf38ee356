/** The value below which `share` of them lie; NaN when there are none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** Runs both in turn, so that what else the machine does falls on both alike. */
export async function interleave<A, B>(
  rounds: number,
  pair: { ours: () => Promise<A>; floor: () => Promise<B> },
): Promise<{ ours: A[]; floor: B[] }> {
  const ours: A[] = [];
  const floor: B[] = [];
  for (let round = 0; round < rounds; round += 1) {
    if (round % 2 === 0) ours.push(await pair.ours());
    floor.push(await pair.floor());
    if (round % 2 === 1) ours.push(await pair.ours());
  }
  return { ours, floor };
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
