import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { askHost, linesOf, scriptHead } from '#agents/sentinel/probes/host-answer.ts';
import {
  type MountLine,
  parseMountLines,
  serverOf,
  type WantedMount,
  wantedIn,
} from '#agents/sentinel/probes/mounts.ts';
import { asleep, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';

const all = 'mounts';
const maximumMounts = 40;

const Path = z.string().regex(/^\/[^\n\0]{0,500}$/, 'must be a whole path');

const Mount = z.strictObject({
  path: Path.describe('Mount point.'),
  source: z.string().min(1).max(500).optional().describe('What has to be mounted, as 10.0.0.5:/tank/media.'),
  sentinel: z
    .string()
    .regex(/^[^/\n\0][^\n\0]{0,300}$/, 'must be a path below the mount point')
    .optional()
    .describe('A file below it that has to be there: an empty folder looks like a mount.'),
  notEmpty: z
    .boolean()
    .default(false)
    .describe('Whether something has to be in it, as in a bind mount of a container.'),
  readOnly: z.boolean().default(false).describe('Whether it may be mounted read-only.'),
});

const Options = z.strictObject({
  mounts: z
    .array(z.union([Path.transform((path) => Mount.parse({ path })), Mount]))
    .max(maximumMounts)
    .optional()
    .describe(
      'Mounts that have to be there, as paths or with what is known of them. Absent: the remote ones of /etc/fstab.',
    ),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'nfs-mount',
  about:
    'Mounts of NFS, SMB and sshfs that are missing, hang, went stale or read-only, or are empty. Never hangs itself.',
  options: Options,
  reach: 'host',
  resourceOf: () => all,
  observe,
  evidence: {
    about: 'whether the server answers at its port, the last lines of the kernel, the unit of the mount',
    gather,
  },
});

/**
 * Arguments: path and sentinel in pairs; none takes the remote mounts of fstab. A call into a dead mount may hang where
 * not even SIGKILL ends it (FUSE), so it runs apart: only its own pipe is open in it, and the script ends without it.
 * While one hangs at a mount point no other is sent after it: `lares-mount` in its arguments tells it.
 */
const script = String.raw`${scriptHead}
probe() {
  said=$(timeout -k 1 3 sh -c 'stat -f -c "lares-mount %b" -- "$1" >/dev/null || exit 3; [ -z "$2" ] || ls -d -- "$1/$2" >/dev/null || exit 4; [ -n "$(ls -A -- "$1" | head -n 1)" ] || exit 5' lares-mount "$1" "$2" 2>&1 </dev/null)
  code=$?
  printf 'at %s %s %s\n' "$3" "$code" "$(printf %s "$said" | tr '\n' ' ' | cut -c1-200)"
}
hanging() {
  set +f
  for f in $(grep -alF lares-mount /proc/[0-9]*/cmdline 2>/dev/null); do
    tr '\0' '\n' <"$f" 2>/dev/null | at=$1 awk '/^lares-mount( %b)?$/ { marked = 1 } $0 == ENVIRON["at"] { here = 1 } END { exit !(marked && here) }' || continue
    # One that began just now belongs to a look beside this one. The 22nd field is its start in hundredths of a second.
    awk 'NR == 1 { up = $1 } NR == 2 { exit !(up - $22 / 100 > 4) }' /proc/uptime "\${f%cmdline}stat" 2>/dev/null && echo hangs
  done | head -n 1
  set -f
}
points() { awk '$3 ~ /^(nfs4?|cifs|smb3|fuse\.sshfs|ceph|fuse\.glusterfs|fuse\.rclone)$/ { print $2 }' /proc/mounts | head -n ${maximumMounts}; }
probes() {
  n=0; pids=''
  while [ $# -gt 1 ]; do
    n=$((n + 1))
    if ! grep -qF " $(printf %s "$1" | sed 's/ /\\040/g') " /proc/mounts; then echo "at $n 6 no mount"
    elif [ -n "$(hanging "$1")" ]; then echo "at $n 137 an earlier look still hangs"
    else probe "$1" "$2" "$n" & pids="$pids $!"; fi
    shift 2
  done
  left=23
  while [ $left -gt 0 ] && [ -n "$pids" ]; do
    alive=''
    for p in $pids; do kill -0 "$p" 2>/dev/null && alive="$alive $p"; done
    pids=$alive; left=$((left - 1))
    [ -n "$pids" ] && sleep 0.2
  done
  for p in $pids; do kill -9 "$p" 2>/dev/null; done
  true
}
all() { set --; for p in $(points); do set -- "$@" "$(printf '%b' "$(printf %s "$p" | sed 's/\\0/\\00/g')")" ''; done; for p; do [ -n "$p" ] && echo "point $p"; done; probes "$@"; }
[ -r /proc/mounts ] && part mounts cat /proc/mounts
part table cat /etc/fstab
if [ $# -gt 0 ]; then part probes probes "$@"; else part probes all; fi
`.replaceAll('\\$', '$');

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const named = new Map((options.mounts ?? []).map(({ path, sentinel }) => [plain(path), sentinel ?? '']));
  const values = [...named].flat();
  const answer = await askHost(context, { script, values });
  if (!answer.ok) return [blind(answer.reason)];
  const mounted = answer.sections.get('mounts');
  if (mounted?.code !== 0) return [blind('/proc/mounts may not be read')];
  const table = answer.sections.get('table');
  if (options.mounts === undefined && table?.code !== 0) return [blind('/etc/fstab may not be read: name the mounts')];
  const wanted = options.mounts?.map((mount) => ({ ...mount, path: plain(mount.path) })) ?? wantedIn(table?.text ?? '');
  const mounts = new Map(parseMountLines(mounted.text).map((mount) => [mount.path, mount]));
  const probes = probesIn(linesOf(answer.sections, 'probes'), [...named.keys()]);
  const unique = [...new Map(wanted.map((mount) => [mount.path, mount])).values()];
  return [
    state({
      condition: 'mount-missing',
      resource: all,
      summary: `looked at ${counted(unique.length, 'mount')}`,
      ok: true,
      severity: 'critical',
    }),
    ...unique.flatMap((mount) => observeMount(mount, { found: mounts.get(mount.path), probe: probes.get(mount.path) })),
  ];
}

