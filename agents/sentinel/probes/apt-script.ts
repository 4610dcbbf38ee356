import { scriptHead } from './host-answer.ts';

/**
 * Everything that apt and dpkg say without root. `dist-upgrade` is only simulated: `upgrade` leaves out what needs a new
 * package, and so every security update of a kernel. The argument is the time that apt and needrestart may take, in seconds.
 */
export const aptScript = String.raw`${scriptHead}
if ! has apt-get || ! has dpkg-query; then part none true; part done true; exit 0; fi
stamps() { set +f; stat -c '%Y %n' /var/lib/apt/lists/partial /var/lib/apt/lists /var/lib/apt/periodic/*update*stamp 2>/dev/null; set -f; true; }
# A repository whose key has expired is not renewed although apt-get update ends with 0: its own date tells.
valid() { set +f; grep -m1 -H '^Valid-Until:' /var/lib/apt/lists/*InRelease /var/lib/apt/lists/*_Release 2>/dev/null; set -f; true; }
reboot() {
  if [ -e /run/reboot-required ]; then stat -c 'required %Y' /run/reboot-required; sort -u /run/reboot-required.pkgs 2>/dev/null | head -n 20
  else echo no; fi
}
# Without -r l it could ask or restart.
services() { limit "$1" nice -n 19 needrestart -b -r l 2>/dev/null; }
release() { cat /etc/os-release 2>/dev/null || cat /usr/lib/os-release; }
ends() { cat /usr/share/distro-info/debian.csv /usr/share/distro-info/ubuntu.csv 2>/dev/null; true; }
part now date +%s
part release release
part ends ends
part pending limit "$1" nice -n 19 apt-get -s -o Debug::NoLocking=true dist-upgrade
part held limit 5 apt-mark showhold
part audit limit 10 dpkg --audit
part states dpkg-query -W -f='$''{db:Status-Abbrev}|$''{Package}\n'
part stamps stamps
part valid valid
part reboot reboot
part automatic limit 5 apt-config dump APT::Periodic
if [ -d /run/systemd/system ]; then
  part units limit 5 systemctl show -p Id,LoadState,ActiveState,Result,UnitFileState,ExecMainStatus -- apt-daily.service apt-daily-upgrade.service apt-daily.timer apt-daily-upgrade.timer unattended-upgrades.service
fi
has needrestart && part services services "$1"
`;

/** What was installed lately and by whom, and what the automatic updates said last. */
export const aptEvidenceScript = String.raw`${scriptHead}
history() { tail -n 400 /var/log/apt/history.log | grep -E '^(Start-Date|Commandline|Requested-By|Upgrade|Install|Remove|Purge|Error)' | cut -c1-300 | tail -n 24; }
part pending sh -c 'timeout -k 1 10 nice -n 19 apt-get -s -o Debug::NoLocking=true dist-upgrade 2>/dev/null | grep "^Inst" | head -n 200'
part audit limit 5 dpkg --audit
[ -r /var/log/apt/history.log ] && part history history
[ -r /var/log/unattended-upgrades/unattended-upgrades.log ] && part automatic tail -n 15 /var/log/unattended-upgrades/unattended-upgrades.log
if [ -d /run/systemd/system ]; then part journal limit 4 journalctl --no-pager -o json -n 15 -u apt-daily.service -u apt-daily-upgrade.service; fi
`;
