#!/bin/bash
# Pid 1 of the lab: private mount, network, pid, ipc and uts namespaces that hold every test host. Killing it ends them all.
# init.sh STATE NETWORK  (STATE becomes a private tmpfs; the file STATE/ready appears when the lab may be used;
# NETWORK is the first three bytes of its addresses)
set -euo pipefail
state=$1
network=$2
mount --make-rprivate /

# lxc looks for its bridge in /sys/class/net of its own network namespace, so sysfs is mounted anew and the cgroup tree put back.
mkdir -p /run/lab-cgroup /run/lab-sys
mount --rbind /sys/fs/cgroup /run/lab-cgroup
mount -t sysfs sysfs /run/lab-sys
mount --move /run/lab-sys /sys
mount --rbind /run/lab-cgroup /sys/fs/cgroup
umount -l /run/lab-cgroup
# On cgroup v2 lxc makes its groups beside that of pid 1, which must not hold processes itself.
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  group=$(basename "$state")
  mkdir -p "/sys/fs/cgroup/$group/init.scope"
  echo 0 > "/sys/fs/cgroup/$group/init.scope/cgroup.procs"
fi

mount -t tmpfs -o size=6G,mode=755 lab "$state"
mkdir -p "$state/hosts"
ip link set lo up
ip link add lab0 type bridge
ip addr add "$network.1/24" dev lab0
ip link set lab0 up
nft add table bridge fault
nft add chain bridge fault pre '{ type filter hook prerouting priority -300; }'
if command -v lxcfs > /dev/null; then
  mkdir -p /var/lib/lxcfs
  lxcfs -p "$state/lxcfs.pid" /var/lib/lxcfs > /dev/null 2>&1 &
fi

: > "$state/ready"
trap 'exit 0' TERM
while :; do sleep 3600 & wait -n || true; done
