"""Wrong things that our server does on purpose, through the engine's seam, and what foreign clients answer to them.

Beside each fault stand the alerts that are right answers to it (RFC 8446 6.2), and after them what others answer
instead: some alerts differ, and some things are taken.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from synfin import tls
from synfin.errors import UsageError
from synfin.pki import mint
from synfin.pki.keys import make_key
from synfin.wire.tls.extensions import Extension
from synfin.wire.tls.messages import EncryptedExtensions, parse_handshake, write_handshake
from synfin.wire.tls.registry import alert_name
from tests.interop import chains, ours
from tests.interop.cells import CELLS, HOST, NAME, Cell
from tests.interop.peer import ClientPeer
from tests.tls.bad_server import Bad
from tests.tls.edits import Edit, flipped, gone, hello, longer

BODY = b'{\n  "client": {}, "tls": {}\n}'
ANSWER = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
ENDLESS = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY
#: Content of 2^14 + 257 octets with a tag: one more than a record of TLS 1.3 may have (RFC 8446 5.2).
TOO_LONG = b"\x17\3\3\x41\1" + bytes(0x4101)
NOTHING, TAKEN = "", "taken"
NO_SUITE = 0x13F0

Sock = socket.socket
Answer = Callable[[tls.Server, Sock], None]


def cell_of(what: str) -> Cell:
    return next(cell for cell in CELLS if cell.id == what)


# ---------------------------------------------------------------- our server does wrong


def properly(end: tls.Server, sock: Sock) -> None:
    end.send(ANSWER)
    end.close()
    sock.sendall(end.take_output(time.time()))
    sock.shutdown(socket.SHUT_WR)  # some wait for the end of TCP too


def with_a_wrong_tag(end: tls.Server, sock: Sock) -> None:
    end.send(ANSWER)
    sock.sendall(flipped_end(end.take_output(time.time())))


def without_close_notify(end: tls.Server, sock: Sock) -> None:
    end.send(ENDLESS)
    sock.sendall(end.take_output(time.time()))
    sock.shutdown(socket.SHUT_WR)


def in_a_long_record(end: tls.Server, sock: Sock) -> None:
    sock.sendall(TOO_LONG)


def with_an_alert(end: tls.Server, sock: Sock) -> None:
    end.abort(80)


def flipped_end(octets: bytes | bytearray) -> bytes:
    return bytes(octets[:-1]) + bytes([octets[-1] ^ 1])


def _unasked(bad: Bad, raw: bytes) -> bytes:
    """EncryptedExtensions with an extension of the private range."""
    parsed = parse_handshake(8, raw[4:])
    assert isinstance(parsed, EncryptedExtensions)
    return write_handshake(replace(parsed, extensions=(*parsed.extensions, Extension(0xFF77, b""))))


def _refused(bad: Bad, raw: bytes) -> bytes:
    """An alert where the ServerHello should be."""
    bad.abort(40)
    return b""


@dataclass(frozen=True, slots=True)
class Wrong:
    """What our server does wrong; the alerts that are right answers ("": none), and what else is known to come."""

    name: str
    right: tuple[str, ...]
    otherwise: tuple[str, ...] = ()
    edits: dict[int, Edit] = field(default_factory=dict)
    answer: Answer = properly
    config: Callable[[], dict[str, Any]] = dict
    cell: str = "1.3 full"


def _credential(made: mint.Credential) -> dict[str, Any]:
    return {"credentials": (chains.credential(made),)}


def _stranger() -> dict[str, Any]:
    now = chains.now()
    root = mint.self_signed(mint.root_order("Another root", now), make_key("p256"))
    return _credential(mint.signed(mint.leaf_order((NAME, HOST), now), make_key("p256"), root))


def _expired() -> dict[str, Any]:
    now = chains.now()
    order = mint.leaf_order((NAME, HOST), now - timedelta(days=40), life=timedelta(days=30))
    return _credential(mint.signed(order, make_key("p256"), chains.root()))


WRONG = (
    Wrong("Finished does not verify", ("decrypt_error",), edits={20: flipped}),
    Wrong("CertificateVerify does not verify", ("decrypt_error",), ("handshake_failure",), {15: flipped}),
    Wrong("CertificateVerify is left out", ("unexpected_message",), edits={15: gone}),
    Wrong("an octet too many in Finished", ("decode_error", "decrypt_error"), ("illegal_parameter",), {20: longer}),
    Wrong("an extension nobody asked for", ("unsupported_extension",), (TAKEN,), {8: _unasked}),
    Wrong(
        "a cipher suite nobody offered",
        ("illegal_parameter",),
        ("handshake_failure",),
        {2: hello(cipher_suite=NO_SUITE)},
    ),
    Wrong("unknown issuer", ("unknown_ca", "bad_certificate", "certificate_unknown"), config=_stranger),
    Wrong("certificate expired", ("certificate_expired", "bad_certificate", "certificate_unknown"), config=_expired),
    Wrong(
        "certificate of another name",
        ("bad_certificate", "certificate_unknown"),
        ("handshake_failure", TAKEN),  # some were not asked to look at names
        config=lambda: _credential(chains.server("p256", "other.example")),
    ),
    Wrong("alert handshake_failure instead of ServerHello", (NOTHING,), edits={2: _refused}),
    Wrong("alert internal_error instead of an answer", (NOTHING,), answer=with_an_alert),
    Wrong("a record's tag does not verify", ("bad_record_mac",), answer=with_a_wrong_tag),
    Wrong("a record too long", ("record_overflow",), ("bad_record_mac",), answer=in_a_long_record),
    Wrong("no close_notify, no Content-Length", (NOTHING, TAKEN), ("decode_error",), answer=without_close_notify),
    Wrong(
        "TLS 1.2: ServerKeyExchange's signature",
        ("decrypt_error",),
        ("handshake_failure", "illegal_parameter"),
        {12: flipped},
        cell="1.2 full",
    ),
    Wrong(
        "TLS 1.2: Finished does not verify", ("decrypt_error",), ("handshake_failure",), {20: flipped}, cell="1.2 full"
    ),
)


@dataclass(slots=True)
class Outcome:
    """What came of a fault: the alert that was answered with, or "", the program's words, or that it had its answer."""

    alert: str = NOTHING
    words: str = ""
    taken: bool = False

    @property
    def said(self) -> str:
        """The alert, or ``TAKEN`` where there was none and it went on."""
        return TAKEN if self.taken and not self.alert else self.alert

    def known(self, right: tuple[str, ...], otherwise: tuple[str, ...]) -> bool:
        """Whether it is known.  A refusal may be without an alert: some send none, and it may be lost to a reset."""
        return self.said in (*right, *otherwise, NOTHING)


