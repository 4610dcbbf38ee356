import type { PlannedHost, PlannedStep } from '#bus/messages/plan.ts';
import { markerOf, markerVariable, plainCommand } from './commands.ts';
import { shortened } from './probe.ts';
import type { Reach } from './reach.ts';

/** What still runs of a step. */
export type Leftovers =
  | { left: 'none' }
  /** One line per process, as the host shows it. */
  | { left: 'some'; processes: string[] }
  /** The host could not be asked. */
  | { left: 'unknown'; reason: string };

/**
 * Prints one line per process of a step, then `end`. $1 mode, $2 marker, $3 whether sudo took part, the rest the plain
 * command. A process belongs to the step when its environment holds the marker or an ancestor's does. sudo clears the
 * environment, so what lost its ancestors behind it is known by its exact command line only, that of an interpreter
 * before it left out; such a process is told but never killed, because it may be somebody else's. sudo is asked to end
 * and never killed: what it runs would lose its ancestors. Where /proc hides the processes of others (`hidepid`) nothing is known. Zombies are dead.
 */
const script = String.raw`
mode=$1; marker=$2; root=$3; shift 3
marked() {
  roots=$(grep -slzxF -e "${markerVariable}=$marker" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 | tr '\n' ' ')
  [ -n "$roots" ] || return 0
  cat /proc/[0-9]*/stat 2>/dev/null | awk -v roots="$roots" '
    { pid = $1; sub(/^.*\) /, ""); split($0, f, " "); state[pid] = f[1]; parent[pid] = f[2] }
    END {
      n = split(roots, r, " "); for (i = 1; i <= n; i++) hit[r[i]] = 1
      do { more = 0; for (p in parent) if (!(p in hit) && (parent[p] in hit)) { hit[p] = 1; more = 1 } } while (more)
      for (p in hit) if ((p in state) && state[p] != "Z" && state[p] != "X") print p
    }'
}
alike() {
  [ "$root" = yes ] || return 0
  want=$(printf '%s\n' "$@" | sed '1s,^.*/,,')
  for last; do :; done
  last=$(basename -- "$last")
  for d in /proc/[0-9]*; do
    have=$(tr '\0' '\n' 2>/dev/null <"$d/cmdline")
    case $have in *"$last") ;; *) continue ;; esac
    for first in 1 2 3; do
      [ "$(printf '%s\n' "$have" | sed -n "$first,\$p" | sed '1s,^.*/,,')" = "$want" ] && basename "$d"
    done
  done
}
stop() {
  for p in $(marked); do
    if [ "$root" = no ]; then kill -"$1" "$p" 2>/dev/null
    elif [ "$1" = TERM ] && kill -TERM "$p" 2>/dev/null; then :
    else kill -0 "$p" 2>/dev/null || sudo -n kill -"$1" "$p" 2>/dev/null
    fi
  done
}
gone() { n=$1; while [ "$n" -gt 0 ]; do [ -z "$(marked)" ] && return 0; sleep 0.1; n=$((n-1)); done; return 1; }
if [ "$mode" = stop ] && [ -n "$(marked)" ]; then stop TERM; gone 10 || { stop KILL; gone 30; }; fi
[ "$root" = no ] || cat /proc/1/cmdline >/dev/null 2>&1 || { echo 'processes of root are hidden from this login' >&2; exit 1; }
for p in $( { marked; alike "$@"; } | sort -un); do echo "$p $(tr '\0' ' ' 2>/dev/null <"/proc/$p/cmdline" | cut -c1-200)"; done
echo end
`;

const lookTimeoutMs = 30_000;

/**
 * Asks the host, over a channel of its own, what runs of a step; with `stop` it is ended first (SIGTERM, then SIGKILL
 * after a second). Closing a channel or a connection ends nothing on the host, so only this is proof.
 */
export async function leftovers(
  step: PlannedStep,
  host: PlannedHost,
  by: { reach: Reach; signal: AbortSignal; mode: 'look' | 'stop' },
): Promise<Leftovers> {
  const argv = ['sh', '-c', script, 'lares', by.mode, markerOf(step), step.sudo ? 'yes' : 'no', ...plainCommand(step)];
  const end = await by.reach.runner(host).run(argv, { timeoutMs: lookTimeoutMs, signal: by.signal });
  if (end.end !== 'exited') return { left: 'unknown', reason: 'reason' in end ? shortened(end.reason) : end.end };
  const lines = end.output.stdout.trimEnd().split('\n');
  if (lines.pop() !== 'end')
    return { left: 'unknown', reason: `the host cannot look: ${shortened(end.output.stderr)}` };
  return lines.length === 0 ? { left: 'none' } : { left: 'some', processes: lines.slice(0, 20).map(shortened) };
}
