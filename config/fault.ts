import { Failure } from '#bus/failure.ts';

/** Where a value stands in the configuration: keys and positions in lists. */
export type ConfigPath = readonly (string | number)[];

/** One thing that is wrong in the configuration, at the place where a person can mend it. */
export interface ConfigFault {
  /** Absent for the built-in defaults. */
  file?: string;
  line: number;
  column: number;
  path: ConfigPath;
  /** What is wrong; never holds a value that could be a secret. */
  message: string;
  /** How it is done right. */
  hint?: string;
}

/** Thrown with every fault that was found, not only the first. */
export class ConfigFailure extends Failure {
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[]) {
    const file = faults[0]?.file ?? 'the built-in defaults';
    const count = faults.length === 1 ? 'one fault' : `${faults.length} faults`;
    const first = faults[0] === undefined ? '' : `; the first: ${formatFault(faults[0])}`;
    super(`Cannot use the configuration "${file}": ${count}${first}`, { recoverable: false });
    this.faults = faults;
  }
}

/** One line for each fault: `lares.yaml:12:5 checks[3].url: must be ... (hint)`. */
export function formatFaults(failure: { faults: readonly ConfigFault[] }): string {
  return failure.faults.map(formatFault).join('\n');
}

export function formatFault(fault: ConfigFault): string {
  const place = fault.file === undefined ? '' : `${fault.file}:${fault.line}:${fault.column} `;
  const path = fault.path.length === 0 ? '' : `${formatPath(fault.path)}: `;
  return `${place}${path}${fault.message}${fault.hint === undefined ? '' : ` (${fault.hint})`}`;
}

/** `checks[3].url`; a key that is not a plain word is quoted: `hosts["a.b"].port`. */
export function formatPath(path: ConfigPath): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${JSON.stringify(part.slice(0, 80))}]`;
  }
  return text;
}