def _converse(wrong: Wrong, config: tls.ServerConfig, sock: Sock, heard: list[str]) -> None:
    """One connection, until both ends are done."""
    end = Bad(config, now=time.time(), entropy=os.urandom)
    end.edits = wrong.edits
    sock.settimeout(20)
    request = b""
    while True:
        if out := end.take_output(time.time()):
            sock.sendall(out)
        if not (data := sock.recv(1 << 16)):
            return
        end.receive(data, time.time())
        for event in iter(end.next_event, None):
            if isinstance(event, tls.PeerAlert) and event.description:
                heard.append(alert_name(event.description))
            elif isinstance(event, tls.Data) and b"\r\n\r\n" not in request:
                request += event.data
                if b"\r\n\r\n" in request:
                    wrong.answer(end, sock)


@contextmanager
def committing(faults: dict[str, Wrong]) -> Iterator[tuple[dict[str, int], dict[str, list[str]]]]:
    """A server for each fault: their ports, and the alerts that came to them so far."""
    listeners = {name: socket.create_server((HOST, 0)) for name in faults}
    heard: dict[str, list[str]] = {name: [] for name in faults}

    configs = {name: ours.server_config(cell_of(wrong.cell), **wrong.config()) for name, wrong in faults.items()}

    def serve(name: str) -> None:
        while True:
            try:
                sock, _ = listeners[name].accept()
            except OSError:
                return
            with sock:
                try:
                    _converse(faults[name], configs[name], sock, heard[name])
                except (OSError, UsageError):
                    pass  # it hung up on us, which is its right

    threads = [threading.Thread(target=serve, args=(name,), daemon=True) for name in faults]
    for thread in threads:
        thread.start()
    try:
        yield {name: listener.getsockname()[1] for name, listener in listeners.items()}, heard
    finally:
        for listener in listeners.values():
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for thread in threads:
            thread.join(20)


_OF_ONE_RUN = (
    (r"\b[0-9A-F]{8,16}:error:[0-9A-F]+:", ""),
    (r":\.?\.?/?[\w./-]+\.c{1,2}:\d+", ""),
    (r" at \w+\.erl:\d+", ""),
    (r"\(_ssl\.c:\d+\)", ""),
    (r":SSL alert number \d+", ""),
    (r"\d{4}-\d\d-\d\dT[\d:]+Z", "DATE"),
    (r":\d{4,5}\b", ":PORT"),
    (r"port \d{4,5}\b", "port PORT"),
    (r"<<.*", "..."),
    (r"\\n|\s+", " "),
    (r"\|", "/"),
)


def plain(words: str) -> str:
    """A complaint without what is of one run or one machine: addresses, ports, thread numbers, files of sources."""
    words = re.sub(r"^(?:error|failed|\w*(?:Error|Exception):) ", "", words.strip())
    for pattern, other in _OF_ONE_RUN:
        words = re.sub(pattern, other, words)
    return words.strip(": ")[:200]


def of_client(peer: ClientPeer, folder: Path) -> dict[str, Outcome]:
    """What a foreign client makes of all that our server can do wrong."""
    trusting = getattr(peer, "trusts_anybody", False)
    faults = {wrong.name: wrong for wrong in WRONG if not (trusting and wrong.config is not dict)}
    with committing(faults) as (ports, heard):
        said = peer.run({name: cell_of(wrong.cell) for name, wrong in faults.items()}, ports, folder)
    found = {}
    for name in faults:
        answer = said[name]
        alert = heard[name][0] if heard[name] else NOTHING
        taken = not isinstance(answer, str)
        found[name] = Outcome(alert, "" if taken else plain(str(answer)), taken)
    return found
