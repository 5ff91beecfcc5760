"""How fast our own TCP is in the real world: behind a TUN device, with the Linux kernel as its peer.

    python -m benches.tun_speed [--size MB] [--pytcp PYTHON]

Everything runs in a network namespace of its own (root, or user namespaces).  Ratios are to the kernel's loopback
measured in the same run, with the same sender and receiver in Python.  ``--pytcp`` names a Python that has PyTCP from
PyPI, which is then measured as a peer in the same place: the kernel sends, it receives.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import hashlib
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from synfin.drive import namespace
from synfin.drive.own import BULK, OwnStack
from synfin.drive.own_link import LinkedStack
from synfin.drive.own_pipe import OwnPipe
from synfin.drive.streams import TlsStream
from synfin.drive.tun import Tun
from synfin.drive.wire_link import Link
from synfin.errors import UsageError
from synfin.sim import Conditions
from tests.tls import ends

KERNEL, OURS = "192.0.2.1", "192.0.2.2"
KERNEL6, OURS6 = "2001:db8::1", "2001:db8::2"
BLOCK = 1 << 18


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--size", type=int, default=2000, help="MB of a bulk transfer")
    options.add_argument("--pytcp", metavar="PYTHON", help="a Python that has PyTCP")
    options.add_argument("--bulk", action="store_true", help="only the bulk transfers")
    asked = options.parse_args()
    gc.freeze()  # as the command line does
    gc.set_threshold(100_000)
    try:
        namespace.become_admin()
        namespace.unshare(namespace.NEWNET)
    except (UsageError, OSError) as error:
        print(f"our TCP behind TUN is not measured: {error}")
        return
    from synfin.drive import netlink

    netlink.up("lo")
    size = asked.size * 1_000_000
    received = bulk(size, 5)
    if asked.bulk:
        return
    asyncio.run(whole(200_000_000, None))
    asyncio.run(
        whole(200_000_000, Conditions(delay=200_000, loss=0.001, reorder=0.001, reorder_by=1_000_000, duplicate=0.001))
    )
    asyncio.run(rates())
    if shutil.which("nginx") and shutil.which("curl"):
        https(300_000_000)
    else:
        print("HTTPS is not measured: that needs nginx and curl")
    if not asked.pytcp:
        print("PyTCP is not measured: --pytcp names a Python that has it")
    else:
        other = pytcp(asked.pytcp, 5_000_000)
        if other:
            print(f"PyTCP, kernel -> PyTCP: {other * 1000:.3f} MB/s; ours is {received / other:.0f} x")


def bulk(size: int, rounds: int) -> float:
    """Both directions beside the loopback, round by round: noise meets all alike.  GB/s received."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, measure in (
            ("kernel loopback", lambda: loopback(size)),
            ("IPv4, kernel -> own", lambda: asyncio.run(receive(OURS, size))),
            ("IPv4, own -> kernel", lambda: asyncio.run(send(KERNEL, size))),
            ("IPv6, kernel -> own", lambda: asyncio.run(receive(OURS6, size))),
            ("IPv6, own -> kernel", lambda: asyncio.run(send(KERNEL6, size))),
        ):
            found.setdefault(name, []).append(measure())
    base = found["kernel loopback"]
    for name, speeds in found.items():
        ratio = statistics.median(speed / loop for speed, loop in zip(speeds, base, strict=True))
        print(f"{name}: {statistics.median(speeds):.2f} GB/s, {ratio:.2f} x loopback (medians of {rounds} rounds)")
    return statistics.median(found["IPv4, kernel -> own"])


def best(times: int, measure: Callable[[], float]) -> float:
    """The best of several: the machine's noise only ever slows."""
    return max(measure() for _ in range(times))


def child(work: Callable[[], None]) -> int:
    """``work`` in a process of its own."""
    pid = os.fork()
    if not pid:
        try:
            work()
        finally:
            os._exit(0)
    return pid


def pour(sock: socket.socket, size: int) -> None:
    block = memoryview(bytes(BLOCK))
    while size > 0:
        size -= sock.send(block[: min(size, BLOCK)])
    sock.shutdown(socket.SHUT_WR)
    sock.recv(1)


def drain(sock: socket.socket) -> int:
    buffer, got = bytearray(BLOCK), 0
    while count := sock.recv_into(buffer):
        got += count
    return got


def loopback(size: int) -> float:
    with socket.create_server(("127.0.0.1", 0)) as server:
        pid = child(lambda: pour(socket.create_connection(server.getsockname()), size))
        found, _ = server.accept()
        begin = time.perf_counter()
        drain(found)
        spent = time.perf_counter() - begin
        found.close()
        os.waitpid(pid, 0)
    return size / 1e9 / spent


