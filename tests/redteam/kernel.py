"""K: system calls that open kernel surface."""
from frame import *

# ---- K: kernel surface
AT = -100
@probe("K01", "io_uring_setup")
def _(): b = ctypes.create_string_buffer(256); sysdeny(425, 4, b)
@probe("K02", "bpf(BPF_MAP_CREATE)")
def _(): b = ctypes.create_string_buffer(struct.pack("IIII", 2, 4, 4, 1) + b"\0" * 112, 128); sysdeny(321, 0, b, 128)
@probe("K04", "keyctl / add_key")
def _(): sysdeny(248, ctypes.c_char_p(b"user"), ctypes.c_char_p(C["tag"].encode()), ctypes.c_char_p(b"x"), 1, -2)
@probe("K05", "unshare(CLONE_NEWUSER)")
def _(): sysdeny(272, 0x10000000, deny=("EPERM", "ENOSYS", "EACCES", "ENOSPC", "EUSERS"))
@probe("K07", "clone(CLONE_NEWUSER|NEWNS)")
def _():
    r, e = sc(56, 0x10020011, 0, 0, 0, 0)
    if r == 0: os._exit(0)
    esc(f"pid {r}") if r > 0 else den(en(e))
@probe("K08", "mount tmpfs")
def _():
    os.makedirs(J(WS, "mnt"), exist_ok=True); r, e = sc(165, ctypes.c_char_p(b"t"), ctypes.c_char_p(J(WS, "mnt").encode()), ctypes.c_char_p(b"tmpfs"), 0, 0)
    if r == 0: sc(166, ctypes.c_char_p(J(WS, "mnt").encode()), 2); esc("mounted")
    den(en(e))
@probe("K09", "new mount API fsopen/open_tree")
def _():
    r, e = sc(430, ctypes.c_char_p(b"tmpfs"), 0); r2, e2 = sc(428, AT, ctypes.c_char_p(b"/"), 1)
    esc("fsopen" if r >= 0 else "open_tree(CLONE)") if r >= 0 or r2 >= 0 else den(f"{en(e)}/{en(e2)}")
@probe("K10", "pivot_root reachable")
def _(): sysdeny(155, ctypes.c_char_p(b"/nonexistent"), ctypes.c_char_p(b"/nonexistent"))
@probe("K11", "perf_event_open")
def _(): b = ctypes.create_string_buffer(struct.pack("IIQ", 1, 112, 0) + b"\0" * 96, 112); sysdeny(298, b, 0, -1, -1, 0)
@probe("K12", "init_module / finit_module")
def _(): sysdeny(175, 0, 0, 0)
@probe("K13", "kexec_load / reboot(bad magic) / swapon(bad)")
def _():
    res = [sc(246, 0, 0, 0, 0xffff), sc(169, 1, 2, 3, 0), sc(167, ctypes.c_char_p(b"/nonexistent"), 0)]
    g = [en(e) for r, e in res if en(e) not in ("EPERM", "ENOSYS", "EACCES")]
    esc(g) if g else den()
@probe("K14", "set system clock (settimeofday tz no-op)")
def _(): b = ctypes.create_string_buffer(8); sysdeny(164, 0, b)
@probe("K16", "x32 ABI syscall number bit 30")
def _(): r, e = sc(0x40000000 | 272, 0x10000000); esc(f"ret {r}") if r >= 0 else den(en(e))
@probe("K17", "personality(ADDR_NO_RANDOMIZE|READ_IMPLIES_EXEC)")
def _(): sysdeny(135, 0x0440000)
@probe("K18", "fanotify_init / quotactl / syslog(read kernel log)")
def _():
    r, e = sc(103, 3, ctypes.create_string_buffer(64), 64); r2, e2 = sc(300, 0, 0)
    esc(f"syslog={r} fanotify={r2}") if r >= 0 or r2 >= 0 else den(f"{en(e)}/{en(e2)}")
@probe("K20", "seccomp self-notify listener / nested filter (allowed; informational)")
def _(): na("informational")
