"""What every probe needs. A probe is a function that ends the process with one line: '@@RT {"r": ..., "d": ...}'.

r: ESCAPED (the attack worked) | DENIED (kernel or launcher refused) | NA (cannot be tried here) | OK, BAD (controls).
Harmless by construction: only decoys made by run.py are touched, and loads are bounded."""
import ctypes, errno, json, os, resource, signal, socket, stat, struct, sys, threading, time
ID = sys.argv[1]
class _D(dict):
    def __missing__(s, k): return 0
C = json.loads(sys.argv[2]) if len(sys.argv) > 2 else _D(ws="/", fix="/", home="/")
libc = ctypes.CDLL(None, use_errno=True); libc.syscall.restype = ctypes.c_long
def sc(nr, *a):
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(nr), *[x if not isinstance(x, int) else ctypes.c_long(x) for x in a])
    return r, ctypes.get_errno()
def en(e): return errno.errorcode.get(e, str(e))
def out(r, d=""):
    sys.stdout.write("\n@@RT " + json.dumps({"r": r, "d": str(d)[:200]}) + "\n"); sys.stdout.flush(); os._exit(0)
def esc(d=""): out("ESCAPED", d)
def den(d=""): out("DENIED", d)
def na(d=""): out("NA", d)
P = {}
def probe(pid, title):
    def w(f): P[pid] = (title, f); return f
    return w
def try_(f, *a):
    """An attempt by Python's own calls. What is no OSError is a mistake of the probe, not a denial."""
    try: r = f(*a)
    except OSError as e: den(f"{en(e.errno)}")
    except ImportError as e: na(f"probe error {e!r}")
    esc(r)
def sysdeny(nr, *a, ok_errnos=(), deny=("EPERM", "ENOSYS", "EACCES")):
    """denied iff EPERM/ENOSYS/EACCES; any other errno means the call reached the kernel handler"""
    r, e = sc(nr, *a)
    if r >= 0: esc(f"ret={r}")
    (den if en(e) in deny else esc)(en(e))
def rd(p, n=4096):
    with open(p, "rb") as f: return f.read(n)
def has_canary(p):
    b = rd(p)
    return "canary read" if C["canary"].encode() in b else f"opened ({len(b)} bytes)"
def wr(p, flags=os.O_WRONLY | os.O_CREAT, data=b"rt\n"):
    fd = os.open(p, flags, 0o644); os.write(fd, data); os.close(fd); return "wrote " + p
J = os.path.join
S = C["sup_pid"]; WS = C["ws"]; FIX = C["fix"]; H = C["home"]