function plain(path: string): string {
  return path === '/' ? path : path.replace(/\/+$/, '');
}

function blind(reason: string): Observation {
  return unseen({ condition: 'mount-missing', resource: all }, reason);
}

interface Probe {
  code: number;
  said: string;
}

/** `at <number> <status> <words>`; without options the script lists its points itself, in the same order. */
function probesIn(lines: readonly string[], named: readonly string[]): Map<string, Probe> {
  const listed = lines.flatMap((line) => (line.startsWith('point ') ? [line.slice(6)] : []));
  const points = named.length > 0 ? named : listed;
  const answers = new Map<string, Probe>();
  for (const line of lines) {
    const match = /^at (\d+) (\d+) ?(.*)$/.exec(line);
    const point = points[Number(match?.[1]) - 1];
    if (match !== null && point !== undefined) answers.set(point, { code: Number(match[2]), said: match[3] ?? '' });
  }
  // What was sent and did not come back hangs where nothing ends it.
  for (const point of points) if (!answers.has(point)) answers.set(point, { code: 137, said: '' });
  return answers;
}

interface Seen {
  found: MountLine | undefined;
  probe: Probe | undefined;
}

function observeMount(wanted: WantedMount, { found, probe }: Seen): Observation[] {
  const source = wanted.source ?? found?.source;
  const said = {
    resource: wanted.path,
    labels: { path: oneLine(wanted.path, 300), ...(source !== undefined && { source: oneLine(source, 300) }) },
  };
  if (found === undefined || found.type === 'autofs') return [absent(wanted, said)];
  const missing = state({
    condition: 'mount-missing',
    ...said,
    summary: `${wanted.path} is mounted from ${found.source}`,
    ok: true,
    severity: 'critical',
  });
  const stale = responsiveness(wanted, said, probe);
  const isUp = stale.reading.is === 'state' && stale.reading.ok;
  return [
    missing,
    stale,
    ...writable(wanted, said, found),
    ...origin(wanted, said, found),
    ...(isUp ? content(wanted, said, probe) : []),
  ];
}

type Named = { resource: string; labels: Record<string, string> };

