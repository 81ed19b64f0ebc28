"""S: other processes, R: using up the machine, D: outliving the run."""
from frame import *

# ---- S: signals, ptrace, cross-process
@probe("S01", "kill(supervisor, SIGUSR1)")
def _():
    try: os.kill(S, signal.SIGUSR1)
    except OSError as e: den(en(e.errno))
    out("DENIED", "host-checked")
@probe("S02", "ptrace(SEIZE) a sibling worker")
def _():
    r, e = sc(101, 0x4206, C["sib_pid"], 0, 0)
    if r >= 0: sc(101, 17, C["sib_pid"], 0, 0); esc("seized")
    den(en(e))
@probe("S03", "process_vm_readv supervisor")
def _():
    b = ctypes.create_string_buffer(16); class_iov = struct.pack("QQ", ctypes.addressof(b), 16); riov = struct.pack("QQ", C["sup_addr"], 16)
    r, e = sc(310, S, ctypes.c_char_p(class_iov), 1, ctypes.c_char_p(riov), 1, 0)
    esc(b.raw) if r > 0 else den(en(e))
@probe("S05", "open /proc/<supervisor>/mem O_RDWR")
def _(): try_(lambda: (os.open(f"/proc/{S}/mem", os.O_RDWR), "opened rw")[1])
@probe("S06", "prlimit64(supervisor) read + set same")
def _():
    try: l = resource.prlimit(S, resource.RLIMIT_NOFILE); resource.prlimit(S, resource.RLIMIT_NOFILE, l); esc(l)
    except (OSError, ProcessLookupError) as e: den(en(e.errno))
@probe("S08", "same session/pgrp as supervisor (kill(0,..) would hit it)")
def _(): esc("shares pgrp/session") if os.getpgid(0) == C["run_pgid"] or os.getsid(0) == C["run_sid"] else den()
@probe("S10", "read supervisor's POSIX shm in /dev/shm")
def _(): try_(has_canary, f"/dev/shm/{C['shmname']}")
@probe("S11", "setns into supervisor's net/mnt namespace")
def _():
    for n in ("net", "mnt", "user", "pid"):
        try: fd = os.open(f"/proc/{S}/ns/{n}", os.O_RDONLY)
        except OSError: continue
        r, e = sc(308, fd, 0)
        if r == 0 or en(e) == "EINVAL": esc(f"setns {n}: {en(e)}")
    den()
@probe("S12", "kcmp / sibling maps ASLR leak")
def _(): try_(lambda: (rd(f"/proc/{C['sib_pid']}/maps", 60)))

# ---- R: resources (limits the suite expects: pids<=400, mem<=700MiB, files<=4000, fsize/disk<=256MiB, out<=4MiB)
@probe("R01", "fork 500 children")
def _():
    n = 0
    try:
        for _ in range(500):
            if os.fork() == 0:
                try: time.sleep(20)
                finally: os._exit(0)
            n += 1
    except OSError as e: out('DENIED', f'{n} then {en(e.errno)}')
    out("ESCAPED", f"{n} children")
@probe("R02", "touch 900 MiB of memory")
def _():
    try:
        l = []
        for i in range(18): b = bytearray(50 << 20); b[::4096] = b"x" * len(b[::4096]); l.append(b)
    except MemoryError: den(f"MemoryError after {i*50} MiB")
    esc("900 MiB touched")
@probe("R04", "fill workspace disk: 6 x 60 MiB files")
def _():
    z = b"\0" * (1 << 20); n = 0
    try:
        for k in range(6):
            with open(J(WS, f"fill{k}"), "wb") as f:
                for _ in range(60): f.write(z); n += 1
    except OSError as e: r = ("DENIED", f"{n} MiB then {en(e.errno)}")
    else: r = ("ESCAPED", f"{n} MiB")
    for k in range(6):
        try: os.unlink(J(WS, f"fill{k}"))
        except OSError: pass
    out(*r)
