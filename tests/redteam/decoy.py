#!/usr/bin/python3
"""A decoy supervisor: everything that a real one has and a tool must not reach."""
import ctypes, json, os, signal, socket, sys, threading, time
fix, tag, canary = sys.argv[1:4]; os.chdir(fix); hits = open(f"{fix}/hits", "a", buffering=1)
def hit(x): hits.write(x + "\n")
signal.signal(signal.SIGUSR1, lambda *a: hit("SIGUSR1"))
libc = ctypes.CDLL(None, use_errno=True); buf = ctypes.create_string_buffer(canary.encode() + b"\0" * 16)
fd = os.open(f"{fix}/secret/token", os.O_RDONLY)
def tcp(s, n):
    def h(c):
        c.settimeout(2)
        try: d = c.recv(64); hit(f"{n} {d!r}")
        except OSError: hit(f"{n} connect")
        c.close()
    while True: c, _ = s.accept(); threading.Thread(target=h, args=(c,), daemon=True).start()
def udp(s, n):
    while True: hit(f"{n} {s.recv(200)!r}")
def go(f, *a): threading.Thread(target=f, args=a, daemon=True).start()
t = socket.socket(); t.bind(("127.0.0.1", 0)); t.listen(32); go(tcp, t, "tcp")
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0)); go(udp, u, "udp")
R = dict(sup_pid=os.getpid(), tcp=t.getsockname()[1], udp=u.getsockname()[1], sup_fd=fd, sup_addr=ctypes.addressof(buf))
for n, p in dict(usock="run/supervisor.sock", docker="run/docker.sock", dbus="run/bus", ssh="run/agent.sock").items():
    s = socket.socket(socket.AF_UNIX); s.bind(f"{fix}/{p}"); s.listen(8); go(tcp, s, n); R[n] = f"{fix}/{p}"
d = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); d.bind(f"{fix}/run/dgram"); go(udp, d, "dgram"); R["dsock"] = f"{fix}/run/dgram"
a = socket.socket(socket.AF_UNIX); a.bind("\0" + tag); a.listen(8); go(tcp, a, "abstract"); R["asock"] = tag
key = 0x5254_0000 | (os.getpid() & 0x7ff) << 1; libc.shmat.restype = ctypes.c_void_p
sid = libc.shmget(key, 4096, 0o1600); p = libc.shmat(sid, None, 0); ctypes.memmove(p, canary.encode(), len(canary)); R["shmkey"] = key; R["shmid"] = sid
R["shmname"] = tag + "-shm"; open(f"/dev/shm/{tag}-shm", "w").write(canary)
print(json.dumps(R), flush=True)
sys.stdin.read()
libc.shmctl(sid, 0, None); os.unlink(f"/dev/shm/{tag}-shm")
