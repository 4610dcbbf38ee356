#!/bin/bash
# Builds the root file systems of the test hosts into a cache folder, once: image.sh base|services CACHE
# base:     Debian bookworm with systemd as pid 1, sshd and an unprivileged user "lares" who may sudo systemctl and journalctl.
# services: an overlay layer on top of base with nginx and Docker, installed but not enabled.
set -euo pipefail
layer=$1
cache=$2

# Every path unit takes one of the machine's few inotify instances, which all hosts share: nobody asks for passwords here.
base_packages=systemd,systemd-sysv,libpam-systemd,dbus,openssh-server,iproute2,iputils-ping,curl,ca-certificates,sudo,procps,cron,netbase,openssl,tzdata
service_packages="nginx-light docker.io iptables busybox-static"

mirror() {
  awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true
}

build_base() {
  local target=$1 uri
  uri=$(mirror)
  mmdebstrap --quiet --variant=minbase --mode=root --format=directory --include=$base_packages \
    --aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='chroot "$1" useradd -m -s /bin/bash lares' \
    --customize-hook='chroot "$1" systemctl -q disable apt-daily.timer apt-daily-upgrade.timer e2scrub_reap.service' \
    --customize-hook='chroot "$1" systemctl -q mask sys-kernel-debug.mount console-getty.service systemd-ask-password-console.path systemd-ask-password-wall.path' \
    --customize-hook='rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/machine-id; touch "$1"/etc/machine-id' \
    --customize-hook='echo "lares ALL=(root) NOPASSWD: /usr/bin/systemctl, /usr/bin/journalctl" > "$1"/etc/sudoers.d/lares' \
    --customize-hook='mkdir -p "$1"/etc/systemd/journald.conf.d; printf "[Journal]\nSystemMaxUse=16M\n" > "$1"/etc/systemd/journald.conf.d/lab.conf' \
    bookworm "$target" ${uri:+"deb $uri bookworm main"}
}

# Services must not start while they are installed: policy-rc.d says so to every maintainer script.
build_services() {
  local base=$1 target=$2 work=$2.work
  mkdir -p "$target" "$work/overlay" "$work/root"
  unshare --mount bash -euc '
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3/overlay" "$3/root"
    mount --bind /proc "$3/root/proc"
    cp /etc/resolv.conf "$3/root/etc/resolv.conf"
    printf "#!/bin/sh\nexit 101\n" > "$3/root/usr/sbin/policy-rc.d"; chmod +x "$3/root/usr/sbin/policy-rc.d"
    export DEBIAN_FRONTEND=noninteractive
    chroot "$3/root" apt-get update -qq
    chroot "$3/root" apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-unsafe-io $4
    chroot "$3/root" systemctl -q disable nginx docker docker.socket containerd
    rm -rf "$3/root/usr/sbin/policy-rc.d" "$3"/root/var/lib/apt/lists/* "$3"/root/var/cache/apt/*.deb' _ "$base" "$target" "$work" "$service_packages"
  rm -rf "$work"
}

stamp=$(sha256sum "$0" | cut -c1-12)
mkdir -p "$cache"
exec 9> "$cache/.lock"
flock 9
final=$cache/$layer-$stamp
if [ ! -d "$final" ]; then
  temporary=$cache/.building-$layer
  rm -rf "$temporary" "$temporary.work"
  case $layer in
    base) build_base "$temporary" ;;
    services) build_services "$cache/base-$stamp" "$temporary" ;;
    *) echo "image.sh: unknown layer $layer" >&2; exit 2 ;;
  esac
  mv "$temporary" "$final"
fi 1>&2
echo "$final"
