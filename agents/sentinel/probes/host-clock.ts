import { oneLine } from './text.ts';

/** The host's time first and last, so that what lies between does not blur it; then what keeps its clock right. */
export const clockScript = String.raw`
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin:/usr/local/sbin"
part() { name=$1; shift; echo; echo "@@$name"; "$@" 2>/dev/null; code=$?; echo; echo "@@end $name $code"; }
part before date '+%s.%N'
[ -s /run/systemd/container ] && part container cat /run/systemd/container
command -v timedatectl >/dev/null 2>&1 && part timedatectl timeout -k 1 4 timedatectl show -p NTP -p NTPSynchronized -p Timezone
command -v chronyc >/dev/null 2>&1 && part tracking timeout -k 1 4 chronyc -n -c tracking
part after date '+%s.%N'
exit 0
`;

/** What chronyd, systemd-timesyncd or ntpd say of themselves. */
export const clockEvidenceScript = String.raw`
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin:/usr/local/sbin"
part() { name=$1; shift; echo; echo "@@$name"; timeout -k 1 3 "$@" 2>&1; echo; echo "@@end $name 0"; }
command -v chronyc >/dev/null 2>&1 && part sources chronyc -n sources
command -v chronyc >/dev/null 2>&1 && part tracking chronyc -n tracking
command -v timedatectl >/dev/null 2>&1 && part timesync timedatectl timesync-status
part journal journalctl --no-pager --quiet -o json -n 30 -u systemd-timesyncd -u chrony -u chronyd -u ntp -u ntpd -u ntpsec -u openntpd
exit 0
`;

/** `1790000000.123456789`; BusyBox has no `%N` and gives whole seconds. Epoch ms and how exact it is. */
export function parseHostTime(text: string): { ms: number; stepMs: number } | undefined {
  const match = /^(\d{9,11})(?!\d)(?:\.(\d{9}))?/.exec(text.trim());
  if (match === null) return undefined;
  const fraction = match[2];
  return { ms: Number(match[1]) * 1_000 + Number(fraction ?? 0) / 1e6, stepMs: fraction === undefined ? 1_000 : 0 };
}

/**
 * How far the host's clock certainly is from ours, in ms; 0 where the way there and back leaves it open. Its first time
 * was read after we began and its last before we ended: between these bounds lies the difference.
 */
export function offsetFloor(
  host: { first: { ms: number; stepMs: number }; last: { ms: number; stepMs: number } },
  ours: { beganAt: number; endedAt: number },
): number {
  const highest = host.first.ms + host.first.stepMs - ours.beganAt;
  const lowest = host.last.ms - ours.endedAt;
  if (lowest > 0) return lowest;
  return highest < 0 ? highest : 0;
}

/** Whether something keeps the clock right; undefined when neither program said. */
type Synchronisation = { isSynchronised: boolean; text: string } | undefined;

/** chrony knows more than the kernel's flag, so it is asked first. */
export function readSynchronisation(of: { tracking?: string; timedatectl?: string }): Synchronisation {
  return fromChrony(of.tracking ?? '') ?? fromTimedatectl(of.timedatectl ?? '');
}

/** `chronyc -c tracking`: fourteen fields with commas between, the last one the leap status. */
function fromChrony(text: string): Synchronisation {
  const fields = text.trim().split(',');
  if (fields.length < 14) return undefined;
  const leap = fields.at(-1) ?? '';
  const [, source = '', stratum = ''] = fields;
  const isSynchronised = /^(Normal|Insert second|Delete second)$/.test(leap);
  return { isSynchronised, text: oneLine(`chrony: ${leap}, stratum ${stratum}, source ${source || 'none'}`, 200) };
}

function fromTimedatectl(text: string): Synchronisation {
  const value = /^NTPSynchronized=(yes|no)$/m.exec(text)?.[1];
  if (value === undefined) return undefined;
  const service = /^NTP=yes$/m.test(text) ? 'its time service is on' : 'its time service is off or another one';
  return {
    isSynchronised: value === 'yes',
    text: `${value === 'yes' ? 'synchronised' : 'not synchronised'}, ${service}`,
  };
}
