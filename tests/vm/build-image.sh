#!/bin/bash
# Build a small bootable Debian: FOLDER/{root.ext4,vmlinuz,initrd,packages.txt}.
# usage: build-image.sh FOLDER bookworm|trixie    (as root; a finished folder is left alone, FORCE=1 builds it anew)
# env:   KERNEL=linux-image-cloud-amd64   EXTRA="package …"   SIZE=4G
# needs: mmdebstrap, e2fsprogs. Mirrors and proxies are those of this machine's own apt configuration.
set -euo pipefail
[ $# = 2 ] || { sed -n 2,5p "$0"; exit 2; }
SUITE=$2
KERNEL=${KERNEL:-linux-image-cloud-amd64}
PACKAGES=systemd-sysv,dbus,dbus-user-session,libpam-systemd,udev,kmod,python3,ca-certificates,curl,bubblewrap,apparmor
PACKAGES+=,iproute2,procps,initramfs-tools,zstd,$KERNEL
for p in ${EXTRA:-}; do PACKAGES+=,$p; done
mkdir -p "$1"
FOLDER=$(realpath "$1")
want="$SUITE $PACKAGES ${SIZE:-4G} $(sha256sum <"$0")"
if [ -z "${FORCE:-}" ] && [ "$(cat "$FOLDER/.done" 2>/dev/null)" = "$want" ]; then
  echo "$FOLDER is up to date"; exit 0
fi
T=$(mktemp -d); trap 'rm -rf --one-file-system "$T"' EXIT
rm -f "$FOLDER/.done"; SECONDS=0

# The Debian sources of this machine, with the name of the wanted release put in.
HERE=$(. /etc/os-release; echo "$VERSION_CODENAME")
apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
  sort -u | awk -v h="$HERE" -v s="$SUITE" '$2 ~ "^" h "(-updates|-security)?$" {
    sub("^" h, s, $2); print "deb", $1, $2, $3 }' >"$T/sources.list"
[ -s "$T/sources.list" ] ||
  { echo "apt knows no Debian $HERE sources here: run apt-get update, or add them." >&2; exit 1; }
apt-config dump | grep -E '^Acquire::(https?::Proxy|Check-[A-Za-z-]+) ' >"$T/apt.conf" || true

mmdebstrap --variant=minbase --architectures=amd64 --include="$PACKAGES" --aptopt="$T/apt.conf" \
  --setup-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"; printf "MODULES=list\nCOMPRESS=zstd\n" >"$1/etc/initramfs-tools/conf.d/vm"' \
  --essential-hook='printf "virtio_pci\nvirtio_blk\next4\n" >"$1/etc/initramfs-tools/modules"' \
  --dpkgopt=force-confold \
  "$SUITE" "$T/root" "$T/sources.list" >"$T/log" 2>&1 || { tail -30 "$T/log" >&2; exit 1; }

R=$T/root
rm -f "$R"/etc/apt/apt.conf.d/99mmdebstrap "$R"/etc/dpkg/dpkg.cfg.d/99mmdebstrap
rm -rf "$R"/usr/share/doc/* "$R"/usr/share/man/* "$R"/usr/share/locale/*
echo vm >"$R/etc/hostname"; echo '127.0.0.1 localhost vm' >"$R/etc/hosts"
echo '/dev/vda / ext4 defaults 0 0' >"$R/etc/fstab"
chroot "$R" useradd -m -s /bin/bash alice           # two ordinary users
chroot "$R" useradd -m -s /bin/bash bob
: >"$R/etc/machine-id"
ln -sf /dev/null "$R/etc/systemd/system/serial-getty@ttyS0.service"
ln -sf /dev/null "$R/etc/systemd/system/getty@tty1.service"
# What is slow to start and of no use to a test.
for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer dpkg-db-backup.timer; do
  ln -sf /dev/null "$R/etc/systemd/system/$unit"
done
ln -sf /dev/null "$R/etc/systemd/system/systemd-binfmt.service"
# Debian's profiles are for programs that are not here; to load them takes ten seconds in emulation.
find "$R/etc/apparmor.d" -maxdepth 1 -type f ! -name unprivileged_userns -delete
cat >"$R/usr/local/sbin/vm-run" <<'X'
#!/bin/bash
# The command comes on the raw disk "cmd"; its output goes to ttyS1, its exit status to ttyS2.
disk() { for _ in {1..50}; do [ -e "/dev/disk/by-id/virtio-$1" ] && break; sleep .2; done; echo "/dev/disk/by-id/virtio-$1"; }
stty -F /dev/ttyS1 raw -echo; stty -F /dev/ttyS2 raw -echo
mkdir -p /mnt/share; mount "$(disk share)" /mnt/share; rmdir /mnt/share/lost+found
cat "$(disk cmd)" >/run/vm-command
cd /root || exit; exec 3>/dev/ttyS2
HOME=/root USER=root LOGNAME=root bash /run/vm-command </dev/null >/dev/ttyS1 2>&1 3>&-
rc=$?
cd /; umount /mnt/share || mount -o remount,ro /mnt/share; sync
echo "$rc" >&3; stty -F /dev/ttyS1 -echo; stty -F /dev/ttyS2 -echo   # stty waits until the port has drained
X
chmod 755 "$R/usr/local/sbin/vm-run"
cat >"$R/etc/systemd/system/vm-run.service" <<'X'
[Unit]
Description=Run the command of the test, then power off
After=multi-user.target
[Service]
# exec and not oneshot: a oneshot's start job never ends, and "systemctl is-system-running" would say "starting".
Type=exec
ExecStart=/usr/local/sbin/vm-run
ExecStopPost=/usr/bin/systemctl poweroff --force --force
[Install]
WantedBy=multi-user.target
X
ln -s ../vm-run.service "$R/etc/systemd/system/multi-user.target.wants/"
chroot "$R" dpkg-query -W >"$FOLDER/packages.txt"
cp -L "$R"/boot/vmlinuz-* "$FOLDER/vmlinuz"; cp -L "$R"/boot/initrd.img-* "$FOLDER/initrd"
rm -f "$FOLDER/root.ext4"; truncate -s "${SIZE:-4G}" "$FOLDER/root.ext4"
mke2fs -q -t ext4 -L root -d "$R" "$FOLDER/root.ext4"
printf %s "$want" >"$FOLDER/.done"
echo "$SUITE built in $SECONDS s: $(du -sh "$FOLDER/root.ext4" | cut -f1), kernel $(basename "$R"/boot/vmlinuz-*)"
