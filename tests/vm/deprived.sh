#!/bin/bash
# Runs in the guest as root, on a kernel that was booted with lsm= without landlock: Creel starts nothing that it cannot confine,
# says what to do, and shows no more than is enforced.
# usage: deprived.sh     beside it lies creel
export LC_ALL=C.UTF-8 NO_COLOR=1
failures=0
bad() { echo "NOT OK   $1"; shift; printf '           %s\n' "$@" | tail -n 20; failures=$((failures + 1)); }
# says NAME CODE WORDS COMMAND...: it must end with this code, and what it prints must hold the words
says() {
  local name=$1 code=$2 words=$3 said ended; shift 3
  said=$("$@" 2>&1); ended=$?
  if [ $ended = "$code" ] && [[ $said == *"$words"* ]]; then echo "ok       $name"; else bad "$name" "$*: exit $ended, wanted $code and: $words" "$said"; fi
}
echo "# $(. /etc/os-release; echo "$PRETTY_NAME"), kernel $(uname -r), security modules $(cat /sys/kernel/security/lsm)"
[[ ,$(cat /sys/kernel/security/lsm), != *,landlock,* ]] || { bad "the kernel has Landlock: nothing is shown here"; exit 1; }

place=/opt/deprived; mkdir -p $place/libexec; cp /mnt/share/creel $place/creel; chmod 755 $place/creel
# Units that leave a mark where no wall is between.
for name in gateway egress agent channel; do
  printf '#!/bin/sh\nid -u >>"%s/ran-$(id -u)"\nexec sleep 1000\n' $place >$place/libexec/creel-$name
done
chmod 755 $place/libexec/*; chmod 1777 $place
cat >$place/judge.py <<'P'
# What status may say: judge.py off|refused FILE
import json, sys
status = json.load(open(sys.argv[2]))
assert status["level"] == "L0", status["level"]
units = [unit for unit in status["units"] if unit["name"] == "agent:main"]
assert units, status
if sys.argv[1] == "refused":
    assert units[0]["lastExit"]["cause"] == "launch_failed" and "lsm=" in units[0]["lastExit"]["detail"], units
    assert all(unit.get("pid") is None and unit.get("isolation") is None for unit in status["units"]), status
else:
    assert units[0]["pid"], units
    for unit in status["units"]:
        claimed = unit.get("isolation") or {"level": "L0", "landlockAbi": 0, "seccompFilters": 0, "namespaces": []}
        assert (claimed["level"], claimed["landlockAbi"], claimed["seccompFilters"], claimed["namespaces"]) == ("L0", 0, 0, []), unit
P
# supervised WHO WORD CONFIG: creel up as this user, until its status is as judge.py wants it for that word
supervised() {
  local who=$1 word=$2 home=$place/$1-$2 end said; mkdir -p "$home"/{home,run}
  printf '%s\n' "$3" >"$home/home/creel.json"; chown -R "$who:" "$home"; chmod 700 "$home"/*; chmod 600 "$home/home/creel.json"
  local as=(runuser -u "$who" -- env -i PATH="$PATH" HOME="$home" NO_COLOR=1 CREEL_HOME="$home/home" CREEL_RUNTIME_DIR="$home/run" CREEL_LIBEXEC=$place/libexec $place/creel)
  "${as[@]}" up >"$place/$who-$word.log" 2>&1 & local up=$!
  end=$((SECONDS + 90))
  until "${as[@]}" status --json >"$place/$who-$word.json" 2>&1; said=$(python3 $place/judge.py "$word" "$place/$who-$word.json" 2>&1); do
    if [ $SECONDS -ge $end ]; then bad "$who: creel up, $word" "$said" "$(tail -n 5 "$place/$who-$word.log")"; break; fi
    sleep .3
  done
  [ $SECONDS -ge $end ] || echo "ok       $who: creel up, $word"
  "${as[@]}" stop >/dev/null 2>&1; kill $up 2>/dev/null; wait $up
}
for who in root alice; do
  as=(runuser -u $who -- env HOME=/tmp NO_COLOR=1 $place/creel)
  for level in "" "--level l1" "--level l2"; do
    says "$who: a command is not run ($level)" 125 "lsm=" "${as[@]}" sandbox exec $level --access none -- /bin/touch $place/touched
  done
  says "$who: sandbox test fails and names the kernel's command line" 1 "lsm=" "${as[@]}" sandbox test
  said=$("${as[@]}" doctor 2>&1); [[ $said == *Landlock*lsm=* ]] && echo "ok       $who: doctor knows the remedy" || bad "$who: doctor" "$said"
  supervised $who refused '{gateway: {port: 18790}}'
  left=$(ls -d $place/touched $place/ran-* 2>/dev/null); [ -z "$left" ] || bad "$who: something ran" "$left"
  # The control: without a sandbox, as the operator wrote, they do run, and nothing is claimed.
  supervised $who off "{gateway: {port: 18790}, sandbox: {mode: 'off'}}"
  ls $place/ran-* >/dev/null 2>&1 || bad "$who: the control left no mark"
  rm -f $place/ran-*
done
echo "# $failures failures"
exit $((failures > 0))