function absent(wanted: WantedMount, said: Named): Observation {
  const summary = `${wanted.path} is not mounted`;
  if (wanted.onDemand === true)
    return asleep({ condition: 'mount-missing', ...said, summary }, 'it is mounted on demand');
  return state({ condition: 'mount-missing', ...said, summary, ok: false, severity: 'critical' });
}

function responsiveness(wanted: WantedMount, said: Named, probe: Probe | undefined): Observation {
  const base = { condition: 'mount-stale', ...said };
  if (probe === undefined) return unseen(base, 'it was mounted during the look');
  const isHung = probe.code === 124 || probe.code === 137;
  const isRefused = /permission denied/i.test(probe.said);
  if (isRefused) return unseen(base, oneLine(probe.said, 200));
  const isBad = isHung || probe.code === 3;
  const why = isHung ? 'does not answer: whatever touches it hangs' : `is stale: ${oneLine(probe.said, 150)}`;
  return state({
    ...base,
    summary: isBad ? `${wanted.path} ${why}` : `${wanted.path} answers`,
    ok: !isBad,
    severity: 'critical',
  });
}

function writable(wanted: WantedMount, said: Named, found: MountLine): Observation[] {
  if (wanted.readOnly === true) return [];
  const isReadOnly = found.options.includes('ro');
  const summary = `${wanted.path} is mounted ${isReadOnly ? 'read-only' : 'to be written'}`;
  return [state({ condition: 'mount-read-only', ...said, summary, ok: !isReadOnly, severity: 'critical' })];
}

/** A server by name and by address are the same; another export or another machine is not told apart by that. */
function origin(wanted: WantedMount, said: Named, found: MountLine): Observation[] {
  if (wanted.source === undefined || /^(?:UUID|LABEL)=/.test(wanted.source)) return [];
  const isSame = plain(found.source) === plain(wanted.source);
  return [
    state({
      condition: 'mount-wrong-source',
      ...said,
      summary: isSame
        ? `${wanted.path} comes from ${found.source}`
        : `${wanted.path} comes from ${found.source}, not from ${wanted.source}`,
      ok: isSame,
      severity: 'warning',
    }),
  ];
}

function content(wanted: WantedMount, said: Named, probe: Probe | undefined): Observation[] {
  if (wanted.sentinel === undefined && wanted.notEmpty !== true) return [];
  const lacksSentinel = probe?.code === 4;
  const isEmpty = probe?.code === 5 && wanted.notEmpty === true;
  const what = lacksSentinel ? `lacks ${wanted.sentinel ?? ''}` : isEmpty ? 'is empty' : 'holds what it should';
  return [
    state({
      condition: 'mount-empty',
      ...said,
      summary: `${wanted.path} ${what}`,
      ok: !lacksSentinel && !isEmpty,
      severity: 'critical',
    }),
  ];
}

const evidenceScript = String.raw`${scriptHead}
port() { limit 2 bash -c 'exec 3<>"/dev/tcp/$1/$2"' bash "$1" "$2" >/dev/null 2>&1 && echo "$1 answers at port $2" || echo "$1 does not answer at port $2"; }
kernel() { limit 3 journalctl -k --no-pager -o short-iso -n 3000 2>/dev/null | grep -iE 'nfs|cifs|rpc|fuse' | tail -n 12; }
unit() { limit 2 systemctl show --no-pager -p ActiveState,SubState,Result,StateChangeTimestamp -- "$(systemd-escape -p --suffix=mount -- "$1")"; }
[ -n "$2" ] && has bash && part port port "$2" "$3"
part unit unit "$1"
part kernel kernel
`;

async function gather(_options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const path = observation.labels?.['path'] ?? '/';
  const source = observation.labels?.['source'] ?? '';
  const port = source.startsWith('//') ? '445' : source.includes('@') ? '22' : '2049';
  const answer = await askHost(context, {
    script: evidenceScript,
    values: [path, serverOf(source) ?? '', port],
    timeoutMs: 5_000,
  });
  if (!answer.ok) return [];
  return [
    ...evidenceOf('state', 'Server', linesOf(answer.sections, 'port')),
    ...evidenceOf(
      'state',
      `Mount unit of ${path}`,
      answer.sections.get('unit')?.code === 0 ? linesOf(answer.sections, 'unit') : [],
    ),
    ...evidenceOf('log', 'Kernel about remote file systems', linesOf(answer.sections, 'kernel')),
  ];
}