def stack(link: Link | None = None) -> OwnStack:
    tun = Tun.open([f"{KERNEL}/24", f"{KERNEL6}/64"], offload=link is None)
    addresses = [OURS, OURS6]
    return OwnStack(tun, addresses, BULK) if link is None else LinkedStack(tun, addresses, link, BULK)


async def receive(ours: str, size: int) -> float:
    """GB/s from the kernel to us."""
    own = stack()
    listener = own.listen(80)
    pid = child(lambda: pour(socket.create_connection((ours, 80)), size))
    pipe = await listener.accept()
    begin, got = time.perf_counter(), 0
    while found := await pipe.receive_buffers():
        for piece in found:
            got += len(piece)
    spent = time.perf_counter() - begin
    await pipe.close()
    await own.close()
    os.waitpid(pid, 0)
    if got != size:
        raise RuntimeError(f"{got} octets of {size} came")
    return size / 1e9 / spent


async def send(kernel: str, size: int) -> float:
    """GB/s from us to the kernel."""
    own = stack()
    with socket.create_server((kernel, 0), family=socket.AF_INET6 if ":" in kernel else socket.AF_INET) as server:

        def sink() -> None:
            found, _ = server.accept()
            if drain(found) == size:
                found.send(b"k")
            found.close()

        pid = child(sink)
        pipe = await own.connect(kernel, server.getsockname()[1])
    block = memoryview(bytes(1 << 20))
    begin, left = time.perf_counter(), size
    while left:
        count = min(left, len(block))
        await pipe.send(block[:count])
        left -= count
    await pipe.send_eof()
    if await pipe.receive() != b"k":
        raise RuntimeError("not all came")
    spent = time.perf_counter() - begin
    await pipe.close()
    await own.close()
    os.waitpid(pid, 0)
    return size / 1e9 / spent


async def whole(size: int, conditions: Conditions | None) -> None:
    """Up and down at once, over a link with faults where there is one, with checksums."""
    link = Link(conditions, conditions, seed=1) if conditions is not None else None
    own = stack(link)
    listener = own.listen(80)
    data = os.urandom(1 << 20) * (size >> 20)
    expected = hashlib.sha256(data).hexdigest()
    reader, writer = os.pipe()

    def theirs() -> None:
        sock = socket.create_connection((OURS, 80))
        inner = child(lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR))[1])
        digest = hashlib.sha256()
        while piece := sock.recv(BLOCK):
            digest.update(piece)
        os.waitpid(inner, 0)
        os.write(writer, digest.hexdigest().encode())

    pid = child(theirs)
    pipe = await listener.accept()
    begin = time.perf_counter()

    async def ours() -> None:
        await pipe.send(data)
        await pipe.send_eof()

    _, got = await asyncio.gather(ours(), digested(pipe))
    spent = time.perf_counter() - begin
    await asyncio.to_thread(os.waitpid, pid, 0)
    right = got == expected == os.read(reader, 64).decode()
    info = pipe.info()
    again = info.retransmits if info is not None else 0
    lost = (
        f", {sum(way.counts['lost'] for way in (link.up, link.down))} packets lost, {again} sent again by us"
        if link
        else ""
    )
    print(
        f"{len(data) / 1e6:.0f} MB up and down at once{lost}: {2 * len(data) / 1e9 / spent:.3f} GB/s, "
        f"checksums {'right' if right else 'WRONG'}"
    )
    await own.close()


async def digested(pipe: OwnPipe) -> str:
    digest = hashlib.sha256()
    while found := await pipe.receive_buffers():
        for piece in found:
            digest.update(piece)
    return digest.hexdigest()


