#!/bin/bash
# Boot the image in FOLDER (which stays as it is), run COMMAND as root under systemd, print its output, return its status.
# usage: run.sh FOLDER SHARE 'COMMAND'
#   SHARE is copied to a disk mounted at /mnt/share; what COMMAND leaves in /mnt/share/out comes back to SHARE/out.
# env:   TIMEOUT=280 (s, hard)  MEM=2048 (MiB)  CPUS=2  ACCEL=kvm|tcg  APPEND="kernel arguments"  VERBOSE=1 (show the console)
# exit:  COMMAND's; 124 = timeout, 125 = the guest died without a result (the end of its console is printed)
set -euo pipefail
[ $# = 3 ] || { sed -n 2,6p "$0"; exit 2; }
FOLDER=$(realpath "$1"); SHARE=$(realpath "$2")
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
# An openable /dev/kvm on a processor that cannot virtualise dies with an emulation failure.
if [ -z "${ACCEL:-}" ]; then
  ACCEL=tcg; [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo && ACCEL=kvm
fi
printf '%s\n' "$3" >"$T/cmd"; truncate -s %4096 "$T/cmd"
tr '\0' '\n' <"$T/cmd" >"$T/cmd.raw"                       # padded to whole sectors with newlines
truncate -s "$(( $(du -sm "$SHARE" | cut -f1) * 5 / 4 + 256 ))M" "$T/share.ext4"
mke2fs -q -t ext4 -m 0 -d "$SHARE" "$T/share.ext4"
: >"$T/console"; : >"$T/rc"
set +e
timeout -k 5 "${TIMEOUT:-280}" qemu-system-x86_64 -M q35 -accel "$ACCEL" -cpu max -smp "${CPUS:-2}" -m "${MEM:-2048}" \
  -display none -monitor none -nic none -no-reboot \
  -kernel "$FOLDER/vmlinuz" -initrd "$FOLDER/initrd" \
  -append "root=/dev/vda rw console=ttyS0 quiet panic=-1 systemd.show_status=0 ${APPEND:-}" \
  -drive file="$FOLDER/root.ext4",format=raw,if=none,id=root,snapshot=on -device virtio-blk-pci,drive=root \
  -drive file="$T/share.ext4",format=raw,if=none,id=share,cache=unsafe -device virtio-blk-pci,drive=share,serial=share \
  -drive file="$T/cmd.raw",format=raw,if=none,id=cmd,readonly=on -device virtio-blk-pci,drive=cmd,serial=cmd \
  -serial "file:$T/console" -serial stdio -serial "file:$T/rc" </dev/null &
p=$!; trap 'kill $p' INT TERM
wait $p; q=$?
trap - INT TERM; set -e
if [ -n "${VERBOSE:-}" ] || [ ! -s "$T/rc" ]; then { echo "--- console"; tail -40 "$T/console"; echo "---"; } >&2; fi
e2fsck -fy "$T/share.ext4" >/dev/null 2>&1 || true           # replays the journal where the guest could not unmount
debugfs -R "rdump /out $T" "$T/share.ext4" >/dev/null 2>&1 || true
if [ -d "$T/out" ]; then mkdir -p "$SHARE/out"; cp -a "$T/out/." "$SHARE/out/"; fi
[ -s "$T/rc" ] && exit "$(tr -dc 0-9 <"$T/rc")"
[ $q = 124 ] || [ $q = 137 ] && { echo "run.sh: no result within ${TIMEOUT:-280} s" >&2; exit 124; }
echo "run.sh: the guest ended without a result (qemu $q)" >&2; exit 125
