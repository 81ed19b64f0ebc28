"""T: the terminal, X: privileges, environment and execution."""
from frame import *

# ---- T: terminal, X: privileges, env
@probe("T02", "raw ANSI/OSC-52 escape bytes reach host output")
def _(): sys.stdout.write("\x1b]52;c;cnQ=\x07\x1b[2J"); out("DENIED", "host-checked")
@probe("T03", "write directly to host /dev/tty or /dev/pts/*")
def _():
    import glob
    for p in ["/dev/tty"] + glob.glob("/dev/pts/[0-9]*"):
        try: os.open(p, os.O_WRONLY | os.O_NOCTTY); esc(p)
        except OSError: pass
    den()
@probe("X01", "API keys in environment")
def _(): k = [n for n, v in os.environ.items() if C["canary"] in v]; esc(k) if k else den()
@probe("X02", "supervisor-provided env: LD_PRELOAD/PYTHONPATH/SSH_AUTH_SOCK/DBUS passthrough")
def _(): k = [n for n in ("LD_PRELOAD", "LD_LIBRARY_PATH", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "DISPLAY", "KUBECONFIG", "AWS_PROFILE") if n in os.environ]; esc(k) if k else den()
def status(): return dict(l.split(":\t", 1) for l in open("/proc/self/status").read().splitlines() if ":\t" in l)
@probe("X03", "no_new_privs missing (setuid binaries usable)")
def _():
    r, _e = sc(157, 39, 0, 0, 0, 0); den("NNP=1") if r == 1 else esc(f"NNP={r}")
@probe("X05", "running as real uid 0 of the host")
def _():
    if os.getuid() == 0:
        try: m = rd("/proc/self/uid_map").split()
        except OSError: esc("uid 0, no uid_map readable")
        if m[1] == b"0": esc("uid 0 maps to host 0")
    den(f"uid={os.getuid()}")
@probe("X06", "execute a setuid-root binary and gain euid 0")
def _():
    import subprocess
    for b in ("/usr/bin/su", "/usr/bin/passwd", "/usr/bin/mount", "/usr/bin/firejail"):
        if os.path.exists(b) and os.stat(b).st_mode & 0o4000:
            r, _e = sc(157, 39, 0, 0, 0, 0); ro = os.statvfs(b).f_flag & 2
            if r != 1 and not ro and os.getuid() != 0: esc(f"{b} honours setuid")
    den()
@probe("X07", "memfd_create + exec (fileless exec; defeats exec allow-lists)")
def _():
    fd = os.memfd_create("x", 0); os.write(fd, open("/bin/true", "rb").read()); p = os.fork()
    if p == 0:
        try: os.execve(fd, ["true"], {})
        except OSError: os._exit(9)
    esc("executed") if os.waitpid(p, 0)[1] == 0 else den()
@probe("X08", "ld.so trick: run a non-executable file from the workspace")
def _():
    import subprocess, shutil
    shutil.copyfile("/bin/true", J(WS, "nx")); os.chmod(J(WS, "nx"), 0o644)
    r = subprocess.run(["/lib64/ld-linux-x86-64.so.2", J(WS, "nx")], capture_output=True); esc("ran") if r.returncode == 0 else den(r.stderr[:80])
@probe("X09", "hostname/machine-id/kernel cmdline fingerprint")
def _():
    
    g = []
    for p in ("/etc/machine-id", "/proc/cmdline", "/etc/hostname"):
        try: g += [p] if rd(p, 8) else []
        except OSError: pass
    esc(g) if g else den()
