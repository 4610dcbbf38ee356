import { scriptHead } from './host-answer.ts';

/**
 * What NixOS says of its generations. Arguments: the unit of the automatic update, a file of metrics or nothing, then
 * files that git-crypt may have left locked. A link's own time is when its generation was made.
 */
export const nixosScript = String.raw`${scriptHead}
unit=$1; metrics=$2; shift 2
if ! [ -e /run/current-system ] && ! has nixos-rebuild; then part none true; part done true; exit 0; fi
clock() { date +%s; date +%z; }
release() { cat /etc/os-release; }
links() {
  for name in /run/current-system /run/booted-system; do
    for part in kernel initrd kernel-modules; do echo "$name/$part $(readlink "$name/$part")"; done
  done
  echo "current $(readlink -f /run/current-system)"
  echo "profile $(readlink -f /nix/var/nix/profiles/system)"
  link=$(readlink /nix/var/nix/profiles/system) && echo "made $(stat -c %Y "/nix/var/nix/profiles/$link")"
  true
}
secrets() { for file in "$@"; do printf '%s ' "$(head -c 10 -- "$file" | od -An -c | tr -d ' \n')"; printf '%s\n' "$file"; done; }
part clock clock
part release release
part links links
has nixos-rebuild && part generations limit 6 nixos-rebuild list-generations --json
if has systemctl; then part unit limit 3 systemctl show -p LoadState,ActiveState,Result,ExecMainStatus,ExecMainExitTimestamp --timestamp=unix -- "$unit"; fi
[ -n "$metrics" ] && part metrics grep -E '^nixos_' -- "$metrics"
[ $# -gt 0 ] && part secrets secrets "$@" 2>/dev/null
`;

export const nixosEvidenceScript = String.raw`${scriptHead}
part journal limit 4 journalctl --no-pager -o json -n 30 --unit="$1"
has nixos-rebuild && part generations limit 6 nixos-rebuild list-generations --json
part version limit 3 nixos-version --json
`;
