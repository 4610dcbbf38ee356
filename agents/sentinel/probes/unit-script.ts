/** Read of every unit; `systemctl` prints them in its own order (trap of `-p`), one `Key=Value` a line. */
const properties =
  'Id,Names,LoadState,ActiveState,SubState,Result,Type,NRestarts,ExecMainStatus,TriggeredBy,Triggers,ConditionResult';

/**
 * Without arguments all services and everything that failed; with arguments just these units and what their timers
 * start. Arguments stand behind `--`, so a name never becomes an option. Names are read from systemd, which escapes
 * blanks in them; `set -f` keeps `*` from being a file pattern.
 */
export const unitScript = String.raw`
export LC_ALL=C
set -f
part() { name=$1; shift; echo; echo "@@$name"; "$@"; code=$?; echo; echo "@@end $name $code"; }
if ! [ -d /run/systemd/system ]; then echo; echo "@@none"; echo "@@end none 0"; exit 0; fi
show() { systemctl show --no-pager -p ${properties} "$@"; }
if [ -s /run/systemd/container ]; then part container cat /run/systemd/container; fi
if [ $# -gt 0 ]; then
  part units show -- "$@"
  triggered=$(systemctl show --no-pager -p Triggers --value -- "$@" 2>/dev/null)
  [ -n "$(echo $triggered)" ] && part triggered show -- $triggered
else
  part units show -- '*.service'
  part failed show --state=failed -- '*'
fi
exit 0
`;

/** The last lines of a unit and its status. */
export const unitEvidenceScript = String.raw`
export LC_ALL=C
part() { name=$1; shift; echo; echo "@@$name"; "$@" 2>/dev/null; echo; echo "@@end $name 0"; }
part journal journalctl --no-pager -o json -n 30 --unit="$1"
part status systemctl show --no-pager -p Result,ExecMainCode,ExecMainStatus,NRestarts,StateChangeTimestamp,FragmentPath,NeedDaemonReload,MemoryCurrent -- "$1"
exit 0
`;
