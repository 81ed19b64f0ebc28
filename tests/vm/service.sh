#!/bin/bash
# Runs in the guest as root: the package from its installation to its purge. One line for each thing that was looked at.
# Beside it lie creel.deb, creel-next.deb (a newer version with other bytes) and crash.py.
export LC_ALL=C.UTF-8 NO_COLOR=1 SYSTEMD_PAGER=cat SYSTEMD_COLORS=0
failures=0
ok() { echo "ok       $1"; }
bad() { echo "NOT OK   $1"; shift; printf '           %s\n' "$@" | tail -n 40; failures=$((failures + 1)); }
# check NAME COMMAND...: it must succeed
check() { local name=$1 said; shift; if said=$("$@" 2>&1); then ok "$name"; else bad "$name" "$*: $?" "$said"; fi; }
# says NAME WORDS COMMAND...: what it prints must hold the words, however it ends
says() { local name=$1 words=$2 said; shift 2; said=$("$@" 2>&1); if [[ $said == *"$words"* ]]; then ok "$name"; else bad "$name" "$*" "wanted: $words" "$said"; fi; }
# until_true SECONDS COMMAND...
until_true() { local end=$((SECONDS + $1)); shift; until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep .3; done; }
pid() { systemctl show -P MainPID creel; }
all_up() { creel status --json >/tmp/status 2>/dev/null; python3 -c 'import json; u = json.load(open("/tmp/status"))["units"]; assert len(u) >= 3 and all(x["state"] == "running" for x in u)'; }
field() { python3 -c "import json; print($1)" </tmp/status; }
as() { local user=$1; shift; runuser -l "$user" -c "$*"; }