@probe("R05", "one 300 MiB file (RLIMIT_FSIZE)")
def _():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN); z = b"\0" * (1 << 20); n = 0
    try:
        with open(J(WS, "big"), "wb") as f:
            for _ in range(300): f.write(z); f.flush(); n += 1
        r = ("ESCAPED", f"{n} MiB")
    except OSError as e: r = ("DENIED", f"{n} MiB then {en(e.errno)}")
    try: os.unlink(J(WS, "big"))
    except OSError: pass
    out(*r)
@probe("R06", "fill /tmp 300 MiB (tmpfs = RAM)")
def _():
    z = b"\0" * (1 << 20); n = 0; ps = [f"/tmp/{C['tag']}-r06-{k}" for k in range(5)]
    try:
        for p in ps:
            with open(p, "wb") as f:
                for _ in range(60): f.write(z); n += 1
        r = ("ESCAPED", f"{n} MiB")
    except OSError as e: r = ("DENIED", f"{n} MiB then {en(e.errno)}")
    for p in ps:
        try: os.unlink(p)
        except OSError: pass
    out(*r)
@probe("R07", "open 6000 fds")
def _():
    n = 0
    try:
        for _ in range(6000): os.open("/dev/null", os.O_RDONLY); n += 1
    except OSError as e: den(f"{n} then {en(e.errno)}")
    esc(n)
@probe("R08", "create 1500 threads")
def _():
    ev = threading.Event(); threading.stack_size(64 << 10); n = 0
    try:
        for _ in range(1500): threading.Thread(target=ev.wait, args=(15,), daemon=True).start(); n += 1
    except RuntimeError: den(f"{n} then RuntimeError")
    esc(n)
@probe("R09", "create 30000 inodes in workspace")
def _():
    d = J(WS, "ino"); os.makedirs(d); n = 0
    try:
        for i in range(30000): os.close(os.open(f"{d}/{i}", os.O_CREAT | os.O_WRONLY)); n += 1
        r = ("ESCAPED", n)
    except OSError as e: r = ("DENIED", f"{n} then {en(e.errno)}")
    for i in range(n): os.unlink(f"{d}/{i}")
    out(*r)
@probe("R11", "print 64 MiB to stdout")
def _():
    sys.stdout.write("\n@@RT " + json.dumps({"r": "DENIED", "d": "host-checked"}) + "\n"); sys.stdout.flush(); z = b"A" * 65536
    for _ in range(1024): os.write(1, z)
    os._exit(0)
@probe("R12", "hang 25 s ignoring SIGTERM/SIGHUP/SIGINT (launcher wall clock)")
def _():
    for s in (15, 1, 2, 3): signal.signal(s, signal.SIG_IGN)
    sys.stdout.write("\n@@RT " + json.dumps({"r": "DENIED", "d": "host-checked"}) + "\n"); sys.stdout.flush(); time.sleep(25); wr(J(WS, "r12.done")); os._exit(0)
@probe("R13", "burn 2 CPUs for 20 s")
def _():
    sys.stdout.write("\n@@RT " + json.dumps({"r": "DENIED", "d": "host-checked"}) + "\n"); sys.stdout.flush(); t = time.time()
    os.fork()
    while time.time() - t < 20: pass
    wr(J(WS, f"r13.done")); os._exit(0)
@probe("R15", "core dumps enabled")
def _(): l = resource.getrlimit(resource.RLIMIT_CORE); esc(l) if l[1] != 0 else den(l)

# ---- D: persistence
@probe("D01", "double-fork + setsid daemon outlives the tool call")
def _():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            try:
                for f in (0, 1, 2): os.close(f)
            except OSError: pass
            for i in range(80):
                try: open(J(WS, "d01.beat"), "w").write(str(time.time()))
                except OSError: pass
                time.sleep(.1)
        os._exit(0)
    time.sleep(.2); out("DENIED", "host-checked")
@probe("D03", "LD_PRELOAD/.envrc/Makefile plant in workspace (policy: protected names)")
def _(): try_(lambda: (wr(J(WS, ".envrc")), wr(J(WS, ".vscode-tasks.json")))[0])
@probe("D04", "crontab / at spool write")
def _(): try_(wr, f"/var/spool/cron/crontabs/{C['tag']}")
