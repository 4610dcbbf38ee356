import { scriptHead } from './host-answer.ts';

/** Fuzzers of one pattern that are looked at. */
export const maximumFuzzers = 50;
/** Newest inputs of each that are named. */
const namedInputs = 20;

/**
 * Argument: the output folder of afl-fuzz, in which `*` and `?` stand for text. Each fuzzer has a folder of its own below it;
 * a single one of old versions has none. Inputs are listed and never read.
 */
export const aflScript = String.raw`${scriptHead}
set +f
IFS=
inputs() {
  printf '%ss %s %s\n' "$1" "$n" "$(find "$2" -maxdepth 1 -type f -name 'id[:_]*' 2>/dev/null | wc -l | tr -d ' ')"
  find "$2" -maxdepth 1 -type f -name 'id[:_]*' -exec stat -c '%Y %n' -- {} + 2>/dev/null | sort -rn | head -n ${namedInputs} |
    while IFS= read -r line; do printf '%s %s %s %s\n' "$1" "$n" "\${line%% *}" "\${line##*/}"; done
}
fuzzers() {
  n=0
  for f in $1/fuzzer_stats $1/*/fuzzer_stats; do
    [ -e "$f" ] || continue
    n=$((n + 1))
    [ $n -gt ${maximumFuzzers} ] && break
    printf 'fuzzer %s %s\n' "$n" "$(printf %s "\${f%/fuzzer_stats}" | tr '\n' '?')"
    [ -r "$f" ] || { echo "closed $n"; continue; }
    head -c 8192 -- "$f" | grep -E '^(last_update|execs_per_sec|afl_banner) +:' | while IFS= read -r line; do printf 'stat %s %s\n' "$n" "$line"; done
    inputs crash "\${f%/fuzzer_stats}/crashes"
    inputs hang "\${f%/fuzzer_stats}/hangs"
  done
  if [ $n = 0 ]; then for f in $1; do said=$(stat -- "$f" 2>&1 >/dev/null) || printf 'none %s\n' "$(printf %s "$said" | head -n 1)"; done; fi
  true
}
part now date +%s
part fuzzers fuzzers "$1"
`.replaceAll('\\$', '$');

/** Inputs of one sort that a fuzzer saved: how many, and the newest by the time in which they were written (epoch ms). */
export interface Inputs {
  count: number;
  newest: { at: number; name: string }[];
}

export interface Fuzzer {
  path: string;
  isClosed: boolean;
  /** What it runs, in its own words. */
  banner: string;
  /** Epoch ms; 0 when it did not say. */
  updatedAt: number;
  executionsPerSecond: number;
  crashes: Inputs;
  hangs: Inputs;
}

const linePattern = /^(fuzzer|closed|stat|crash|crashs|hang|hangs) (\d{1,3})(?: (.*))?$/;

/** The lines of the script; `none` is why the folder could not be looked into. */
export function parseFuzzers(lines: readonly string[]): { fuzzers: Fuzzer[]; none?: string } {
  const found = new Map<string, Fuzzer>();
  for (const line of lines) {
    const [, word = '', number = '', rest = ''] = linePattern.exec(line) ?? [];
    if (word === 'fuzzer' && rest.startsWith('/')) found.set(number, emptyFuzzer(rest));
    else note(found.get(number), word, rest);
  }
  const none = lines.find((line) => line.startsWith('none '))?.slice(5);
  return { fuzzers: [...found.values()].slice(0, maximumFuzzers), ...(none !== undefined && { none }) };
}

function emptyFuzzer(path: string): Fuzzer {
  const nothing = (): Inputs => ({ count: 0, newest: [] });
  return {
    path,
    isClosed: false,
    banner: '',
    updatedAt: 0,
    executionsPerSecond: 0,
    crashes: nothing(),
    hangs: nothing(),
  };
}

function note(fuzzer: Fuzzer | undefined, word: string, rest: string): void {
  if (fuzzer === undefined) return;
  switch (word) {
    case 'closed':
      fuzzer.isClosed = true;
      return;
    case 'stat':
      noteStat(fuzzer, rest);
      return;
    case 'crash':
      noteInput(fuzzer.crashes, rest);
      return;
    case 'hang':
      noteInput(fuzzer.hangs, rest);
      return;
    case 'crashs':
      fuzzer.crashes.count = Number.parseInt(rest, 10) || 0;
      return;
    case 'hangs':
      fuzzer.hangs.count = Number.parseInt(rest, 10) || 0;
  }
}

/** `last_update       : 1795221657`. */
function noteStat(fuzzer: Fuzzer, rest: string): void {
  const [, key, value = ''] = /^(\w+) +: (.*)$/.exec(rest) ?? [];
  if (key === 'last_update') fuzzer.updatedAt = Number(value) * 1_000 || 0;
  if (key === 'execs_per_sec') fuzzer.executionsPerSecond = Number.parseFloat(value) || 0;
  if (key === 'afl_banner') fuzzer.banner = value;
}

function noteInput(inputs: Inputs, rest: string): void {
  const [, at, name] = /^(\d+) (id[:_].*)$/.exec(rest) ?? [];
  if (name !== undefined) inputs.newest.push({ at: Number(at) * 1_000, name });
}

/** Signals that a crash names, as `id:000000,sig:11,src:000000`. */
const signals: Record<string, string> = {
  '04': 'SIGILL',
  '06': 'SIGABRT',
  '07': 'SIGBUS',
  '08': 'SIGFPE',
  '11': 'SIGSEGV',
};

export function signalOf(name: string): string | undefined {
  const number = /[,:_]sig[:_](\d{2})/.exec(name)?.[1];
  return number === undefined ? undefined : (signals[number] ?? `signal ${Number(number)}`);
}
