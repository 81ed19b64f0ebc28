#!/bin/bash
# Runs in the guest as root: the attacks of tests/redteam at each level that its kernel allows. Results go to /mnt/share/out.
export LC_ALL=C.UTF-8
failures=0
bad() { echo "NOT OK   $1"; failures=$((failures + 1)); }
out=/mnt/share/out; mkdir -p "$out"
# The share's own folder may not be everybody's to enter.
place=/opt/redteam; mkdir -p $place; cp -r /mnt/share/creel /mnt/share/redteam $place/; chmod -R a+rX $place; chmod 755 $place/creel
creel=$place/creel
abi=$(python3 -c 'import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))')
echo "# $(. /etc/os-release; echo "$PRETTY_NAME"), kernel $(uname -r), Landlock ABI $abi"

exec_at() { echo "$creel sandbox exec --workspace {ws} --access rw --ro {probes} --wall {wall} --level $1 --"; }
# attack NAME COMMAND...: the suite's own exit code is judged outside
attack() {
  local name=$1 from=$SECONDS; shift
  "$@" >"$out/$name.txt" 2>&1
  [ ! -s "/tmp/$name.json" ] || cp "/tmp/$name.json" "$out/"
  echo "# $name took $((SECONDS - from)) s: $(grep '^==' "$out/$name.txt")"
}
# All at once, and patient: most of the time goes into starting Python on an emulated machine.
suite="python3 -B $place/redteam/run.py --wall 15 --slack 20"

wanted="L3-root L2-user"
attack L3-root $suite --owner 64742 --json "$out/L3-root.json" -- systemd-run --quiet --scope -p Delegate=yes -- $(exec_at l3) &
attack L2-user runuser -u alice -- $suite --json /tmp/L2-user.json -- $(exec_at l2) &
if [ "$abi" -ge 3 ]; then
  wanted+=" L1-user"
  attack L1-user runuser -u alice -- $suite --without-git --json /tmp/L1-user.json -- $(exec_at l1) &
else
  said=$(runuser -u alice -- $creel sandbox exec --level l1 --access none -- true 2>&1); code=$?
  if [ $code = 125 ] && [[ $said == *"Landlock ABI"*"this kernel has $abi"* ]]; then
    echo "# L1 is refused here, as it must be: $said"
  else
    bad "L1 must be refused with Landlock ABI $abi: $code $said"
  fi
fi
wait
for name in $wanted; do [ -s "$out/$name.json" ] || bad "$name left no result"; done

# Where AppArmor forbids user namespaces: refused with the remedy, and the remedy helps.
switch=/proc/sys/kernel/apparmor_restrict_unprivileged_userns
as_alice() { runuser -u alice -- env HOME=/home/alice $creel "$@" 2>&1; }
if [ -e $switch ] && [ -e /etc/apparmor.d/abi/4.0 ]; then
  echo 1 >$switch
  said=$(as_alice sandbox exec --access none -- true) && bad "AppArmor forbids user namespaces, and level L2 was given"
  said=$(as_alice doctor); [[ $said == *"apparmor_parser -r /etc/apparmor.d/creel"* ]] || bad "doctor knows no remedy for AppArmor: $said"
  sed "s|/usr/bin/creel|$creel|" /mnt/share/apparmor >/etc/apparmor.d/creel
  apparmor_parser -r /etc/apparmor.d/creel || bad "the profile does not load"
  if said=$(as_alice sandbox exec --access none -- true); then echo "# AppArmor forbids user namespaces: level L2 with Creel's profile, none without"; else bad "with the profile: $said"; fi
  echo 0 >$switch
else
  echo "# AppArmor of this kernel restricts no user namespaces: its profile is not tried here"
fi
left=$(find /sys/fs/cgroup -type d -name 'creel-run-*'; pgrep -a -x creel)
[ -z "$left" ] || bad "left behind: $left"
exit $((failures > 0))
