#!/bin/bash
# Runs in the guest as root: the attacks of tests/redteam at the given levels, as far as its kernel allows. Results go to
# /mnt/share/out.
# usage: redteam.sh L3-root L2-user …
export LC_ALL=C.UTF-8
failures=0
bad() { echo "NOT OK   $1"; failures=$((failures + 1)); }
out=/mnt/share/out; mkdir -p "$out"
# The share's own folder may not be everybody's to enter. Compiled once, for an emulated machine takes a second to do it.
place=/opt/redteam; mkdir -p $place; cp -r /mnt/share/creel /mnt/share/redteam $place/
python3 -m compileall -q $place/redteam
chmod -R a+rX $place; chmod 755 $place/creel
creel=$place/creel
abi=$(python3 -c 'import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))')
echo "# $(. /etc/os-release; echo "$PRETTY_NAME"), kernel $(uname -r), Landlock ABI $abi"

# Namespaces forbidden in the ways that this kernel has: nothing runs at level L2, the sentence names the remedy, and it helps.
as_alice() { runuser -u alice -- env HOME=/home/alice $creel "$@" 2>&1; }
# forbidden BY REMEDY
forbidden() {
  local said
  said=$(as_alice sandbox exec --level l2 --access none -- true) && bad "$1 forbids user namespaces, and level L2 was given"
  said=$(as_alice sandbox test); [[ $said != *"at level L2"* && $said == *"$2"* ]] || bad "sandbox test: $1 forbids user namespaces: $said"
  said=$(as_alice doctor); [[ $said == *"$2"* ]] || bad "doctor knows no remedy for $1: $said"
}
# allowed BY
allowed() {
  local said
  if said=$(as_alice sandbox exec --level l2 --access none -- true); then echo "# $1: none without the remedy, level L2 with it"; else bad "$1 allows user namespaces: $said"; fi
}
switch=/proc/sys/kernel/unprivileged_userns_clone
if [ -e $switch ]; then
  echo 0 >$switch; forbidden "the switch of Debian's kernels" "sysctl -w kernel.unprivileged_userns_clone=1"
  echo 1 >$switch; allowed "the switch of Debian's kernels"
fi
if grep -qs userns_create /sys/kernel/security/apparmor/features/namespaces/mask && [ -e /etc/apparmor.d/abi/4.0 ]; then
  # Debian's AppArmor leaves programs without a profile alone; with one that allows everything else it forbids the same as Ubuntu's.
  switch=/proc/sys/kernel/apparmor_restrict_unprivileged_userns
  if [ -e $switch ]; then
    echo 1 >$switch
  else
    echo "# this kernel has no $switch: a profile without userns stands in for it"
    printf 'abi <abi/4.0>,\nprofile creel-test %s {\n  allow all,\n  deny userns,\n}\n' $creel >/etc/apparmor.d/creel-test
    apparmor_parser -r /etc/apparmor.d/creel-test || bad "the profile without userns does not load"
  fi
  forbidden AppArmor "apparmor_parser -r /etc/apparmor.d/creel"
  [ -e $switch ] || apparmor_parser -R /etc/apparmor.d/creel-test
  # It stays in force for the attacks.
  sed "s|/usr/bin/creel|$creel|" /mnt/share/apparmor >/etc/apparmor.d/creel
  apparmor_parser -r /etc/apparmor.d/creel || bad "the profile does not load"
  allowed AppArmor
  said=$(as_alice sandbox exec --access none -- cat /proc/self/attr/current)
  if [ "$said" = "creel (unconfined)" ]; then echo "# the attacks are made under packaging/apparmor/creel"; else bad "commands are under another profile: $said"; fi
else
  echo "# AppArmor of this kernel mediates no user namespaces: its profile is not tried here"
fi

# What status and doctor promise is what this kernel gives.
said=$(HOME=/root $creel doctor 2>&1)
[[ $said == *"Landlock"*"ABI $abi"* ]] || bad "doctor does not tell of Landlock ABI $abi: $said"

# A workspace can be bounded by root, and from Linux 6.6 on by everybody; before, it is refused to others with the reason.
declare -A limits=([root]="--disk 256M --inodes 10000" [user]="--disk 256M --inodes 10000")
# A run that puts a folder in the place of another; the other is gone afterwards, too.
cat >$place/bounded.sh <<X
set -e; cd "\$(mktemp -d)"; mkdir -p sub/below
$creel sandbox exec --workspace "\$PWD" --access rw \$* -- sh -c 'rm -r sub && mkdir sub && touch sub/new'
[ "\$(ls sub)" = new ] || { echo "in sub are: \$(ls sub)"; exit 1; }
X
for who in root alice; do
  name=$who; [ $who = root ] || name=user
  said=$(runuser -u $who -- env HOME=/tmp bash $place/bounded.sh ${limits[$name]} 2>&1) && continue
  if [ $name = user ] && [[ $said == *"sandbox.disk"*"Linux 6.6"* ]] && printf '%s\n6.6\n' "$(uname -r)" | sort -VC; then
    echo "# limits on a workspace are refused to $who here, as they must be: $said"; limits[user]=; touch "$out/unlimited-user"
  else
    bad "limits on a workspace, $who: $said"
  fi
