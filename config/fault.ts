import { Failure } from '#bus/failure.ts';
import type { Config } from './schema.ts';

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

/** The rest of a configuration with faults. */
interface UsableConfig {
  config: Config;
  /** The place of a value, as a fault tells it. */
  place: (path: ConfigPath) => Pick<ConfigFault, 'file' | 'line' | 'column'>;
}

/** Thrown with every fault that was found, not only the first. */
export class ConfigFailure extends Failure {
  readonly faults: readonly ConfigFault[];
  /** What can be looked at all the same, so that whoever knows more adds its faults. Paths are those of the file. */
  readonly usable: UsableConfig | undefined;

  constructor(faults: readonly ConfigFault[], usable?: UsableConfig) {
    const file = faults[0]?.file ?? 'the built-in defaults';
    const count = faults.length === 1 ? 'one fault' : `${faults.length} faults`;
    const first = faults[0] === undefined ? '' : `; the first: ${formatFault(faults[0])}`;
    super(`Cannot use the configuration "${file}": ${count}${first}`, { recoverable: false });
    this.faults = faults;
    this.usable = usable;
  }
}

/** One line for each fault: `lares.yaml:12:5 checks[3].url: must be ... (hint)`. */
export function formatFaults(failure: { faults: readonly ConfigFault[] }): string {
  return failure.faults.map(formatFault).join('\n');
}

function formatFault(fault: ConfigFault): string {
  const place = fault.file === undefined ? '' : `${fault.file}:${fault.line}:${fault.column} `;
  const path = fault.path.length === 0 ? '' : `${formatPath(fault.path)}: `;
  return `${place}${path}${fault.message}${fault.hint === undefined ? '' : ` (${fault.hint})`}`;
}

/** `checks[3].url`; a key that is not a plain word is quoted: `hosts["a.b"].port`. */
function formatPath(path: ConfigPath): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${JSON.stringify(part.slice(0, 80))}]`;
  }
  return text;
}

/** In the order of the file. */
export function inOrder(faults: readonly ConfigFault[]): ConfigFault[] {
  return faults.toSorted((a, b) => a.line - b.line || a.column - b.column);
}

/** Zod's messages in the words of the others: they begin with "must" or "is". */
export function plainMessage(message: string): string {
  const expected = /^Invalid input: expected (.+), received undefined$/.exec(message);
  if (expected !== null) return `is missing: must be ${expected[1]}`;
  return message
    .replace(/^Invalid input: expected (.+), received (.+)$/, 'must be $1, not $2')
    .replace(/^Invalid option: expected one of (.+)$/, 'must be one of $1')
    .replace(/^(?:Too small|Too big): expected \w+ to (?:be|have) /, 'must be ')
    .replace(/^Invalid URL$/, 'must be a URL such as https://example.org/')
    .replace(/^Invalid input$/, 'is not valid');
}
