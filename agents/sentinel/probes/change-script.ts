import { scriptHead } from './host-answer.ts';

/**
 * Ids of systemd's messages (systemd.messageids(7), catalog): a unit was started, stopped, failed with a result, failed
 * to start, was reloaded, is to be restarted; a process dumped core; the machine booted or shuts down; somebody logged in.
 */
export const messageIds = {
  started: '39f53479d3a045ac8e11786248231fbf',
  stopped: '9d1aaa27d60140bd96365438aad20286',
  failed: 'd9b373ed55a64feb8242e02dbe79a49c',
  startFailed: 'be02cf6855d2428ba40df7e9d022f03d',
  reloaded: '7b05ebc668384222baa8881179cfda54',
  restarting: '5eb03494b6584870a536b337290809b3',
  coredump: 'fc2e22bc6ee647b6b90729ab34a250b1',
  shutdown: '98268866d1d54a499c4e98921d93bc40',
  session: '8d45620c1a4348dbb17410da57c60c66',
} as const;

const matches = Object.values(messageIds)
  .map((id) => `MESSAGE_ID=${id}`)
  .join(' ');

/**
 * What changed on a host within a day, in one command without arguments: packages, generations of NixOS, units,
 * containers, files below /etc (names and times, never what is in them), boots and logins. Every part is bounded in
 * time and in lines; one whose tool is absent or not for this login says nothing.
 */
export const changeScript = String.raw`${scriptHead}
set +f
quiet() { "$@" 2>/dev/null; true; }
dpkg_log() { cat /var/log/dpkg.log.1 /var/log/dpkg.log | tail -n 3000 | grep -E ' (install|upgrade|remove|purge) ' | tail -n 150; }
apt_log() { tail -n 400 /var/log/apt/history.log | grep -E '^(Start-Date|Commandline|Requested-By): ' | tail -n 60; }
pacman_log() { tail -n 2000 /var/log/pacman.log | grep -E '\[ALPM\] (installed|upgraded|removed|downgraded) ' | tail -n 100; }
rpm_list() { limit 3 rpm -qa --qf '%{INSTALLTIME} %{NAME} %{VERSION}-%{RELEASE}\n' | sort -rn | head -n 100; }
generations() { limit 2 stat -c '%Y %n' /nix/var/nix/profiles/system-*-link | sort -rn | head -n 5; }
units() { limit 3 journalctl --no-pager -q -o json --output-fields=MESSAGE_ID,MESSAGE,UNIT,USER_ID,COREDUMP_COMM,COREDUMP_SIGNAL_NAME --since=-24h -n 400 ${matches}; }
containers() { limit 3 docker events --since 24h --until "$(date +%s)" --filter type=container --filter event=create --filter event=start --filter event=die --filter event=oom --format '{{.Time}} {{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.exitCode}}' | tail -n 60; }
etc() { limit 3 nice -n 19 find /etc -xdev -path /etc/lvm/backup -prune -o -path /etc/lvm/archive -prune -o -type f -cmin -1440 -printf '%C@ %p\0' | tr '\n\0' '?\n' | sort -rn | head -n 40; }
logins() { limit 2 last -w -n 20 --time-format iso; }
part time date '+%s %z'
part uptime cat /proc/uptime
[ -r /var/log/dpkg.log ] && part dpkg quiet dpkg_log
[ -r /var/log/apt/history.log ] && part apt quiet apt_log
[ -r /var/log/pacman.log ] && part pacman quiet pacman_log
has rpm && ! [ -e /var/lib/dpkg/status ] && part rpm quiet rpm_list
[ -d /nix/var/nix/profiles ] && part nix quiet generations
has journalctl && part units quiet units
has docker && part containers quiet containers
part etc quiet etc
has last && part logins quiet logins
`;