done
# Limits that the file system keeps, with root's supervisor and for one command: what belongs to them is tested by a program of its own.
mkdir -p /opt/quota && cp /mnt/share/quota/{creel,test-worker,tests} /opt/quota && chmod -R 755 /opt/quota
from=$SECONDS
CREEL_TEST_PROGRAMS=/opt/quota CREEL_TEST_DISKS=/mnt/share/quota /opt/quota/tests --test-threads 1 --nocapture >"$out/quota.txt" 2>&1 \
  || { cat "$out/quota.txt"; bad "project quota"; }
echo "# project quota, in $((SECONDS - from)) s: $(grep -E '^test result|NOT MEASURED HERE' "$out/quota.txt")"
# And the attacks on the room of a workspace, where there is no layer to hold them, at the level that has none as well.
cp /mnt/share/quota/ext4 /var/tmp/quota.ext4; mount -o loop,prjquota /var/tmp/quota.ext4 /tmp && chmod 1777 /tmp || bad "no file system with project quota"
for level in l1 l2; do
  [ $level = l2 ] || [ "$abi" -ge 3 ] || continue
  python3 -B $place/redteam/run.py --only R04,R09 --wall 90 --slack 60 --owner 64742 --without-git -- \
    $creel sandbox exec --workspace {ws} --access rw --ro {probes} --wall {wall} --level $level --disk 256M --inodes 10000 -- >"$out/quota-$level.txt" 2>&1 \
    || bad "bytes and files of a workspace with project quota, at $level"
  # A layer in memory would have said ENOSPC.
  [ "$(grep -c EDQUOT "$out/quota-$level.txt")" = 2 ] || bad "the attacks at $level met no project quota: $(cat "$out/quota-$level.txt")"
  echo "# project quota, $level: $(grep '^==' "$out/quota-$level.txt")"
done
umount -l /tmp
# exec_at LEVEL WHO
exec_at() {
  local bounded=${limits[$2]}; [ $1 != l1 ] || bounded=
  echo "$creel sandbox exec --workspace {ws} --access rw --ro {probes} --wall {wall} --level $1 $bounded --"
}
# attack NAME COMMAND...: the suite's own exit code is judged outside
attack() {
  local name=$1 from=$SECONDS; shift
  "$@" >"$out/$name.txt" 2>&1
  [ ! -s "/tmp/$name.json" ] || cp "/tmp/$name.json" "$out/"
  echo "# $name took $((SECONDS - from)) s: $(grep '^==' "$out/$name.txt" || tail -n 3 "$out/$name.txt")"
}
# Patient, and with as few starts as can be: most of the time goes into starting programs on an emulated machine.
suite="python3 -B $place/redteam/run.py --together --wall 15 --slack 20"
unit=64742
alice=/run/user/$(id -u alice)
bus="env XDG_RUNTIME_DIR=$alice DBUS_SESSION_BUS_ADDRESS=unix:path=$alice/bus"

for name in "$@"; do
  case $name in L3-user)
    # What systemd delegates to a user: her own manager's groups.
    loginctl enable-linger alice
    for _ in {1..300}; do [ -S "$alice/bus" ] && break; sleep .2; done
  esac
done
wanted=
for name in "$@"; do
  if [[ $name = L1-* ]] && [ "$abi" -lt 3 ]; then
    said=$(runuser -u alice -- $creel sandbox exec --level l1 --access none -- true 2>&1); code=$?
    if [ $code = 125 ] && [[ $said == *"Landlock ABI"*"this kernel has $abi"* ]]; then
      echo "# $name is refused here, as it must be: $said"
    else
      bad "L1 must be refused with Landlock ABI $abi: $code $said"
    fi
    continue
  fi
  wanted+=" $name"
  json=/tmp/$name.json
  case $name in
    L3-root) attack $name $suite --owner $unit --json $json -- systemd-run --quiet --scope -p Delegate=yes -- $(exec_at l3 root) & ;;
    L2-root) attack $name $suite --owner $unit --json $json -- $(exec_at l2 root) & ;;
    L1-root) attack $name $suite --owner $unit --without-git --json $json -- $(exec_at l1 root) & ;;
    L3-user) attack $name runuser -u alice -- $suite --json $json -- $bus systemd-run --user --quiet --scope -p Delegate=yes -- $(exec_at l3 user) & ;;
    L2-user) attack $name runuser -u alice -- $suite --json $json -- $(exec_at l2 user) & ;;
    L1-user) attack $name runuser -u alice -- $suite --without-git --json $json -- $(exec_at l1 user) & ;;
    *) bad "there is no run $name" ;;
  esac
  # Two at a time, as there are processors.
  while [ "$(jobs -pr | wc -l)" -ge 2 ]; do wait -n; done
done
wait
for name in $wanted; do [ -s "$out/$name.json" ] || bad "$name left no result"; done

left=$(find /sys/fs/cgroup -type d -name 'creel-run-*'; pgrep -a -x creel)
[ -z "$left" ] || bad "left behind: $left"
exit $((failures > 0))
