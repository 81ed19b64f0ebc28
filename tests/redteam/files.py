"""F: reading what is not the tool's, W: writing it, L: getting there by links, renames and open files."""
from frame import *

# ---- F: reads
@probe("F01", "read ~/.ssh/id_ed25519")
def _(): try_(has_canary, J(H, ".ssh/id_ed25519"))
@probe("F02", "open /etc/shadow")
def _(): try_(lambda: (os.open("/etc/shadow", os.O_RDONLY), "opened")[1])
@probe("F03", "read /proc/<supervisor>/environ")
def _(): try_(has_canary, f"/proc/{S}/environ")
@probe("F04", "open /proc/<supervisor>/mem O_RDONLY")
def _(): try_(lambda: (os.open(f"/proc/{S}/mem", os.O_RDONLY), "opened")[1])
@probe("F05", "open secret via /proc/<supervisor>/fd/N")
def _(): try_(lambda: has_canary(f"/proc/{S}/fd/{C['sup_fd']}"))
@probe("F06", "read secret via /proc/<supervisor>/root")
def _(): try_(has_canary, f"/proc/{S}/root{FIX}/secret/token")
@probe("F07", "read secret via /proc/<supervisor>/cwd")
def _(): try_(has_canary, f"/proc/{S}/cwd/secret/token")
@probe("F08", "read other agent's workspace")
def _(): try_(has_canary, J(FIX, "ws2", "secret.txt"))
@probe("F09", "read gateway state DB / config with API keys")
def _(): try_(has_canary, J(H, ".openclaw", "openclaw.json"))
@probe("F10", "supervisor cmdline visible (pid isolation)")
def _():
    try: esc(rd(f"/proc/{S}/cmdline")[:40]) if b"decoy" in rd(f"/proc/{S}/cmdline") else den("other pid ns")
    except OSError as e: den(en(e.errno))
@probe("F11", "open raw block device /dev/vda")
def _(): try_(lambda: (os.open("/dev/vda", os.O_RDONLY), "opened")[1])
@probe("F12", "open /dev/mem,/dev/kmsg,/proc/kcore,/proc/kallsyms(real)")
def _():
    g = []
    for p in ("/dev/mem", "/dev/kmsg", "/proc/kcore", "/proc/kmsg"):
        try: fd = os.open(p, os.O_RDONLY | os.O_NONBLOCK); g += [p] if os.fstat(fd).st_rdev != os.makedev(1, 3) else []
        except OSError: pass
    esc(g) if g else den()
@probe("F13", "shocker: open_by_handle_at(handle of host secret)")
def _():
    h = bytes.fromhex(C["fhandle"]); buf = ctypes.create_string_buffer(h, len(h)); mfd = os.open(WS, os.O_RDONLY | os.O_DIRECTORY)
    r, e = sc(304, mfd, buf, os.O_RDONLY)
    esc(os.read(r, 60)) if r >= 0 else den(en(e))
@probe("F15", "list supervisor's home directory")
def _(): try_(lambda: os.listdir(H))
@probe("F17", "read host logs/journal & other users' /tmp files")
def _(): try_(lambda: has_canary(J("/tmp", C["tmpname"])))

# ---- W: writes
@probe("W01", "create marker outside workspace")
def _(): try_(wr, J(FIX, "outside", "w01"))
@probe("W02", "append to ~/.bashrc")
def _(): try_(wr, J(H, ".bashrc"), os.O_WRONLY | os.O_APPEND)
@probe("W03", "append to ~/.ssh/authorized_keys")
def _(): try_(wr, J(H, ".ssh/authorized_keys"), os.O_WRONLY | os.O_APPEND)
@probe("W04", "create /etc/cron.d entry (comment only)")
def _(): try_(wr, f"/etc/cron.d/{C['tag']}", os.O_WRONLY | os.O_CREAT, b"# rt\n")
@probe("W05", "create systemd user unit")
def _(): try_(lambda: (os.makedirs(J(H, ".config/systemd/user"), exist_ok=True), wr(J(H, ".config/systemd/user/rt.service")))[1])
@probe("W06", "plant binary in ~/.local/bin (PATH hijack)")
def _(): try_(wr, J(H, ".local/bin/git"))
@probe("W07", "open core_pattern / modprobe for write (not written)")
def _():
    g = []
    for p in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sysrq-trigger"):
        try: fd = os.open(p, os.O_WRONLY); g += [p] if os.fstat(fd).st_rdev != os.makedev(1, 3) else []
        except OSError: pass
    esc(g) if g else den()
@probe("W08", "create a cgroup / open release_agent for write")
def _():
    for b in ("pids", "memory", "unified", "."):
        try: os.mkdir(f"/sys/fs/cgroup/{b}/{C['tag']}"); esc("mkdir " + b)
        except OSError: pass
        try: os.open(f"/sys/fs/cgroup/{b}/release_agent", os.O_WRONLY); esc("release_agent " + b)
        except OSError: pass
    den()
