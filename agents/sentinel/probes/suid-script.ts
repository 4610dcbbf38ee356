import { scriptHead } from './host-answer.ts';

/**
 * Files that give the rights of their owner or a capability, on every local file system that honours them. The argument is
 * the seconds that all of it may take. `-xdev` keeps out of what is mounted below; foreign layers of containers are on the
 * disk of the host and are left out by path.
 */
export const suidScript = String.raw`${scriptHead}
seconds=$1
calm() { if has ionice; then nice -n 19 ionice -c 3 "$@"; else nice -n 19 "$@"; fi; }
# The kernel escapes blanks in mount points; those with any are left out.
mounts() { awk '$3 ~ /^(ext[234]|xfs|btrfs|zfs|f2fs|overlay|bcachefs|jfs|reiserfs)$/ && $4 !~ /(^|,)nosuid(,|$)/ && $2 !~ /\\/ && $2 !~ /^\/(var\/lib\/(docker|containers|containerd|lxc|machines)|run\/containerd)\// { print $2 }' /proc/mounts | sort -u; }
listed=$(mounts)
part mounts printf '%s\n' "$listed"
skip='-path /var/lib/docker -o -path /var/lib/containers -o -path /var/lib/containerd -o -path /var/lib/lxc -o -path /var/lib/machines -o -path /nix/store'
# One shell for all mounts, so that one limit holds for them together.
walk() { calm timeout -k 1 "$seconds" sh -c 'set -f; what=$1; skip=$2; shift 2
for mount in "$@"; do
  if [ "$what" = files ]; then find "$mount" -xdev \( $skip \) -prune -o -type f -perm /6000 -printf "%m:%u:%g:%s:%p\n" 2>/dev/null
  else find "$mount" -xdev \( $skip \) -prune -o -type f -perm /111 -exec getcap {} + 2>/dev/null; fi
done; true' sh "$1" "$skip" $listed; }
found=$(walk files); files_code=$?
show() { printf '%s\n' "$found"; return $files_code; }
sums() { printf '%s\n' "$found" | grep -E '^[0-7]+:' | cut -d: -f5- | head -n 500 | while read -r path; do sha256sum -- "$path" 2>/dev/null; done; true; }
part files show
part sums sums
has getcap && part caps walk caps
`;

/** Which package owns each path of the arguments, and what dpkg did since the day before yesterday. */
export const ownerScript = String.raw`${scriptHead}
owners() { for path in "$@"; do owner=$(dpkg -S -- "$path" 2>/dev/null || dpkg -S -- "$(printf %s "$path" | sed 's,^/usr,,')" 2>/dev/null); printf '%s %s\n' "$(printf %s "$owner" | head -n 1 | cut -d: -f1)" "$path"; done; }
since=$(date -d '2 days ago' '+%F %T' 2>/dev/null)
recent() { tail -n 3000 /var/log/dpkg.log | awk -v since="$since" '$0 >= since && ($3 == "install" || $3 == "upgrade") { print $1, $2, $3, $4, $6 }'; }
has dpkg && part owners owners "$@"
[ -r /var/log/dpkg.log ] && part recent recent
part files stat -c '%n mode %a owner %U:%G, changed %z' -- "$@"
`;
