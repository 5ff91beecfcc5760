"""Wrong things that our client does on purpose, through the engine's seam, and what foreign servers answer to them."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from synfin import tls
from synfin.pki import mint
from synfin.pki.keys import make_key
from synfin.wire.tls.messages import ClientHello, parse_handshake, write_handshake
from synfin.wire.tls.registry import alert_name
from tests.interop import chains, ours
from tests.interop.cells import HOST, NAME
from tests.interop.faults import NO_SUITE, NOTHING, TAKEN, TOO_LONG, Outcome, cell_of, flipped_end
from tests.interop.peer import ServerPeer, get

SIGNATURE_ALGORITHMS, SUPPORTED_VERSIONS = 13, 43
Edit = Callable[[bytes], bytes]


class BadClient(tls.Client):
    """``edits`` holds for a message type what becomes of it."""

    def __init__(self, edits: dict[int, Edit], *given: Any, **more: Any) -> None:
        self.edits = edits
        super().__init__(*given, **more)

    def say_raw(self, raw: bytes) -> bytes:
        """See ``Endpoint``."""
        return super().say_raw(self.edits[raw[0]](raw) if raw[0] in self.edits else raw)


def flipped(raw: bytes) -> bytes:
    """Its last bit turned."""
    return flipped_end(raw)


def longer(raw: bytes) -> bytes:
    """An octet after its end."""
    return raw[:1] + (len(raw) - 3).to_bytes(3, "big") + raw[4:] + b"\0"


def hello(without: int = 0, **fields: Any) -> Edit:
    """A ClientHello with other fields, and without an extension."""

    def edit(raw: bytes) -> bytes:
        parsed = parse_handshake(1, raw[4:])
        assert isinstance(parsed, ClientHello)
        kept = tuple(one for one in parsed.extensions or () if one.type != without)
        return write_handshake(replace(parsed, extensions=kept, **fields))

    return edit


def _with_a_wrong_tag(end: tls.Client, request: bytes) -> bytes:
    end.send(request)
    return flipped_end(end.take_output(time.time()))


def _in_a_long_record(end: tls.Client, request: bytes) -> bytes:
    return TOO_LONG


@dataclass(frozen=True, slots=True)
class Wrong:
    """What our client does wrong; the alerts that are right answers ("": none), and what else is known to come."""

    name: str
    right: tuple[str, ...]
    otherwise: tuple[str, ...] = ()
    edits: dict[int, Edit] = field(default_factory=dict)
    config: Callable[[], dict[str, Any]] = dict
    cell: str = "1.3 full"
    ask: Callable[[tls.Client, bytes], bytes] | None = None


def _forged() -> dict[str, Any]:
    """A certificate that names our root, and that another key has signed."""
    root = mint.self_signed(mint.root_order("Interop root", chains.now()), make_key("p256"))
    made = mint.signed(mint.client_order("stranger", chains.now()), make_key("p256"), root)
    return {"credentials": (chains.credential(made),)}


WRONG = (
    Wrong("Finished does not verify", ("decrypt_error",), edits={20: flipped}),
    Wrong("an octet too many in ClientHello", ("decode_error",), (TAKEN,), {1: longer}),
    Wrong(
        "only a cipher suite nobody has",
        ("handshake_failure",),
        ("insufficient_security",),
        {1: hello(cipher_suites=(NO_SUITE,))},
    ),
    Wrong("only TLS 1.1", ("protocol_version",), edits={1: hello(SUPPORTED_VERSIONS, legacy_version=0x0302)}),
    Wrong(
        "no signature_algorithms",
        ("missing_extension",),
        ("handshake_failure", "insufficient_security", TAKEN),
        {1: hello(SIGNATURE_ALGORITHMS)},
    ),
    Wrong(
        "ALPN with nothing in common", ("no_application_protocol",), (TAKEN,), config=lambda: {"alpn": (b"nothing",)}
    ),
    Wrong(
        "no certificate where one must be",
        ("certificate_required",),
        (TAKEN,),  # nginx
        config=lambda: {"credentials": ()},
        cell="1.3 client p256",
    ),
    Wrong(
        "certificate its issuer did not sign",
        ("bad_certificate", "unknown_ca", "decrypt_error"),
        ("certificate_unknown", "access_denied", TAKEN),  # nginx tells of it in HTTP
        config=_forged,
        cell="1.3 client p256",
    ),
    Wrong(
        "CertificateVerify does not verify",
        ("decrypt_error",),
        ("handshake_failure",),
        {15: flipped},
        cell="1.3 client p256",
    ),
    Wrong("a record's tag does not verify", ("bad_record_mac",), ask=_with_a_wrong_tag),
    Wrong("a record too long", ("record_overflow",), ("bad_record_mac",), ask=_in_a_long_record),
    Wrong(
        "TLS 1.2: Finished does not verify",
        ("decrypt_error",),
        ("handshake_failure",),
        edits={20: flipped},
        cell="1.2 full",
    ),
)


def _converse(wrong: Wrong, port: int) -> Outcome:
    """One connection, until the server is done."""
    cell = cell_of(wrong.cell)
    config = ours.client_config(cell, **wrong.config())
    end = BadClient(wrong.edits, config, NAME, now=time.time(), entropy=os.urandom)
    found = Outcome()
    with socket.create_connection((HOST, port), 30) as sock:
        while True:
            if out := end.take_output(time.time()):
                sock.sendall(out)
            if end.closed or not (data := sock.recv(1 << 16)):
                return found
            end.receive(data, time.time())
            for event in iter(end.next_event, None):
                if isinstance(event, tls.PeerAlert) and event.description:
                    found.alert = alert_name(event.description)
                elif isinstance(event, tls.HandshakeDone):
                    request = get(port, cell.alpn)
                    if wrong.ask is None:
                        end.send(request)
                    else:
                        sock.sendall(wrong.ask(end, request))
                elif isinstance(event, tls.Data):
                    found.taken = True
                elif isinstance(event, tls.Failed):
                    found.words = event.violation


def of_server(peer: ServerPeer, folder: Path) -> dict[str, Outcome]:
    """What a foreign server makes of all that our client can do wrong."""
    faults = {wrong.name: wrong for wrong in WRONG if not peer.cannot(cell_of(wrong.cell))}
    found = {}
    with peer.serving({name: cell_of(wrong.cell) for name, wrong in faults.items()}, folder) as ports:
        for name, wrong in faults.items():
            try:
                found[name] = _converse(wrong, ports[name])
            except OSError as error:
                found[name] = Outcome(NOTHING, type(error).__name__)
    return found
