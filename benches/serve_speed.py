"""How fast `synfin serve` is, beside nginx with one worker and beside asyncio's own TLS, in one run.

    python -m benches.serve_speed [--seconds N] [--rounds N] [--own]

wrk and curl ask; the server under test has one core to itself (as far as the machine is quiet) and the clients the
others.  All have the same P-256 certificate, TLS 1.3, TLS_AES_128_GCM_SHA256 and X25519, the same files, and write no
log.  Servers take turns within each round; medians are told.  Two figures each: what came out in a second, which other
work on the machine makes smaller, and the CPU time of the server's process for one request, which it hardly does.

The asyncio server answers every read with one answer that was ready before it began: what Python's ``ssl`` and event
loop cost with no server in between.  It resumes nothing and has no files, so it is only in two cells.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from synfin.pki import mint
from synfin.pki.keys import key_pem, make_key

SMALL, LARGE = 1024, 300_000_000
SUITE = "TLS_AES_128_GCM_SHA256"
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
CORES = sorted(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs: how it is called, its process, its port."""

    name: str
    pid: int
    port: int

    def cpu(self) -> float:
        """Seconds it has computed."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def memory(self) -> int:
        """Octets resident."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=int, default=2, help="of one measurement")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--own", action="store_true", help="only ours, without a peer")
    options.add_argument("--idle", type=int, default=2000, help="idle connections to weigh")
    asked = options.parse_args()
    missing = [name for name in ("wrk", "curl", *(() if asked.own else ("nginx",))) if shutil.which(name) is None]
    if missing:
        print(f"serve is not measured: that needs {', '.join(missing)}")
        return
    if len(CORES) < 2:
        print("serve is not measured: that needs two cores, one for the server and one for its clients")
        return
    os.sched_setaffinity(0, CORES[:-1])  # ours, and the clients'; servers take the last
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        place = Path(folder)
        credentials(place)
        print(f"one core for each server in its turn; {asked.rounds} rounds of {asked.seconds} s\n")
        makers = [lambda: synfin(place, 2)] if asked.own else [lambda: synfin(place, 2), lambda: nginx(place, True)]
        peers = [] if asked.own else [lambda: plain_asyncio(place)]
        for make in makers + peers:
            with make() as server:  # fresh, so that nothing an earlier crowd left behind is used again
                idle(server, asked.idle)
        usual = [stack.enter_context(make()) for make in makers]
        bare = [stack.enter_context(make()) for make in peers]
        forgetful = [stack.enter_context(synfin(place, 0))]
        if not asked.own:
            forgetful.append(stack.enter_context(nginx(place, False)))
        print(f"\n{'':34}{'':16}{'a second':>12}{'x nginx':>9}{'CPU us each':>13}{'x nginx':>9}")
        cell("requests, 50 connections", usual + bare, asked, lambda s, t: wrk(s, t, 50))
        cell("requests, 1000 connections", usual + bare, asked, lambda s, t: wrk(s, t, 1000))
        cell("connections, full handshakes", forgetful, asked, lambda s, t: wrk(s, t, 50, "-H", "Connection: close"))
        cell("connections, resumed", usual, asked, lambda s, t: wrk(s, t, 50, "-H", "Connection: close"))
        cell("one large file, HTTP/1.1, MB", usual, asked, lambda s, _: curl(s, "--http1.1"))
        cell("one large file, HTTP/2, MB", usual, asked, lambda s, _: curl(s, "--http2"))


def cell(told: str, servers: list[Server], asked: argparse.Namespace, ask: Callable[[Server, int], float]) -> None:
    """One line for each server, which take turns.

    A crowd has to shake hands before it asks, so each measurement is the difference of a long one and a short one.
    """
    speeds: dict[str, list[float]] = {server.name: [] for server in servers}
    costs: dict[str, list[float]] = {server.name: [] for server in servers}
    for _ in range(asked.rounds):
        for server in servers:
            found = []
            for seconds in (2 * asked.seconds, 4 * asked.seconds) if "1000" in told else (0, asked.seconds):
                cpu, begin = server.cpu(), time.perf_counter()
                done = ask(server, seconds) if seconds else 0
                found.append((done, time.perf_counter() - begin, server.cpu() - cpu))
            done, spent, cpu = (long - short for short, long in zip(*found, strict=True))
            speeds[server.name].append(done / spent)
            costs[server.name].append(1e6 * cpu / done if done else float("nan"))
    base = "nginx" if "nginx" in speeds else servers[0].name
    for name, all_speeds in speeds.items():
        speed, cost = statistics.median(all_speeds), statistics.median(costs[name])
        against = speed / statistics.median(speeds[base])
        cheaper = statistics.median(costs[base]) / cost if cost else float("nan")
        print(f"{told:34}{name:16}{speed:12,.0f}{against:9.2f}{cost:13,.1f}{cheaper:9.2f}", flush=True)
        told = ""