async def rates(count: int = 3000) -> None:
    """Connections a second: connect, a word each way, close; the kernel's client, our server."""
    own = stack()
    listener = own.listen(80)

    async def one(pipe: OwnPipe) -> None:
        await pipe.send(await pipe.receive())
        await pipe.send_eof()
        await pipe.receive()
        await pipe.close()

    async def serve() -> None:
        while True:
            tasks.add(asyncio.create_task(one(await listener.accept())))

    def ask() -> None:
        for _ in range(count // 2):
            with socket.create_connection((OURS, 80)) as sock:
                sock.send(b"x")
                while sock.recv(10):
                    pass

    tasks: set[asyncio.Task[None]] = set()
    serving = asyncio.create_task(serve())
    begin = time.perf_counter()
    pids = [child(ask), child(ask)]
    for pid in pids:
        await asyncio.to_thread(os.waitpid, pid, 0)
    print(f"connections, kernel's client at our server: {count / (time.perf_counter() - begin):.0f} a second")
    serving.cancel()
    await own.close()


def fetch(url: str) -> float:
    """GB/s of curl."""
    done = subprocess.run(
        ["curl", "-sk", "--http1.1", "-o", "/dev/null", "-w", "%{http_code} %{speed_download}", url],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    code, speed = done.stdout.split()
    if code != "200":
        raise RuntimeError(f"status {code} from {url}")
    return float(speed) / 1e9


async def serve(body: bytes) -> float:
    """GB/s of HTTPS on our TCP and our TLS."""
    own = stack()
    listener = own.listen(443)

    async def answer() -> None:
        while True:
            stream = TlsStream(await listener.accept(), ends.server(ends.server_config()), clock=lambda: ends.NOW)
            await stream.handshake()
            await stream.read()
            await stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body))
            await stream.write(body)
            await stream.close()

    serving = asyncio.create_task(answer())
    speed = max([await asyncio.to_thread(fetch, f"https://{OURS}/") for _ in range(3)])
    serving.cancel()
    await own.close()
    return speed


def https(size: int) -> None:
    """One large file by HTTPS: ours against nginx on the kernel's loopback."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "page").write_bytes(bytes(size))
        credential = ends.leaf()
        (place / "cert.pem").write_bytes(credential.pem)
        (place / "key.pem").write_bytes(credential.key_pem)
        (place / "conf").write_text(
            f"daemon off; pid {place}/pid; error_log stderr; user root; events {{}} http {{ access_log off;"
            f" sendfile on; server {{ listen 127.0.0.1:443 ssl; root {place}; ssl_certificate {place}/cert.pem;"
            f" ssl_certificate_key {place}/key.pem; ssl_protocols TLSv1.3; }} }}"
        )
        nginx = subprocess.Popen(["nginx", "-p", folder, "-c", str(place / "conf")], stderr=subprocess.DEVNULL)
        try:
            time.sleep(1)
            theirs = best(3, lambda: fetch("https://127.0.0.1/page"))
        finally:
            nginx.terminate()
            nginx.wait()
    ours = asyncio.run(serve(bytes(size)))
    print(
        f"HTTPS, {size / 1e6:.0f} MB to curl: nginx on the kernel {theirs:.2f} GB/s, "
        f"own TCP and TLS {ours:.2f} GB/s ({ours / theirs:.2f} x)"
    )


#: What PyTCP is asked to do, as its documentation shows; it speaks to a TAP device and says nothing of every packet.
_PYTCP = """
import os, sys, time
import pytcp.config as config
from pytcp import TcpIpStack
from pytcp.lib import socket
config.LOG_CHANEL.clear()
stack = TcpIpStack(interface="tap7", ip4_address="192.0.2.2/24", ip4_gateway="192.0.2.1")
stack.start()
listener = socket.socket(socket.AF_INET4, socket.SOCK_STREAM)
listener.bind(("192.0.2.2", 80))
listener.listen()
print("listening", flush=True)
found, _ = listener.accept()
got, begin = 0, 0.0
while got < int(sys.argv[1]):
    got += len(found.recv())
    begin = begin or time.perf_counter()
print("took", time.perf_counter() - begin, flush=True)
os._exit(0)
"""


def pytcp(python: str, size: int) -> float:
    """GB/s from the kernel to PyTCP; 0 where it does not run."""
    if shutil.which("ip") is None:
        print("PyTCP is not measured: that needs ip (iproute2)")
        return 0.0
    for words in (
        "tuntap add name tap7 mode tap",
        "addr add 192.0.2.1/24 dev tap7",
        "link set tap7 up",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    with subprocess.Popen(
        [python, "-c", _PYTCP, str(size)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as peer:
        try:
            lines = iter(peer.stdout or ())
            if not any(line.strip() == "listening" for line in lines):
                print(f"PyTCP is not measured: it does not run with {python}")
                return 0.0
            with socket.create_connection((OURS, 80), timeout=60) as sock:
                sock.sendall(bytes(size))
                took = next((float(line.split()[1]) for line in lines if line.startswith("took ")), 0.0)
        finally:
            peer.kill()
            subprocess.run(["ip", "link", "del", "tap7"], check=True)
    return size / 1e9 / took if took else 0.0


if __name__ == "__main__":
    main()
