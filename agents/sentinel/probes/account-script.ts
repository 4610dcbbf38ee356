import { asRootHead } from './as-root.ts';
import { scriptHead } from './host-answer.ts';

/**
 * What the option `sudo` lets the login run as root. Fingerprints only: no key, hash or password leaves the host. Without
 * a wildcard, which in sudoers also matches blanks and so further arguments.
 */
export const accountCommands = {
  passwords: 'passwd -S -a',
  modes: 'find -L /etc/sudoers /etc/sudoers.d -type f -exec stat -c %a:%U:%n {} +',
  sums: 'find -L /etc/sudoers /etc/sudoers.d -type f -exec sha256sum {} +',
  keys: 'find -L /root /home -maxdepth 3 -name authorized_keys -type f -print -exec ssh-keygen -lf {} ;',
};

/** Homes outside /home are looked at only as root itself: through sudo every argument is fixed. */
export const accountScript = String.raw`${scriptHead}${asRootHead}
homes() { cut -d: -f6 /etc/passwd | sort -u | while read -r home; do case $home in ''|/|/nonexistent|/root|/home/*|/proc*|/dev*) ;; *) [ -d "$home/.ssh" ] && printf '%s\n' "$home/.ssh"; esac; done; }
keys() {
  as_root find -L /root /home -maxdepth 3 -name authorized_keys -type f -print -exec ssh-keygen -lf '{}' ';'
  keys_code=$?
  [ "$sudo" = yes ] || homes | while read -r folder; do limit 3 find -L "$folder" -maxdepth 1 -name authorized_keys -type f -print -exec ssh-keygen -lf '{}' ';'; done
  # Where NixOS keeps them, for everybody to read.
  [ -d /etc/ssh/authorized_keys.d ] && limit 3 find -L /etc/ssh/authorized_keys.d -type f -print -exec ssh-keygen -lf '{}' ';'
  return $keys_code
}
part passwd cat /etc/passwd
part group cat /etc/group
part passwords as_root passwd -S -a
[ -e /etc/sudoers ] && part modes as_root find -L /etc/sudoers /etc/sudoers.d -type f -exec stat -c %a:%U:%n '{}' +
[ -e /etc/sudoers ] && part sums as_root find -L /etc/sudoers /etc/sudoers.d -type f -exec sha256sum '{}' +
has ssh-keygen && part keys keys
`;

/** Who did it and when: what the tools logged, and who was there. The argument is the file of the change or nothing. */
export const accountEvidenceScript = String.raw`${scriptHead}
tools() { limit 4 journalctl --no-pager -q -o json --since=-1d -n 25 -t useradd -t userdel -t usermod -t groupadd -t gpasswd -t chage -t passwd -t chpasswd -t sudo -t su; }
part tools tools
part files stat -c '%n changed %z, owner %U, mode %a' -- /etc/passwd /etc/group /etc/sudoers "$@"
part who who
part last last -n 8 -w
[ -r /var/log/dpkg.log ] && part packages sh -c 'tail -n 300 /var/log/dpkg.log | grep -E " (install|upgrade|remove) " | tail -n 8'
`;
