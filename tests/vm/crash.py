"""Kills the supervisor of the service again and again, and tells how long systemd and Creel took to be back with all units.

usage: crash.py TIMES SECONDS_AT_MOST PORT SOCKET    (as root, under systemd)

Meanwhile somebody connects to the port and to the control socket all the time: nobody may be refused.
"""
import json, os, signal, socket, subprocess, sys, threading, time

times, at_most, port, door = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]


def said(*words):
    return subprocess.run(words, capture_output=True, text=True).stdout


def asked():
    """What `creel status` asks, without the time that a command takes to start."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(120)
        stream.connect(door)
        stream.sendall(b'{"jsonrpc":"2.0","id":1,"method":"units.status","params":{}}\n')
        return json.loads(stream.makefile().readline())["result"]


def is_back(old):
    try:
        status = asked()
    except (OSError, ValueError, KeyError):
        return False
    units = status["units"]
    return status["supervisorPid"] != old and len(units) >= 3 and all(u["state"] == "running" for u in units)


def wait_back(old):
    end = time.monotonic() + at_most
    while not is_back(old):
        if time.monotonic() > end:
            sys.exit(f"It was not back within {at_most} s.")
        time.sleep(0.01)


class Knocker(threading.Thread):
    """Connects until it is told to stop, and counts what came of it."""

    def __init__(self, family, address):
        super().__init__(daemon=True)
        self.family, self.address = family, address
        self.done, self.outcomes, self.longest = False, {}, 0.0

    def run(self):
        while not self.done:
            began = time.monotonic()
            try:
                with socket.socket(self.family) as stream:
                    stream.settimeout(120)
                    stream.connect(self.address)
                outcome = "let in"
            except OSError as error:
                outcome = type(error).__name__
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
            self.longest = max(self.longest, time.monotonic() - began)
            time.sleep(0.02)


wait_back(0)
took, refused = [], 0
for _ in range(times):
    # Its life before must be one: what falls at once is another matter.
    time.sleep(1.5)
    old = int(said("systemctl", "show", "-P", "MainPID", "creel"))
    knockers = [Knocker(socket.AF_INET, ("127.0.0.1", port)), Knocker(socket.AF_UNIX, door)]
    for knocker in knockers:
        knocker.start()
    began = time.monotonic()
    os.kill(old, signal.SIGKILL)
    wait_back(old)
    took.append(time.monotonic() - began)
    for knocker in knockers:
        knocker.done = True
    for knocker in knockers:
        knocker.join()
        refused += sum(count for outcome, count in knocker.outcomes.items() if outcome != "let in")
    shown = said("systemctl", "show", "creel", "-p", "ExecMainStartTimestampMonotonic", "-p", "ActiveEnterTimestampMonotonic")
    points = dict(line.split("=", 1) for line in shown.split("\n") if "=" in line)
    started, ready = (
        (int(points[name]) / 1e6 - began) * 1000
        for name in ("ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    )
    counts = ", ".join(f"{knocker.outcomes}" for knocker in knockers)
    print(
        f"# back after {took[-1] * 1000:.0f} ms: systemd starts it after {started:.0f}, it is ready after {ready:.0f}; port "
        f"and control socket: {counts}, longest wait {max(k.longest for k in knockers) * 1000:.0f} ms",
        flush=True,
    )
took.sort()
print(f"# back with all units after kill -9, of {times}: best {took[0] * 1000:.0f} ms, median {took[len(took) // 2] * 1000:.0f}, worst {took[-1] * 1000:.0f}")
print(f"# connections that were not let in meanwhile: {refused}")
sys.exit(1 if refused else 0)
