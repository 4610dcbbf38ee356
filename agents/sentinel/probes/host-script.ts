/**
 * Everything about a host in one command: a constant POSIX script whose arguments only switch parts on (`updates`,
 * `ports`). No value of a host or of the configuration becomes part of it. Works with coreutils and busybox; a part
 * whose tool is absent prints nothing and is not applicable.
 */
export const hostScript = String.raw`
export LC_ALL=C
has() { command -v "$1" >/dev/null 2>&1; }
# A dead mount makes df wait for ever; timeout -k ends it where the kernel lets it.
limit() { if has timeout; then timeout -k 1 "$@"; else shift; "$@"; fi; }
part() { name=$1; shift; echo; echo "@@$name"; "$@" 2>/dev/null; code=$?; echo; echo "@@end $name $code"; }
blocks() { limit 4 df -PkT -l || limit 4 df -PkT; }
inodes() { limit 4 df -Pi -l || limit 4 df -Pi; }
container() {
  if [ -s /run/systemd/container ]; then cat /run/systemd/container
  elif [ -e /.dockerenv ]; then echo docker
  elif [ -e /run/.containerenv ]; then echo podman
  elif tr '\0' '\n' </proc/1/environ | grep -q '^container='; then echo container
  else echo none; fi
}
cpus() { if has nproc; then nproc; else grep -c '^processor' /proc/cpuinfo; fi; }
reboot() {
  if [ -e /run/reboot-required ]; then echo required; head -n 20 /run/reboot-required.pkgs
  elif [ -e /run/booted-system ] && [ "$(readlink /run/booted-system/kernel)" != "$(readlink /run/current-system/kernel)" ]; then echo required; echo kernel
  elif has apt-get || [ -e /run/booted-system ]; then echo no; fi
}
ports() {
  if has ss; then ss -Hltnup
  else for f in tcp tcp6 udp udp6; do [ -r /proc/net/$f ] && { echo "proc $f"; cat /proc/net/$f; }; done; true; fi
}
updates() { limit 8 nice -n 19 apt-get -s -o Debug::NoLocking=true upgrade; }
part time date +%s
part container container
part mounts cat /proc/mounts
part blocks blocks
part inodes inodes
part meminfo cat /proc/meminfo
part vmstat grep '^pswpin ' /proc/vmstat
[ -r /proc/spl/kstat/zfs/arcstats ] && part arc grep -E '^(size|c_min) ' /proc/spl/kstat/zfs/arcstats
part loadavg cat /proc/loadavg
part cpus cpus
part stat grep '^cpu ' /proc/stat
if has timedatectl && [ -d /run/systemd/system ]; then part clock limit 3 timedatectl show -p NTP -p NTPSynchronized
elif has chronyc; then part clock limit 3 chronyc -c tracking; fi
part reboot reboot
for wanted in "$@"; do
  case $wanted in
    ports) part ports ports ;;
    updates) has apt-get && part updates updates ;;
  esac
done
exit 0
`;

/**
 * Looks around after a finding: the arguments are the topic and, for `filesystem`, the mount point, which reaches only
 * `du` and behind `--`. Command names without their arguments, because arguments hold passwords.
 */
export const hostEvidenceScript = String.raw`
export LC_ALL=C
has() { command -v "$1" >/dev/null 2>&1; }
limit() { if has timeout; then timeout -k 1 "$@"; else shift; "$@"; fi; }
part() { name=$1; shift; echo; echo "@@$name"; "$@" 2>/dev/null; echo; echo "@@end $name 0"; }
largest() { limit 8 nice -n 19 du -xkd 3 -- "$1" | sort -rn | head -n 12; }
by_memory() { ps -eo rss,pid,user,comm --sort=-rss | head -n 11; }
by_cpu() { ps -eo pcpu,pid,stat,user,comm --sort=-pcpu | head -n 11; }
case $1 in
  filesystem) part largest largest "$2" ;;
  memory) part memory by_memory ;;
  load) part cpu by_cpu ;;
esac
exit 0
`;
