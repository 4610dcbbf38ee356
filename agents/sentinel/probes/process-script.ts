import { scriptHead } from './host-answer.ts';

/**
 * All processes in four readings of /proc. Processes of containers are left out of the search for lost binaries: their
 * files are not ours. Root sees the file of each process (`exe`); anybody sees the path it was started by, which tells
 * when nothing is there any more. Pids after `--` get their open files counted, which only root and their owner may.
 */
export const processScript = String.raw`${scriptHead}
set +f
stats() { cat /proc/[0-9]*/stat 2>/dev/null; true; }
commands() { grep -aH '' /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | cut -c1-1200; true; }
contained() { grep -lE 'docker|lxc|libpod|kubepods|machine\.slice|containerd|nspawn|app-flatpak' /proc/[0-9]*/cgroup 2>/dev/null | cut -d/ -f3 | tr '\n' ' '; }
unit_of() { sed -n 's|.*/\([^/]*\.service\).*|\1|p' "/proc/$1/cgroup" 2>/dev/null | head -n 1; }
report() { u=$(unit_of "$2"); echo "$1 $2 $(echo "$u" | grep . || echo -) $3"; }
lost() {
  inside=" $(contained)"
  own=$(grep -cE 'docker|lxc|libpod|kubepods|machine\.slice|containerd|nspawn' /proc/self/cgroup)
  seen=' '
  for link in $(ls -l /proc/[0-9]*/exe 2>/dev/null | sed -n 's|.* /proc/\([0-9]*\)/exe -> \(/.*\) (deleted)$|\1\2|p' | tr ' ' '?' | head -n 100); do
    pid=$(echo "$link" | cut -d/ -f1); path=/$(echo "$link" | cut -d/ -f2-)
    case $path in /memfd:*|/dev/*|/proc/*|/tmp/*|/var/tmp/*|/run/*|*'?'*) continue ;; esac
    [ "$own" = 0 ] && case $inside in *" $pid "*) continue ;; esac
    seen="$seen$pid "
    if [ -e "$path" ]; then report replaced "$pid" "$path"; else report gone "$pid" "$path"; fi
  done
  grep -aH '' /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\t' | sed -n 's|^/proc/\([0-9]*\)/cmdline:\(/[^	 ]*\).*|\1 \2|p' | while read -r pid path; do
    [ -e "$path" ] && continue
    case $path in /usr/*|/opt/*|/bin/*|/sbin/*|/var/*|/lib/*|/srv/*) ;; *) continue ;; esac
    case $seen in *" $pid "*) continue ;; esac
    [ "$own" = 0 ] && case $inside in *" $pid "*) continue ;; esac
    # A parent folder that may not be entered hides the file as well as its absence.
    dir=\${path%/*}; while [ -n "$dir" ] && ! [ -e "$dir" ]; do dir=\${dir%/*}; done
    { [ -x "\${dir:-/}" ] && [ -r "\${dir:-/}" ]; } && report gone "$pid" "$path"
  done
}
files() { for p in "$@"; do limit=$(sed -n 's/^Max open files *\([0-9]*\).*/\1/p' "/proc/$p/limits" 2>/dev/null); count=$(ls "/proc/$p/fd" 2>/dev/null | wc -l); echo "$p $count $limit"; done; }
if [ $# -gt 0 ]; then part files files "$@"; else
part units sh -c 'echo "$(getconf CLK_TCK) $(getconf PAGESIZE)"'
part uptime cat /proc/uptime
part stats stats
part commands commands
part lost lost
fi
`.replaceAll('\\$', '$');

/** Removed packages whose configuration is left, for whoever asks why a binary is gone; and what the log says of them. */
export const removedScript = String.raw`${scriptHead}
removed() { dpkg-query -W -f '\${db:Status-Abbrev} \${binary:Package}\n' 2>/dev/null | sed -n 's/^rc *//p' | head -n 30; }
part removed removed
part processes sh -c 'ps -eo rss,pcpu,pid,user,comm --sort=-rss | head -n 11'
`.replaceAll('\\$', '$');