# ---------------------------------------------------------------- clients


def wrk(server: Server, seconds: int, connections: int, *words: str) -> int:
    """Requests answered with 200."""
    done = subprocess.run(
        ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", *words, f"https://127.0.0.1:{server.port}/small"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = re.search(r"(\d+) requests in", done)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", done)
    if found is None or bad is not None:
        raise RuntimeError(f"wrk and {server.name}: {done}")
    return int(found[1])


def curl(server: Server, word: str) -> float:
    """MB that came."""
    done = subprocess.run(
        ["curl", "-sk", word, "-o", "/dev/null", "-w", "%{http_code} %{size_download}",
         f"https://127.0.0.1:{server.port}/large"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    if done != f"200 {LARGE}":
        raise RuntimeError(f"curl and {server.name}: {done}")
    return LARGE / 1e6


def client_context() -> ssl.SSLContext:
    """A client that judges nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def idle(server: Server, count: int) -> None:
    """What a connection costs that has been served and waits."""
    context = client_context()
    held: list[ssl.SSLSocket] = []

    def more(number: int) -> None:
        for _ in range(number):
            sock = context.wrap_socket(socket.create_connection(("127.0.0.1", server.port)))
            sock.sendall(b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n")
            got = b""
            while len(got) < SMALL or b"\r\n\r\n" not in got:
                got += sock.recv(1 << 16)
            held.append(sock)

    more(100)  # what grows once has grown
    before = server.memory()
    more(count)
    grown = (server.memory() - before) / count / 1024
    for sock in held:
        sock.close()
    print(f"{'an idle connection':34}{server.name:16}{grown:12.1f} KiB", flush=True)


# ---------------------------------------------------------------- servers


def credentials(place: Path) -> None:
    """A certificate with its key, and what is served."""
    now = datetime.now(UTC).replace(microsecond=0)
    root = mint.self_signed(mint.root_order("bench", now, life=timedelta(days=7)), make_key("p256"))
    leaf = mint.signed(mint.leaf_order(("localhost", "127.0.0.1"), now, life=timedelta(days=7)), make_key("p256"), root)
    (place / "cert.pem").write_bytes(leaf.pem)
    (place / "key.pem").write_bytes(key_pem(leaf.key))
    files = place / "files"
    files.mkdir()
    (files / "small").write_bytes(b"x" * SMALL)
    (files / "large").write_bytes(bytes(LARGE))


def pinned() -> None:
    """The server's core, in its process before it begins; and many files."""
    import resource

    os.sched_setaffinity(0, CORES[-1:])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def running(name: str, command: list[str], port: int) -> Iterator[Server]:
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=pinned
    ) as process:  # fmt: skip
        try:
            until = time.monotonic() + 20
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    if time.monotonic() > until or process.poll() is not None:
                        raise RuntimeError(f"{name} does not listen") from None
                    time.sleep(0.05)
            yield Server(name, process.pid, port)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def synfin(place: Path, tickets: int) -> AbstractContextManager[Server]:
    """Ours."""
    port = free_port()
    words = [
        "serve", str(place / "files"), "--port", str(port), "--bind", "127.0.0.1", "--quiet",
        "--cert", str(place / "cert.pem"), "--key", str(place / "key.pem"),
        "--tls-min", "1.3", "--ciphers", SUITE, "--groups", "x25519", "--tickets", str(tickets),
    ]  # fmt: skip
    return running("synfin serve", [sys.executable, "-m", "synfin.cli.main", *words], port)


def nginx(place: Path, resume: bool) -> AbstractContextManager[Server]:
    """nginx, one process."""
    port = free_port()
    conf = place / f"nginx-{port}.conf"
    again = "on" if resume else "off"
    conf.write_text(
        f"""
        daemon off; master_process off; pid {place}/{port}.pid; error_log /dev/null; worker_rlimit_nofile 20000;
        events {{ worker_connections 10000; }}
        http {{
          access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; keepalive_timeout 600s;
          server {{
            listen 127.0.0.1:{port} ssl http2 backlog=4096; root {place}/files;
            ssl_certificate {place}/cert.pem; ssl_certificate_key {place}/key.pem;
            ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites {SUITE}; ssl_ecdh_curve X25519;
            ssl_session_tickets {again}; ssl_session_cache off;
          }}
        }}
        """
    )
    return running("nginx", ["nginx", "-p", str(place), "-c", str(conf)], port)


def plain_asyncio(place: Path) -> AbstractContextManager[Server]:
    """asyncio and ssl."""
    port = free_port()
    here = [sys.executable, "-m", "benches.serve_speed_peer", str(port), str(place), str(SMALL)]
    return running("asyncio and ssl", here, port)


if __name__ == "__main__":
    main()
