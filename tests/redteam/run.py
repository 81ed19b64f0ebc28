#!/usr/bin/python3
"""Makes every attempt of the suite through a launcher, and looks at what came of it from the host's side.

{ws} {fix} {home} {probes} {wall} in the launcher's words are the workspace, the folder of all decoys, the decoy home, this
folder and the seconds a run has. Without a launcher there is no sandbox.

Exit code: 0 all denied, 1 something worked, 2 a control failed or a probe is broken (the verdict is void)."""
import argparse
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time

from fixture import HERE, PYTHON, Fixture, J

# Not the kernel's business, but that of whoever launches the run and reads its output.
HOST_DUTY = {"R11", "R12", "T02", "L11", "R13", "L08", "X01", "X02", "S08"}
# Denied only if the policy says so.
POLICY = {"W11", "D03", "X07", "X08", "X09", "K20", "W09", "W10", "R04", "R09"}
# A file that counts only if it is on the host.
LANDED = {
    "W01": "outside/w01", "W05": "home/.config/systemd/user/rt.service", "W06": "home/.local/bin/git",
    "L02": "outside/via-symlink",
}
# Names that may be written during a run, but must not be there for the host's programs after it.
PLANTED = {"W11": (".openclaw",), "D03": (".envrc", ".vscode-tasks.json")}
# Told by the probe itself, with nothing to be looked at outside and nothing that the next would stumble over. With --together
# these share one run of the launcher; whatever is not denied in it is tried again alone, and that verdict counts.
TOGETHER = re.compile("F..|W0[23478]|W1[359]|W20|L0[346]|L10|N0[1679]|N1[01234]|N19|S0[2356]|S1.|K..|X0[35679]")
# What the wall clock or the memory limit left no time to say is denied.
KILLED = (-31, 159, 124, 137, -9)
# `creel sandbox exec`: nothing ran.
REFUSED = 125


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="write the result here")
    parser.add_argument("--only", type=lambda text: set(text.split(",")), help="these probes and the controls")
    parser.add_argument("--wall", type=int, default=6, help="seconds a run has")
    parser.add_argument("--slack", type=int, default=9, help="seconds that the end of a run may take, on a slow machine")
    parser.add_argument("--owner", type=int, help="whom the workspace belongs to")
    parser.add_argument("--together", action="store_true",
                        help="one start for all that need no start of their own, where starting takes most of the time")
    parser.add_argument("--without-git", action="store_true",
                        help="no .git in the workspace, but for the probes about it, which may then be refused")
    parser.add_argument("-q", action="store_true", help="only the summary")
    parser.add_argument("launcher", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    args.launcher = args.launcher[1:] if args.launcher[:1] == ["--"] else args.launcher
    return args


class Stream(threading.Thread):
    """Reads a pipe to its end, and keeps the first MiB."""

    def __init__(self, pipe):
        super().__init__(daemon=True)
        self.pipe, self.kept, self.total = pipe, b"", 0
        self.start()

    def run(self):
        while chunk := self.pipe.read1(65536):
            self.total += len(chunk)
            if len(self.kept) < 1 << 20:
                self.kept += chunk


class Suite:
    def __init__(self, args):
        self.args = args
        self.fixture = Fixture(args.owner)
        fixture = self.fixture
        self.words = dict(ws=fixture.ws, fix=fixture.top, home=fixture.home, probes=HERE)

    def wall(self, probe):
        """Seconds that it has: one that only waits for its end needs no patience."""
        return min(self.args.wall, 6) if probe in ("R12", "R13") else self.args.wall

    def launcher(self, probe):
        words, launcher = dict(self.words, wall=str(self.wall(probe))), []
        for word in self.args.launcher:
            for name, value in words.items():
                word = word.replace("{" + name + "}", value)
            launcher.append(word)
        return launcher

    def start(self, probe):
        """The run, with what a careless caller leaves open: a host file as stdin, a folder and a secret."""
        fixture = self.fixture
        command = self.launcher(probe) + [PYTHON, "-B", J(HERE, "probe.py"), probe, json.dumps(fixture.context)]
        stdin = os.open(J(fixture.top, "outside/rofile"), os.O_RDONLY)
        root = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        secret = os.open(J(fixture.top, "secret/token"), os.O_RDONLY)
        process = subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=fixture.env,
            cwd="/" if self.args.launcher else fixture.ws, pass_fds=(root, secret),
        )
        for fd in (stdin, root, secret):
            os.close(fd)
        return process

    def together(self, probes):
        """The verdicts of those of them that were denied."""
        self.fixture.reset(git=not self.args.without_git)
        process = self.start(",".join(probes))
        out, err = Stream(process.stdout), Stream(process.stderr)
        try:
            process.wait(self.args.wall + 30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        out.join(5)
        err.join(0.5)
        self.fixture.sweep()
        denied = {}
        for part in out.kept.split(b"\n@@ID ")[1:]:
            name, _, said = part.partition(b"\n")
            said, ended, code = said.partition(b"\n@@END ")
            # Without its end somebody else may have written the rest.
            verdict = self.told(said, b"", int(code.split()[0])) if ended else dict(r="ERROR")
            if verdict["r"] == "DENIED":
                denied[name.decode()] = dict(verdict, t=0)
        return denied

    def run(self, probe):
        fixture, wall = self.fixture, self.wall(probe)
        fixture.reset(git=not self.args.without_git or probe in ("W09", "W10"))
        before, began = len(fixture.hits()), time.time()
        process = self.start(probe)
        out, err = Stream(process.stdout), Stream(process.stderr)
        reached = probe == "N17" and self.reaches(fixture.port)
        try:
            process.wait(wall + 30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        took, alive = time.time() - began, False
        if probe == "D01":
            time.sleep(1.0)
            alive = fixture.beats("d01.beat")
        out.join(5 if probe == "R11" else 0.5)
        err.join(0.5)
        time.sleep(0.05)
        verdict = self.told(out.kept, err.kept, process.returncode)
        worked = self.seen(probe, out, took, reached, alive, fixture.hits()[before:], verdict)
        if worked is not None:
            verdict = dict(r="ESCAPED" if worked[0] else "DENIED", d=worked[1])
        fixture.sweep()
        verdict["t"] = round(took, 2)
        return verdict

    @staticmethod
    def reaches(port):
        for _ in range(20):
            time.sleep(0.15)
            try:
                with socket.create_connection(("127.0.0.1", port), 1) as link:
                    link.send(b"x")
                    return True
            except OSError:
                pass
        return False

    @staticmethod
    def told(out, err, code):
        """What the probe itself said."""
        verdict = None
        for line in out.splitlines():
            if line.startswith(b"@@RT "):
                try:
                    verdict = json.loads(line[5:])
                except ValueError:
                    pass
        if verdict is not None:
            return verdict
        if code in KILLED:
            return dict(r="DENIED", d=f"killed, exit code {code}")
        if code == REFUSED:
            return dict(r="REFUSED", d=err[-300:].decode(errors="replace").strip())
        return dict(r="ERROR", d=f"exit code {code}: {err[-160:]!r}")

    def seen(self, probe, out, took, reached, alive, hits, verdict):
        """What the host saw: (it worked, how), or None where the probe knows best."""
        fixture = self.fixture
        if probe in ("N02", "N03") and any(hit.startswith("udp") for hit in hits):
            return True, "datagram arrived on the host"
        if probe == "N16" and any(hit.startswith("dgram") for hit in hits):
            return True, "datagram arrived on the host"
        if probe == "S01" and "SIGUSR1" in hits:
            return True, "signal delivered"
        if reached:
            return True, "the host connected to the listener"
        if alive:
            return True, "a process survived"
        if probe in LANDED and verdict["r"] == "ESCAPED" and not os.path.exists(J(fixture.top, LANDED[probe])):
            return False, "landed in a private tmpfs only"
        if probe in PLANTED and verdict["r"] == "ESCAPED":
            there = [name for name in PLANTED[probe] if os.path.lexists(J(fixture.ws, name))]
            return (True, "left in the workspace: " + ", ".join(there)) if there else (False, "taken away after the run")
        if probe == "W16" and os.path.exists(f"/tmp/{fixture.tag}-w16"):
            return True, "visible in the host's /tmp"
        if probe == "W17" and os.path.exists(f"/dev/shm/{fixture.tag}-w17"):
            return True, "visible in the host's /dev/shm"
        if probe == "L11" and os.path.lexists(J(fixture.ws, "l11.md")):
            return True, "pipe left in the workspace"
        if probe == "R11" and out.total > 4 << 20:
            return True, f"{out.total >> 20} MiB reached the host"
        if probe in ("R12", "R13") and verdict["r"] != "REFUSED":
            done = os.path.exists(J(fixture.ws, probe.lower() + ".done"))
            late = done or took > self.wall(probe) + self.args.slack
            return late, f"{'ran' if late else 'stopped after'} {took:.1f} s" + (", to its end" if done else "")
        if probe == "T02" and (b"\x1b]52" in out.kept or b"\x1b[" in out.kept):
            return True, "raw escape sequences passed through"
        return None

    def label(self, probe, verdict):
        if probe.startswith("C"):
            return "ok" if verdict["r"] == "OK" else "BAD"
        if verdict["r"] == "REFUSED":
            # Refusing to run at all is an answer to the probes about .git where it cannot be protected, and to no other.
            return "PASS" if self.args.without_git and probe in ("W09", "W10") else "BAD"
        if verdict["r"] == "NA" and "probe error" in str(verdict["d"]):
            return "BAD"
        return {"DENIED": "PASS", "ESCAPED": "FAIL", "NA": "n/a"}.get(verdict["r"], "BAD")


def main():
    args = arguments()
    titles = json.loads(subprocess.check_output([PYTHON, "-B", J(HERE, "probe.py"), "--list"]))
    suite, results = Suite(args), {}
    try:
        for name in args.only or ():
            if name not in titles:
                sys.exit(f"there is no probe {name}")
        wanted = [p for p in titles if not args.only or p in args.only or p.startswith("C")]
        denied = suite.together([p for p in wanted if TOGETHER.fullmatch(p)]) if args.together else {}
        if args.together and not args.q:
            print(f"denied together: {len(denied)}", flush=True)
        for probe in wanted:
            title, verdict = titles[probe], denied.get(probe) or suite.run(probe)
            label = suite.label(probe, verdict)
            kind = "H" if probe in HOST_DUTY else "P" if probe in POLICY else "K"
            results[probe] = dict(verdict, label=label, title=title, kind=kind)
            if not args.q:
                print(f"{label:5} {probe} {kind} {title} :: {verdict['d']}", flush=True)
    finally:
        suite.fixture.close()
    labels = [result["label"] for result in results.values()]
    print("== " + " ".join(f"{label}={labels.count(label)}" for label in sorted(set(labels))))
    for label in ("FAIL", "BAD"):
        print(f"   {label}:", " ".join(name for name, result in results.items() if result["label"] == label))
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"uid": os.getuid(), "results": results}, file, indent=1)
    sys.exit(2 if "BAD" in labels else 1 if "FAIL" in labels else 0)


if __name__ == "__main__":
    main()
