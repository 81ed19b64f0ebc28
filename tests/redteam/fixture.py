"""The decoys on the host's side: a home with keys, a workspace, another agent's workspace, a supervisor with sockets."""
import ctypes
import json
import os
import shutil
import socket
import struct
import subprocess
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
J = os.path.join


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


class Fixture:
    """Everything that the probes are aimed at. `owner`: whom the workspace belongs to, where root runs the suite."""

    def __init__(self, owner=None):
        self.owner = owner
        self.tag = "rt-" + uuid.uuid4().hex[:8]
        self.canary = "CANARY" + uuid.uuid4().hex[:12]
        self.top = f"/tmp/rtfix-{self.tag}"
        self.ws, self.home = J(self.top, "ws"), J(self.top, "home")
        self.reset(git=True)
        self.tmpname = self.tag + "-tmpsecret"
        write(f"/tmp/{self.tmpname}", self.canary)
        run = self.top + "/run"
        self.env = dict(
            os.environ, OPENAI_API_KEY=self.canary, TELEGRAM_BOT_TOKEN=self.canary, HOME=self.home, XDG_RUNTIME_DIR=run,
            DBUS_SESSION_BUS_ADDRESS=f"unix:path={run}/bus", SSH_AUTH_SOCK=run + "/agent.sock",
        )
        self.decoy = subprocess.Popen(
            [PYTHON, J(HERE, "decoy.py"), self.top, self.tag, self.canary],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.env, start_new_session=True,
        )
        self.context = json.loads(self.decoy.stdout.readline())
        self.sibling = subprocess.Popen(["sleep", "600"], start_new_session=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.context.update(
            ws=self.ws, fix=self.top, home=self.home, tag=self.tag, canary=self.canary, wscanary="ws-" + self.tag,
            sib_pid=self.sibling.pid, lport=self.port, fhandle=self.handle(), run_pgid=os.getpgid(0),
            run_sid=os.getsid(0), probes=HERE, tmpname=self.tmpname,
        )

    def handle(self):
        """The kernel's handle of the secret, which open_by_handle_at would take from anywhere."""
        libc = ctypes.CDLL(None, use_errno=True)
        buffer = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + b"\0" * 128)
        secret = J(self.top, "secret/token").encode()
        if libc.name_to_handle_at(-100, secret, buffer, ctypes.byref(ctypes.c_int()), 0) != 0:
            return "0000000000000000"
        return buffer.raw[: 8 + struct.unpack("I", buffer.raw[:4])[0]].hex()

    def reset(self, git):
        for folder in (self.ws, self.home, J(self.top, "outside")):
            shutil.rmtree(folder, ignore_errors=True)
        write(J(self.ws, "hello.txt"), "ws-" + self.tag)
        if git:
            write(J(self.ws, ".git/config"), "[core]\n")
            write(J(self.ws, ".git/HEAD"), "ref: x\n")
            os.makedirs(J(self.ws, ".git/hooks"))
        write(J(self.home, ".ssh/id_ed25519"), self.canary, 0o600)
        write(J(self.home, ".ssh/authorized_keys"), "")
        write(J(self.home, ".bashrc"), "")
        write(J(self.home, ".openclaw/openclaw.json"), self.canary)
        os.makedirs(J(self.home, ".local/bin"))
        for name in ("target", "trunc", "rofile"):
            write(J(self.top, "outside", name), "data")
        write(J(self.top, "secret/token"), self.canary, 0o600)
        write(J(self.top, "secret/movable"), self.canary)
        write(J(self.top, "ws2/secret.txt"), self.canary)
        os.makedirs(J(self.top, "run"), exist_ok=True)
        if self.owner is not None:
            # Only the workspace belongs to the unit's user.
            for folder, _, names in os.walk(self.ws):
                os.chown(folder, self.owner, self.owner)
                for name in names:
                    os.chown(J(folder, name), self.owner, self.owner)
            os.chmod(self.home, 0o700)
            os.chmod(J(self.top, "secret"), 0o700)

    def hits(self):
        """What arrived at the decoy supervisor, one line each."""
        path = J(self.top, "hits")
        if not os.path.exists(path):
            return []
        with open(path) as file:
            return file.read().splitlines()

    def beats(self, name, within=0.6):
        """Whether somebody still writes a file of the workspace."""
        try:
            return time.time() - os.stat(J(self.ws, name)).st_mtime < within
        except OSError:
            return False

    def sweep(self):
        """Ends what is left of the probes: only processes whose command line carries our tag."""
        ours = (os.getpid(), self.decoy.pid, self.sibling.pid)
        for _ in range(4):
            left = []
            for name in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{name}/cmdline", "rb") as file:
                        line = file.read()
                except OSError:
                    continue
                if int(name) not in ours and self.tag.encode() in line and b"probe.py" in line:
                    left.append(int(name))
            if not left:
                break
            for pid in left:
                try:
                    os.kill(pid, 9)
                except OSError:
                    pass
            time.sleep(0.05)
        marks = (f"/etc/cron.d/{self.tag}", f"/var/spool/cron/crontabs/{self.tag}", f"/tmp/{self.tag}-w16", f"/dev/shm/{self.tag}-w17")
        for path in marks:
            try:
                os.unlink(path)
            except OSError:
                pass
        for controller in ("pids", "memory", "unified", "."):
            try:
                os.rmdir(f"/sys/fs/cgroup/{controller}/{self.tag}")
            except OSError:
                pass

    def close(self):
        self.sweep()
        self.decoy.stdin.close()
        try:
            self.decoy.wait(3)
        except subprocess.TimeoutExpired:
            self.decoy.kill()
        self.sibling.kill()
        self.sibling.wait()
        shutil.rmtree(self.top, ignore_errors=True)
        try:
            os.unlink(f"/tmp/{self.tmpname}")
        except OSError:
            pass