systemd=$(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')
echo "# $(. /etc/os-release; echo "$PRETTY_NAME"), kernel $(uname -r), systemd $systemd, AppArmor $(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)"

# --- installation
# As users do: apt also sees to what it depends on, which is all there without a network.
check "the package installs" apt-get install -y -qq /mnt/share/creel.deb
check "the service is active after the installation" until_true 120 systemctl is-active --quiet creel
check "it is enabled" systemctl is-enabled creel
check "all units run" until_true 120 all_up
says "systemd shows how many" "units up" systemctl show -P StatusText creel
says "its tree is confined at level L2 at least" "L" python3 -c 'import json; l = json.load(open("/tmp/status"))["level"]; print(l if l >= "L2" else "weak")'
says "the supervisor is the user creel" creel ps -o user= -p "$(pid)"
verified=$(systemd-analyze verify /usr/lib/systemd/system/creel.service 2>&1 | grep -v 'man creel\|^$')
if [ -z "$verified" ]; then ok "systemd-analyze verify has nothing to say"; else bad "systemd-analyze verify has nothing to say" "$verified"; fi
if journalctl -b --no-pager | grep -i 'creel.service.*unknown'; then bad "no key is unknown to systemd $systemd"; else ok "no key is unknown to systemd $systemd"; fi
echo "# $(systemd-analyze security creel --no-pager 2>/dev/null | tail -1 | sed 's/^[^O]*//')"
if [ -e /etc/apparmor.d/abi/4.0 ]; then
  says "the AppArmor profile is loaded" "creel (unconfined)" cat /sys/kernel/security/apparmor/profiles
  says "and the supervisor bears it" "creel (unconfined)" cat "/proc/$(pid)/attr/current"
fi
kept() { [ "$(systemctl show -P NFileDescriptorStore creel)" = 2 ]; }
check "systemd keeps the port and the control socket" kept

# --- who may do what
usermod -aG creel alice
check "a member of the group sees the status" as alice creel status
check "a member of the group sees the logs" as alice creel logs -n 3
says "a member of the group can change nothing" "members of the group may only look" as alice creel restart agent:main
says "nobody else sees anything, and is told why" "members of the group creel" as bob creel status
says "the configuration is the service's alone" "600 creel creel" stat -c '%a %U %G' /etc/creel/creel.json
if as alice cat /etc/creel/creel.json >/dev/null 2>&1; then bad "a member of the group cannot read the configuration"; else ok "a member of the group cannot read the configuration"; fi
says "the socket is the group's" "660 creel creel" stat -c '%a %U %G' /run/creel/control.sock
says "root can change" "restarts" creel restart agent:main
check "and it comes back" until_true 90 all_up

# --- configuration and keys
check "root edits the configuration" creel config set logging.level debug
says "and it stays the service's" "600 creel creel" stat -c '%a %U %G' /etc/creel/creel.json
check "systemctl reload puts it in force" systemctl reload creel
check "it is up after the reload" until_true 60 all_up
says "an agent answers" "demo" timeout 120 creel agent --message "Hello, who are you?"

# --- a unit over its limit
if [ "$(field 'json.load(__import__("sys").stdin)["level"]')" = L3 ]; then
  # The pids of all others, and that of the agent: read now, for it was restarted since.
  unit_pid() { python3 -c 'import json, sys; print(*[u["pid"] for u in json.load(open("/tmp/status"))["units"] if (u["name"] == "agent:main") == (sys.argv[1] == "agent")])' "$1"; }
  until_true 60 all_up
  before=$(pid) others=$(unit_pid others) agent=$(unit_pid agent)
  group=/sys/fs/cgroup$(cut -d: -f3- "/proc/$agent/cgroup")
  limit=$(cat "$group/memory.max" 2>/dev/null || echo none)
  echo "# agent:main is in $group, memory.max $limit"
  # The kernel itself ends what is over its limit: the limit is lowered below what the agent holds.
  echo 0 >"$group/memory.swap.max" 2>/dev/null
  echo 1M >"$group/memory.max" 2>/dev/null
  named_oom() { creel status --json | grep -q '"oom"'; }
  check "a unit over its memory limit is named oom" until_true 60 named_oom
  check "it comes back with a group of its own" until_true 90 all_up
  alone() { [ "$(pid)" = "$before" ] && [ "$(unit_pid others)" = "$others" ] && [ "$(unit_pid agent)" != "$agent" ]; }
  check "it died alone: its pid is new, all others are as before" alone
else
  bad "cgroups: the service is at level L3 (delegated groups)" "$(creel status --json | head -5)" "$(tail -5 /var/lib/creel/logs/supervisor.log)"
fi

# --- falls
crashes() { python3 /mnt/share/crash.py "$1" 90 18789 /run/creel/control.sock >/tmp/crashes 2>&1; local code=$?; grep '^#' /tmp/crashes; [ $code = 0 ]; }
crashes 3 && ok "killed with -9, it is back with all units, and nobody who connected was refused" || bad "killed with -9" "$(cat /tmp/crashes)"
check "systemd still keeps two sockets" kept
back() { local now; now=$(pid); [ "$now" != 0 ] && [ "$now" != "$old" ] && systemctl is-active --quiet creel && all_up; }
old=$(pid); kill -STOP "$old"
check "hung, its watchdog ends it and it is back" until_true 100 back
says "creel service status knows" "active" creel service status
says "creel service logs works" "creel" creel service logs -n 5
creel stop >/dev/null 2>&1
stopped() { [ "$(systemctl is-active creel)" = inactive ]; }
check "what an operator stopped stays stopped" until_true 30 stopped
sleep 3; check "also a while later" stopped
check "creel service start starts it" creel service start
check "and all is up" until_true 90 all_up

# --- a wrong configuration does not spin
cp /etc/creel/creel.json /tmp/good; rm -f /var/lib/creel/state/last-good.json; echo '{gateway: {prot: 1}}' >/etc/creel/creel.json
systemctl restart creel; sleep 2
says "a wrong configuration is not tried again and again" "78" systemctl show -P ExecMainStatus creel
says "and it is failed, once" "0" systemctl show -P NRestarts creel
cat /tmp/good >/etc/creel/creel.json; systemctl reset-failed creel; systemctl start creel
check "the right one starts" until_true 90 all_up

# --- a secret from a file of systemd's
mkdir -p /etc/creel/credentials; (umask 077; echo token-from-a-file >/etc/creel/credentials/TEST_TOKEN)
echo '{gateway: {auth: {token: "${TEST_TOKEN}"}}}' >/etc/creel/creel.json
check "a restart reads the credential" systemctl restart creel
check "and all is up" until_true 90 all_up
check "the service has a copy of its own" test -s /run/credentials/creel.service/creel_TEST_TOKEN
if as alice cat /run/credentials/creel.service/creel_TEST_TOKEN >/dev/null 2>&1; then bad "nobody else can read it"; else ok "nobody else can read it"; fi
check "the token in that file opens the gateway" env TEST_TOKEN=token-from-a-file creel gateway call health
if TEST_TOKEN=another creel gateway call health >/dev/null 2>&1; then bad "another token does not"; else ok "another token does not"; fi
cat /tmp/good >/etc/creel/creel.json; rm /etc/creel/credentials/TEST_TOKEN; systemctl reset-failed creel; systemctl restart creel
check "without it all is up as before" until_true 90 all_up

# --- a newer version
old=$(pid); restarts=$(systemctl show -P NRestarts creel); beat=$(systemctl show -P WatchdogTimestampMonotonic creel); upgraded_at=$SECONDS
check "a newer version installs over the running one" dpkg -i /mnt/share/creel-next.deb
says "and is the installed one" "+next" dpkg-query -W -f '${Version}' creel
same() { [ "$(pid)" = "$old" ] && systemctl is-active --quiet creel && [ "$(systemctl show -P NRestarts creel)" = "$restarts" ]; }
check "the supervisor is the same process, and was not restarted" same
says "it says so itself" "were kept" creel upgrade --status
check "it runs the new program" test "/proc/$old/exe" -ef /usr/bin/creel
program() { case $1 in gateway | egress) echo "creel-$1" ;; *) echo "creel-${1%%:*}" ;; esac; }
rolled() {
  creel status --json >/tmp/status 2>/dev/null && all_up || return 1
  local name pid
  while read -r name pid; do [ "/proc/$pid/exe" -ef "/usr/libexec/creel/$(program "$name")" ] || return 1; done < <(python3 -c 'import json; [print(u["name"], u["pid"]) for u in json.load(open("/tmp/status"))["units"]]')
}
check "all units are moved to their new programs" until_true 120 rolled