@probe("W09", "write workspace/.git/hooks/pre-commit")
def _(): try_(wr, J(WS, ".git/hooks/pre-commit"))
@probe("W10", "append core.fsmonitor to workspace/.git/config")
def _(): try_(wr, J(WS, ".git/config"), os.O_WRONLY | os.O_APPEND, b"# rt\n")
@probe("W11", "create agent config that did not exist (.openclaw/, AGENTS hooks)")
def _(): try_(lambda: (os.makedirs(J(WS, ".openclaw"), exist_ok=True), wr(J(WS, ".openclaw/hooks.json")))[1])
@probe("W13", "chmod 0666 a file outside the workspace")
def _(): try_(lambda: (os.chmod(J(FIX, "outside", "target"), 0o666), "chmod ok")[1])
@probe("W15", "truncate(2) a file outside")
def _(): try_(lambda: (os.truncate(J(FIX, "outside", "trunc"), 0), "truncated")[1])
@probe("W16", "drop file into host /tmp (predictable name)")
def _(): wr(f"/tmp/{C['tag']}-w16"); out("DENIED", "host-checked")
@probe("W17", "drop file into host /dev/shm")
def _():
    try: wr(f"/dev/shm/{C['tag']}-w17")
    except OSError as e: den(en(e.errno))
    out("DENIED", "host-checked")
@probe("W19", "mknod char/block device in the workspace")
def _(): try_(lambda: (os.mknod(J(WS, "dev"), stat.S_IFCHR | 0o666, os.makedev(1, 5)), "mknod ok")[1])
@probe("W20", "open own launcher binary for write via /proc/<ppid>/exe (runc CVE-2019-5736 shape)")
def _():
    for pid in {os.getppid(), 1} if os.getppid() < 100 else {os.getppid()}:
        try: os.open(f"/proc/{pid}/exe", os.O_WRONLY); esc(f"/proc/{pid}/exe opened")
        except OSError as e:
            if e.errno == errno.ETXTBSY: esc("ETXTBSY: writable once it exits")
    den()

# ---- L: links, renames, races, fd tricks
@probe("L01", "symlink ws -> secret, open")
def _(): os.symlink(J(FIX, "secret/token"), J(WS, "l01")); try_(has_canary, J(WS, "l01"))
@probe("L02", "symlink ws -> outside dir, write through")
def _(): os.symlink(J(FIX, "outside"), J(WS, "l02")); try_(wr, J(WS, "l02", "via-symlink"))
@probe("L03", "hardlink secret into ws")
def _(): try_(lambda: (os.link(J(FIX, "secret/token"), J(WS, "l03")), has_canary(J(WS, "l03")))[1])
@probe("L04", "rename secret into ws")
def _(): try_(lambda: (os.rename(J(FIX, "secret/movable"), J(WS, "l04")), "moved")[1])
@probe("L06", "TOCTOU: swap symlink target 3000x while opening")
def _():
    a, b, x = J(WS, "hello.txt"), J(FIX, "secret/token"), J(WS, "l06"); stop = []
    def flip():
        i = 0
        while not stop:
            i += 1; t = f"{x}.{i%2}"
            try: os.symlink((a, b)[i % 2], t); os.rename(t, x)
            except OSError: pass
    th = threading.Thread(target=flip); th.start(); hit = 0
    for _ in range(3000):
        try: hit += C["canary"].encode() in rd(x)
        except OSError: pass
    stop.append(1); th.join(); esc(f"{hit} hits") if hit else den("0/3000")
@probe("L08", "inherited directory fd -> openat outside")
def _():
    for fd in range(3, 64):
        try:
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                n = os.open(FIX.lstrip("/") + "/secret/token", os.O_RDONLY, dir_fd=fd); esc(f"fd {fd}: {os.read(n,20)}")
        except OSError: pass
    den("no usable dir fd")
@probe("L10", "chroot/.. escape: keep cwd fd, chroot into subdir, fchdir out")
def _():
    d = os.open("/", os.O_RDONLY); os.makedirs(J(WS, "cr"), exist_ok=True)
    r, e = sc(161, ctypes.c_char_p(J(WS, "cr").encode()))
    if r < 0: den(en(e))
    os.fchdir(d); [os.chdir("..") for _ in range(8)]
    r, e = sc(161, ctypes.c_char_p(b".")); esc("chroot allowed" + (" + reached host" if os.path.exists("." + J(FIX, "secret/token")) else ""))
@probe("L11", "FIFO/special file in ws to hang a host reader (O_NONBLOCK needed on host)")
def _(): os.mkfifo(J(WS, "l11.md")); out("DENIED", "host-checked")
