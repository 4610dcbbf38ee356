/** What renews certificates by a schedule of the host. */
export const renewers = ['certbot', 'acme-sh'] as const;
export type Renewer = (typeof renewers)[number];

/**
 * The certificates of files, and who renews them. The first argument is the renewer or `none`, the others are absolute paths in
 * which `*` stands for any name. Of a file nothing is printed but lines of base64 between the marks of a certificate, so
 * that a key in the same file stays there and no file can print what looks like another one's head. Names with control
 * characters are left out.
 */
export const certificateScript = String.raw`
export LC_ALL=C
part() { name=$1; shift; echo; echo "@@$name"; "$@" 2>/dev/null; code=$?; echo; echo "@@end $name $code"; }
limit() { if command -v timeout >/dev/null 2>&1; then timeout -k 1 "$@"; else shift; "$@"; fi; }
pem() {
  limit 3 head -c 262144 -- "$1" | sed -n '/^-----BEGIN CERTIFICATE-----/,/^-----END CERTIFICATE-----/p' |
    tr -d '\r' | grep -E '^(-----(BEGIN|END) CERTIFICATE-----|[A-Za-z0-9+/=]{1,80})$' | head -n 400
}
one() {
  case $1 in *[![:print:]]*) return ;; esac
  if [ -f "$1" ] && [ -r "$1" ]; then echo "file $(stat -L -c %Y -- "$1") $1"; pem "$1"
  elif [ -e "$1" ] || [ -L "$1" ]; then echo "locked $1"; fi
}
# A pattern without a file: whether there is none or this user may not see them.
nothing() {
  at=$1
  case $at in *'*'*) at=$(printf %s "$at" | sed 's/[*].*//') ;; esac
  at=$(printf %s "$at" | sed 's:/[^/]*$::')
  while [ -n "$at" ] && [ ! -e "$at" ]; do at=$(printf %s "$at" | sed 's:/[^/]*$::'); done
  if [ -z "$at" ] || { [ -r "$at" ] && [ -x "$at" ]; }; then echo "none $1"; else echo "hidden $at $1"; fi
}
files() {
  IFS=
  count=0
  for pattern in "$@"; do
    found=
    for path in $pattern; do
      [ -e "$path" ] || [ -L "$path" ] || continue
      found=1
      count=$((count + 1))
      [ $count -gt 200 ] && { echo "more"; return; }
      one "$path"
    done
    [ -n "$found" ] || nothing "$pattern"
  done
}
units() { limit 4 systemctl show --no-pager -p Id,LoadState,ActiveState,Result -- "$@"; }
tables() { grep -hsE "$1" /etc/crontab /etc/cron.d/* /etc/cron.hourly/* /etc/cron.daily/* /etc/cron.weekly/* | grep -v '^ *#' | head -n 20; }
own() { limit 2 crontab -l | grep -E "$1" | grep -v '^ *#' | head -n 20; }
renewer=$1
shift
part files files "$@"
[ -d /run/systemd/system ] && part systemd true
case $renewer in
  certbot)
    part units units certbot.timer snap.certbot.renew.timer certbot-renew.timer certbot.service snap.certbot.renew.service certbot-renew.service
    part cron tables certbot
    part crontab own certbot ;;
  acme-sh)
    part units units acme.sh.timer acme-sh.timer acmesh.timer acme_letsencrypt.timer acme.sh.service acme-sh.service acmesh.service acme_letsencrypt.service
    part cron tables 'acme\.sh'
    part crontab own 'acme\.sh' ;;
esac
[ -r /var/spool/cron/crontabs ] && part spool sh -c 'cat /var/spool/cron/crontabs/* | grep -E "$1" | head -n 20' sh 'certbot|acme\.sh'
exit 0
`;

/** What went on at the last renewals, and who listens on the port (second argument, a number). */
export const certificateEvidenceScript = String.raw`
export LC_ALL=C
part() { name=$1; shift; echo; echo "@@$name"; "$@" 2>/dev/null; echo; echo "@@end $name 0"; }
limit() { if command -v timeout >/dev/null 2>&1; then timeout -k 1 "$@"; else shift; "$@"; fi; }
case $1 in
  certbot)
    part journal limit 3 journalctl --no-pager -o json -n 20 -u certbot.service -u snap.certbot.renew.service -u certbot-renew.service
    part log tail -n 15 /var/log/letsencrypt/letsencrypt.log
    part timers limit 3 systemctl list-timers --all --no-pager 'certbot*' 'snap.certbot*' ;;
  acme-sh)
    part log tail -n 15 "$HOME/.acme.sh/acme.sh.log"
    part timers limit 3 systemctl list-timers --all --no-pager 'acme*' ;;
esac
[ "$2" -gt 0 ] && part listener sh -c 'ss -Hltnp "sport = :$1"' sh "$2"
exit 0
`;
