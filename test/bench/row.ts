/** When a row is met. `added` is ours less the floor. Every number is a cost: less is better. */
export interface Aim {
  of: 'ours' | 'ratio' | 'added';
  atMost: number;
}

export interface Row {
  name: string;
  ours: number;
  /** What the same work costs without Lares, or in the peer, measured in the same run. */
  floor: number;
  against: string;
  unit: string;
  aim?: Aim;
}

/** One thing to measure, by the name that `npm run bench <name>` takes. */
export interface Bench {
  about: string;
  /** Why it cannot run here, or undefined. */
  missing?: () => Promise<string | undefined>;
  run(say: (progress: string) => void): Promise<Row[]>;
}

export interface JudgedRow extends Row {
  ratio: number;
  /** Undefined when the row has no aim. */
  met: boolean | undefined;
}

export function judge(row: Row): JudgedRow {
  const ratio = row.ours / row.floor;
  if (row.aim === undefined) return { ...row, ratio, met: undefined };
  const value = { ours: row.ours, ratio, added: row.ours - row.floor }[row.aim.of];
  return { ...row, ratio, met: value <= row.aim.atMost };
}

const heads = ['', 'ours', 'floor', 'unit', 'ratio', 'aim', 'met', 'floor is'];

export function tableOf(rows: readonly JudgedRow[]): string {
  const cells = rows.map((row) => [
    row.name,
    short(row.ours),
    short(row.floor),
    row.unit,
    short(row.ratio),
    row.aim === undefined ? '' : `${row.aim.of} <= ${row.aim.atMost}`,
    row.met === undefined ? '' : row.met ? 'yes' : 'NO',
    row.against,
  ]);
  const lines = [heads, ...cells];
  const widths = heads.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Three digits that matter. */
function short(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : '-';
}
