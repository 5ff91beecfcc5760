"""TLS sessions of OpenSSL with itself, made for the test: what went over the wire, what was said, and the secrets.

``memory`` joins two ``ssl`` objects in memory, without sockets or waiting.  ``openssl`` runs ``openssl s_server`` and
``s_client`` through a proxy that copies the bytes of both directions, for what Python's ``ssl`` cannot set.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

OPENSSL = shutil.which("openssl")
OP_NO_ENCRYPT_THEN_MAC = 1 << 19


@dataclass
class Session:
    """Wire bytes and application data by sender: 0 the client, 1 the server.  Secrets: (label, random) -> secret."""

    wire: tuple[bytearray, bytearray] = field(default_factory=lambda: (bytearray(), bytearray()))
    said: tuple[bytes, bytes] = (b"", b"")
    secrets: dict[tuple[str, bytes], bytes] = field(default_factory=dict)


def read_keylog(path: Path) -> dict[tuple[str, bytes], bytes]:
    """The lines of an SSLKEYLOGFILE."""
    found = {}
    for line in path.read_text().splitlines():
        parts = line.split()
        if len(parts) == 3 and not line.startswith("#"):
            found[parts[0], bytes.fromhex(parts[1])] = bytes.fromhex(parts[2])
    return found


def contexts(
    chains: list[Path], keylog: Path, version: ssl.TLSVersion, ciphers: str | None = None, options: int = 0
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Client and server contexts for one version, at security level 0, the client writing ``keylog``."""
    made = []
    for side in (ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER):
        context = ssl.SSLContext(side)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers(f"{ciphers or 'ALL:COMPLEMENTOFALL'}:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        context.options |= options
        made.append(context)
    client, server = made
    for chain in chains:
        server.load_cert_chain(chain)
    client.keylog_filename = str(keylog)
    return client, server


def memory(client_context: ssl.SSLContext, server_context: ssl.SSLContext, talk: list[tuple[int, bytes]]) -> Session:
    """One session in memory: handshake, each (sender, data) of ``talk``, close_notify of both."""
    session = Session()
    bios = [ssl.MemoryBIO() for _ in range(4)]
    client = client_context.wrap_bio(bios[0], bios[1], server_side=False, server_hostname="test.example")
    server = server_context.wrap_bio(bios[2], bios[3], server_side=True)
    ends = (client, server)

    def move() -> None:
        for sender, (out, into) in enumerate(((bios[1], bios[2]), (bios[3], bios[0]))):
            data = out.read()
            session.wire[sender].extend(data)
            into.write(data)

    def until_done(*actions: Callable[[], object]) -> None:
        waiting = list(actions)
        for _ in range(20):
            for action in tuple(waiting):
                try:
                    action()
                    waiting.remove(action)
                except ssl.SSLWantReadError:
                    pass
            move()
            if not waiting:
                return
        raise RuntimeError("the session does not get on")

    until_done(client.do_handshake, server.do_handshake)
    for sender, data in talk:
        ends[sender].write(data)
        move()
        got = b""
        while len(got) < len(data):
            got += ends[1 - sender].read(len(data) - len(got))
        if got != data:
            raise RuntimeError("the session garbled its data")
    until_done(client.unwrap, server.unwrap)
    session.said = (
        b"".join(data for sender, data in talk if sender == 0),
        b"".join(data for sender, data in talk if sender == 1),
    )
    return session


def openssl(server: list[str], client: list[str], typed: list[bytes], keylog: Path, timeout: float = 10) -> Session:
    """One session of ``openssl s_server`` with ``s_client``.

    Each piece of ``typed`` is one write to the client's standard input, made when the one before went over the wire;
    a piece that starts with K, k or Q is a command (key update of both, of one side, quit).
    """
    if OPENSSL is None:
        raise RuntimeError("openssl is missing")
    session = Session()
    serving = subprocess.Popen(
        [OPENSSL, "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", *server],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(timeout)
    client_process: subprocess.Popen[bytes] | None = None
    try:
        port = 0
        for line in serving.stdout or ():
            if line.startswith("ACCEPT"):
                port = int(line.rsplit(":", 1)[1])
                break
        command = [OPENSSL, "s_client", "-connect", f"127.0.0.1:{listener.getsockname()[1]}"]
        client_process = subprocess.Popen(
            [*command, "-keylogfile", str(keylog), *client],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        inner, _ = listener.accept()
        outer = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        inner.settimeout(timeout)
        threads = [
            threading.Thread(target=_copy, args=(inner, outer, session.wire[0])),
            threading.Thread(target=_copy, args=(outer, inner, session.wire[1])),
        ]
        for thread in threads:
            thread.start()
        if client_process.stdin is None:
            raise RuntimeError("s_client has no standard input")
        _grown(session, (0, 0), timeout)
        for piece in typed:
            before = (len(session.wire[0]), len(session.wire[1]))
            client_process.stdin.write(piece)
            client_process.stdin.flush()
            _grown(session, before, timeout)
        client_process.stdin.close()
        client_process.wait(timeout)
        for thread in threads:
            thread.join(timeout)
        inner.close()
        outer.close()
    finally:
        listener.close()
        for process in (serving, client_process):
            if process is not None:
                process.terminate()
                process.wait(timeout)
        if serving.stdout:
            serving.stdout.close()
    session.secrets = read_keylog(keylog)
    return session


def _grown(session: Session, before: tuple[int, int], timeout: float) -> None:
    """Wait until the client sent more than ``before`` and the wire is quiet."""
    until = time.monotonic() + timeout
    now = before
    while time.monotonic() < until:
        last, now = now, (len(session.wire[0]), len(session.wire[1]))
        if now[0] > before[0] and now == last:
            return
        time.sleep(0.02)
    raise RuntimeError("the session does not get on")


def _copy(source: socket.socket, target: socket.socket, copy: bytearray) -> None:
    """Copy until ``source`` ends; then tell ``target``."""
    try:
        while data := source.recv(65536):
            copy.extend(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
