#!/bin/bash
# Runs under the systemd of namespace.sh, as root: the package from its installation to its purge, in half a minute. What needs
# a machine of its own (controllers, other users, AppArmor, a watchdog's time) is service.sh's.
set -u
failed() { echo "NOT OK   $1"; shift; printf '           %s\n' "$@" | tail -n 30; exit 1; }
units() { creel status --json 2>/dev/null | python3 -c 'import json, sys; [print(u["name"], u["pid"]) for u in json.load(sys.stdin)["units"] if u["state"] == "running"]' 2>/dev/null; }
all_up() { [ "$(units | wc -l)" = 3 ]; }
until_true() { local end=$((SECONDS + $1)); shift; until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep .1; done; }

said=$(dpkg -i /mnt/share/creel.deb 2>&1) || failed "the package installs" "$said"
until_true 60 all_up || failed "all units run" "$(journalctl -u creel -n 20 --no-pager -o cat)"
echo "ok       the package installs, and all units run"
python3 /mnt/share/crash.py 7 30 18789 /run/creel/control.sock || failed "killed with -9, it is back with all units, and nobody who connected was refused"
echo "ok       killed with -9, it is back with all units, and nobody who connected was refused"
old=$(systemctl show -P MainPID creel)
said=$(dpkg -i /mnt/share/creel-next.deb 2>&1) || failed "a newer version installs" "$said"
same() { [ "$(systemctl show -P MainPID creel)" = "$old" ] && systemctl is-active --quiet creel && [ "/proc/$old/exe" -ef /usr/bin/creel ]; }
same || failed "the supervisor is the same process with the new program" "$(creel upgrade --status)"
rolled() { all_up || return 1; local name pid; while read -r name pid; do [[ "$(readlink "/proc/$pid/exe")" != *deleted* ]] || return 1; done < <(units); }
until_true 60 rolled || failed "all units are moved to their new programs" "$(creel upgrade --status)"
echo "ok       upgraded in place: $(creel upgrade --status | tr '\n' ' ')"
said=$(dpkg --purge creel 2>&1) || failed "the package purges" "$said"
left=$(ls -d /etc/creel /var/lib/creel /run/creel /usr/bin/creel /usr/libexec/creel /etc/apparmor.d/creel 2>/dev/null; getent passwd creel; pgrep -a creel)
[ -z "$left" ] || failed "nothing is left" "$left"
echo "ok       the package purges, and nothing is left"
