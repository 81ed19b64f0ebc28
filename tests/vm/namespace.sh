#!/bin/bash
# Run COMMAND as root under a systemd of its own, at this machine's full speed: pid 1 of fresh namespaces, on a copy of this
# very root (what is written to it goes with it), without a network, and with a cgroup v2 of its own (usually without
# controllers). For what must be quick; a real machine is run.sh's.
# usage: namespace.sh SHARE 'COMMAND'        (as root)   SHARE is mounted at /mnt/share
# exit:  COMMAND's; 77 = this machine cannot do it, with the reason
set -euo pipefail
[ $# = 2 ] || { sed -n 2,7p "$0"; exit 2; }
cannot() { echo "NOT MEASURED HERE: $1"; exit 77; }
[ "$(id -u)" = 0 ] || cannot "a systemd in a namespace needs root"
[ -x /lib/systemd/systemd ] || cannot "systemd is not installed (Debian package systemd)"
CGROUPS=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
[ -n "$CGROUPS" ] || cannot "no cgroup v2 is mounted"
GROUP=$CGROUPS/creel-test-$$
mkdir "$GROUP" 2>/dev/null || cannot "no cgroup can be made in $CGROUPS"
SHARE=$(realpath "$1"); T=$(mktemp -d); U=; P=
finish() {
  [ -z "$U" ] || kill -9 "$U" 2>/dev/null || true          # unshare takes its pid 1, and so everything, with it
  [ -z "$U" ] || wait "$U" 2>/dev/null || true
  for _ in {1..100}; do find "$GROUP" -depth -type d -exec rmdir {} \; 2>/dev/null || true; [ -d "$GROUP" ] || break; sleep .05; done
  rm -rf --one-file-system "$T"
}
trap finish EXIT
cat >"$T/init" <<'X'
set -e
T=$1 SHARE=$2
mount --make-rprivate /
mkdir "$T/copy"; mount -t tmpfs -o mode=755 tmpfs "$T/copy"; mkdir "$T"/copy/{up,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$T/copy/up,workdir=$T/copy/work" "$T/copy/root"
cd "$T/copy/root"
# The kernel's settings and devices are the machine's: not ours to change.
mount -t proc proc proc; mount --bind proc/sys proc/sys; mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys; mount -t tmpfs tmpfs sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 none sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run; mkdir run/lock
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -p mnt/share old; mount --bind "$SHARE" mnt/share
ip link set lo up
pivot_root . old; umount -l /old; rmdir /old; cd /
for unit in systemd-udevd.service systemd-udev-trigger.service systemd-udevd-kernel.socket systemd-udevd-control.socket \
  systemd-modules-load.service proc-sys-fs-binfmt_misc.automount sys-kernel-debug.mount sys-kernel-tracing.mount \
  dev-hugepages.mount systemd-journald-audit.socket; do
  ln -sf /dev/null "/etc/systemd/system/$unit"
done
: >/run/namespace-is-made
exec /lib/systemd/systemd --system --unit=basic.target --show-status=0 --log-target=journal
X
# The subshell enters the group before anything is started, so that systemd's tree is that group alone.
(echo "$BASHPID" >"$GROUP/cgroup.procs"
  cd /; exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=creel-test unshare --pid --fork --kill-child --mount --uts \
    --ipc --cgroup --net --mount-proc /bin/bash "$T/init" "$T" "$SHARE") </dev/null >"$T/log" 2>&1 &
U=$!
inside() { nsenter -t "$P" -a -r -w env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 /bin/bash -c "cd /; $1"; }
is_up() { inside '[ -e /run/namespace-is-made ] && systemctl is-active --quiet basic.target' 2>/dev/null; }
cd /
for _ in {1..600}; do
  P=$(tr -d ' ' <"/proc/$U/task/$U/children" 2>/dev/null) || cannot "systemd does not start in a namespace: $(tail -3 "$T/log")"
  [ -z "$P" ] || [ "$(cat "/proc/$P/comm" 2>/dev/null)" != systemd ] || ! is_up || break
  sleep .1
done
is_up || cannot "systemd did not start in a namespace within a minute: $(tail -3 "$T/log")"
inside "$2"
