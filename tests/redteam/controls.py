"""What must work in the sandbox: one that breaks these is not usable, and its denials say nothing."""
from frame import *

# ---- positive controls: a sandbox that breaks these is not usable, and PASSes would be vacuous
@probe("C01", "control: read workspace file")
def _(): out("OK" if C["wscanary"] in rd(J(WS, "hello.txt")).decode() else "BAD")
@probe("C02", "control: write workspace file")
def _(): wr(J(WS, "c02.txt")); out("OK")
@probe("C03", "control: pipe+fork+exec /bin/sh")
def _():
    import subprocess
    out("OK" if subprocess.run(["/bin/sh", "-c", "echo a|cat"], capture_output=True).stdout == b"a\n" else "BAD")
@probe("C04", "control: private temp file")
def _():
    import tempfile
    with tempfile.TemporaryFile() as f: f.write(b"x")
    out("OK")
@probe("C05", "control: 8 threads, 100 MiB, socketpair")
def _():
    t = [threading.Thread(target=time.sleep, args=(.05,)) for _ in range(8)]; [x.start() for x in t]; [x.join() for x in t]
    b = bytearray(100 << 20); b[::4096] = b"x" * len(b[::4096]); a, c = socket.socketpair(); a.send(b"q"); out("OK" if c.recv(1) == b"q" else "BAD")