# --- a user's own service
loginctl enable-linger alice; until_true 30 test -S "/run/user/$(id -u alice)/bus"
user() { runuser -u alice -- env HOME=/home/alice USER=alice XDG_RUNTIME_DIR="/run/user/$(id -u alice)" DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$(id -u alice)/bus" NO_COLOR=1 "$@"; }
mkdir -p /home/alice/.creel; echo '{gateway: {port: 18800}}' >/home/alice/.creel/creel.json; chown -R alice: /home/alice/.creel; chmod 700 /home/alice/.creel
says "a dry run shows the unit and does nothing" "systemctl --user enable" user creel service install --dry-run
check "a user installs a service of her own" user creel service install
users_up() { as alice creel status --json >/tmp/status-user 2>&1; python3 -c 'import json; s = json.load(open("/tmp/status-user")); assert len(s["units"]) >= 3 and all(x["state"] == "running" for x in s["units"])'; }
check "it runs, and her command line finds it without a session" until_true 120 users_up
says "at level" "\"level\": \"L" cat /tmp/status-user
says "it is hers" alice ps -o user= -p "$(python3 -c 'import json; print(json.load(open("/tmp/status-user"))["supervisor_pid"] if "supervisor_pid" in json.load(open("/tmp/status-user")) else json.load(open("/tmp/status-user"))["supervisorPid"])')"
check "she takes it away" user creel service uninstall
gone() { ! pgrep -u alice creel; }
check "and nothing of it runs" until_true 30 gone

# --- after the upgrade
while [ $((SECONDS - upgraded_at)) -lt 35 ]; do sleep 1; done
check "after more than its watchdog's time the upgraded supervisor is still the same process" same
beats() { [ "$(systemctl show -P WatchdogTimestampMonotonic creel)" -gt "$beat" ]; }
check "which went on telling systemd that it is alive" beats
crashes 1 && ok "killed with -9 after the upgrade, nobody is refused either" || bad "killed with -9 after the upgrade" "$(cat /tmp/crashes)"

# --- removal
dpkg --purge creel >/tmp/purge 2>&1 && ok "the package purges" || bad "the package purges" "$(cat /tmp/purge)"
left=$(for path in /etc/creel /etc/apparmor.d/creel /var/lib/creel /run/creel /usr/bin/creel /usr/libexec/creel /usr/lib/systemd/system/creel.service /etc/systemd/system/multi-user.target.wants/creel.service /usr/share/creel; do [ ! -e "$path" ] && [ ! -L "$path" ] || echo "$path"; done; pgrep -a creel; getent passwd creel; getent group creel; find /sys/fs/cgroup/system.slice -maxdepth 1 -name 'creel*'; grep '^creel ' /sys/kernel/security/apparmor/profiles)
if [ -z "$left" ]; then ok "nothing is left"; else bad "nothing is left" "$left"; fi

echo "# $failures failures"
if [ "$failures" -gt 0 ]; then echo "# --- the end of the journal"; journalctl -u creel --no-pager -n 25 -o cat | cut -c1-300; fi
exit $((failures > 0))
