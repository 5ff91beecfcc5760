"""The letter of the RFCs behind the hellos: what was malformed or out of place, and the alert the RFC names for it.

Tables continue those of ``test_refusals`` and ``test_proofs``; a row with alert None must be taken.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from synfin.tls import (
    Closed,
    Failed,
    HandshakeDone,
    PeerAlert,
    Ticket,
)
from synfin.wire.tls.messages import ServerHello, parse_handshake
from tests.support.tlsoctets import (
    DECODE,
    FAILURE,
    ILLEGAL,
    MISSING,
    NEW,
    OLD,
    UNEXPECTED,
    UNSUPPORTED,
    message,
    record,
)
from tests.tls.bad_client import BadClient
from tests.tls.bad_server import Bad
from tests.tls.edits import Edit, exactly
from tests.tls.ends import (
    NAME,
    NOW,
    alert_of,
    client,
    client_config,
    credential,
    events,
    of,
    pump,
    said,
    server,
    server_config,
    ticket_keys,
    verifier,
)
from tests.tls.test_refusals import CELLS, _stop, changed, edit, hello_of, sealed, speak

# ---------------------------------------------------------------- the flights after the hellos


FROM_SERVER: list[tuple[str, int, int, Edit, int]] = [
    ("no curve point", OLD, 12, exactly(12, b"\3\0\x1d\0\x04\3\0\1x"), DECODE),
    ("no signature", OLD, 12, exactly(12, b"\3\0\x1d\1x"), DECODE),
    ("point cut", OLD, 12, exactly(12, b"\3\0\x1d\x20xx"), DECODE),
    ("SHA-1", OLD, 12, lambda bad, raw: message(12, raw[4:40] + b"\2\3" + raw[42:]), ILLEGAL),
    ("key exchange empty", OLD, 12, exactly(12, b""), DECODE),
    ("certificate cut", OLD, 11, exactly(11, b"\0\0\x09\0\0\7xx"), DECODE),
    ("empty certificate", OLD, 11, exactly(11, b"\0\0\3\0\0\0"), DECODE),
    ("certificates trailing", OLD, 11, lambda bad, raw: message(11, raw[4:] + b"x"), DECODE),
    ("hello done with more", OLD, 14, exactly(14, b"x"), DECODE),
    ("finished short", OLD, 20, exactly(20, bytes(11)), DECODE),
    ("finished empty", OLD, 20, exactly(20, b""), DECODE),
    ("finished short, new", NEW, 20, exactly(20, bytes(31)), DECODE),
    ("finished empty, new", NEW, 20, exactly(20, b""), DECODE),
    ("extensions doubled", NEW, 8, exactly(8, b"\0\x08\0\x0a\0\0\0\x0a\0\0"), ILLEGAL),
    ("share among the extensions", NEW, 8, exactly(8, b"\0\4\0\x33\0\0"), ILLEGAL),
    ("name among the extensions with a body", NEW, 8, exactly(8, b"\0\5\0\0\0\1x"), DECODE),
    ("certificate extension unasked", NEW, 11, lambda bad, raw: _with_extension(raw, b"\x12\x34\0\0"), UNSUPPORTED),
    ("certificate extension misplaced", NEW, 11, lambda bad, raw: _with_extension(raw, b"\0\x33\0\0"), ILLEGAL),
    ("verify empty", NEW, 15, exactly(15, b""), DECODE),
    ("verify without signature", NEW, 15, exactly(15, b"\4\3\0\0"), 51),
    ("verify cut", NEW, 15, exactly(15, b"\4\3\0\5x"), DECODE),
    ("compressed empty", NEW, 11, exactly(25, b"\0\1\0\0\1\0\0\0"), DECODE),
    ("compressed by another way", NEW, 11, exactly(25, b"\0\7\0\0\1\0\0\1x"), ILLEGAL),
]


def _with_extension(raw: bytes, block: bytes) -> bytes:
    """A TLS 1.3 Certificate of one entry with the extensions in ``block``."""
    der = raw[11 : 11 + int.from_bytes(raw[8:11], "big")]
    entry = len(der).to_bytes(3, "big") + der + len(block).to_bytes(2, "big") + block
    return message(11, b"\0" + len(entry).to_bytes(3, "big") + entry)


@pytest.mark.parametrize(("what", "version", "kind", "lie", "alert"), FROM_SERVER, ids=[row[0] for row in FROM_SERVER])
def test_from_the_server(what: str, version: int, kind: int, lie: Edit, alert: int) -> None:
    liar = Bad(server_config("p256", max_version=version), now=NOW, entropy=os.urandom)
    liar.edits = {kind: lie, **({25: lie} if kind == 11 else {})}
    one = client()
    pump(one, liar)
    assert alert_of(one) == alert, what
    assert of(events(liar), PeerAlert) == [PeerAlert(alert, fatal=True)]


def test_a_certificate_of_another_kind() -> None:
    """An ECDSA suite with an RSA certificate is inconsistent (RFC 5246 7.4.2)."""
    other = credential("rsa2048").chain[0]
    body = len(other).to_bytes(3, "big") + other
    liar = Bad(server_config("p256", max_version=OLD), now=NOW, entropy=os.urandom)
    liar.edits = {11: exactly(11, len(body).to_bytes(3, "big") + body)}
    one = client()
    pump(one, liar)
    assert alert_of(one) == ILLEGAL


#: (what, version, body of CertificateRequest, alert)
REQUESTS: list[tuple[str, int, bytes, int | None]] = [
    ("fine", NEW, b"\0\0\x08\0\x0d\0\4\0\2\4\3", None),
    ("unknown extension", NEW, b"\0\0\x0c\0\x0d\0\4\0\2\4\3\x12\x34\0\0", None),
    ("context", NEW, b"\1x\0\x08\0\x0d\0\4\0\2\4\3", ILLEGAL),
    ("no schemes", NEW, b"\0\0\0", MISSING),
    ("schemes empty", NEW, b"\0\0\6\0\x0d\0\2\0\0", DECODE),
    ("schemes doubled", NEW, b"\0\0\x10" + b"\0\x0d\0\4\0\2\4\3" * 2, ILLEGAL),
    ("misplaced", NEW, b"\0\0\x0c\0\x0d\0\4\0\2\4\3\0\x33\0\0", ILLEGAL),
    ("cut", NEW, b"\0\0\x08\0\x0d\0\4\0\2\4", DECODE),
    ("trailing", NEW, b"\0\0\x08\0\x0d\0\4\0\2\4\3x", DECODE),
    ("fine, old", OLD, b"\1\x40\0\2\4\3\0\0", None),
    ("no types", OLD, b"\0\0\2\4\3\0\0", DECODE),
    ("no schemes, old", OLD, b"\1\x40\0\0\0\0", DECODE),
    ("odd schemes, old", OLD, b"\1\x40\0\3\4\3\4\0\0", DECODE),
    ("empty authority, old", OLD, b"\1\x40\0\2\4\3\0\2\0\0", DECODE),
    ("cut, old", OLD, b"\1\x40\0\2\4\3", DECODE),
]


@pytest.mark.parametrize(("what", "version", "body", "alert"), REQUESTS, ids=[row[0] for row in REQUESTS])
def test_certificate_requests(what: str, version: int, body: bytes, alert: int | None) -> None:
    liar = Bad(
        server_config("p256", max_version=version, client_auth="optional", verify=verifier()),
        now=NOW,
        entropy=os.urandom,
    )
    liar.edits = {13: exactly(13, body)}
    one = client()
    pump(one, liar)
    assert alert_of(one) == alert, what


FROM_CLIENT: list[tuple[str, int, int, Edit, int]] = [
    ("certificate extension", NEW, 11, lambda bad, raw: _with_extension(raw, b"\x12\x34\0\0"), UNSUPPORTED),
    ("staple unasked", NEW, 11, lambda bad, raw: _with_extension(raw, b"\0\5\0\0"), UNSUPPORTED),
    ("empty certificate", NEW, 11, exactly(11, b"\0\0\0\5\0\0\0\0\0"), DECODE),
    ("list cut", NEW, 11, exactly(11, b"\0\0\0\x09\0\0"), DECODE),
    ("verify by SHA-1", NEW, 15, lambda bad, raw: message(15, b"\2\3" + raw[6:]), ILLEGAL),
    ("verify by PKCS#1", NEW, 15, lambda bad, raw: message(15, b"\4\1" + raw[6:]), ILLEGAL),
    ("verify on another curve", NEW, 15, lambda bad, raw: message(15, b"\5\3" + raw[6:]), ILLEGAL),
    ("verify empty", NEW, 15, exactly(15, b""), DECODE),
    ("finished short", NEW, 20, exactly(20, bytes(12)), DECODE),
    ("finished of SHA-384", NEW, 20, exactly(20, bytes(48)), DECODE),
    ("certificate empty, old", OLD, 11, exactly(11, b"\0\0\3\0\0\0"), DECODE),
    ("certificate cut, old", OLD, 11, exactly(11, b"\0\0\x09\0\0"), DECODE),
    ("verify by SHA-1, old", OLD, 15, lambda bad, raw: message(15, b"\2\3" + raw[6:]), ILLEGAL),
    ("verify by another kind, old", OLD, 15, lambda bad, raw: message(15, b"\x08\4" + raw[6:]), ILLEGAL),
    ("verify trailing, old", OLD, 15, lambda bad, raw: message(15, raw[4:] + b"x"), DECODE),
    ("finished empty, old", OLD, 20, exactly(20, b""), DECODE),
    ("finished long, old", OLD, 20, exactly(20, bytes(13)), DECODE),
]


@pytest.mark.parametrize(("what", "version", "kind", "lie", "alert"), FROM_CLIENT, ids=[row[0] for row in FROM_CLIENT])
def test_from_the_client(what: str, version: int, kind: int, lie: Edit, alert: int) -> None:
    config = client_config(max_version=version, credentials=(credential(client=True),))
    liar = BadClient(config, NAME, now=NOW, entropy=os.urandom)
    liar.edits = {kind: lie}
    two = server(server_config(client_auth="required", verify=verifier(), certificate_compression=()))
    pump(liar, two)
    assert alert_of(two) == alert, what


@pytest.mark.parametrize("what", ["empty", "zero", "one", "p-1", "p", "long"])
def test_diffie_hellman_of_the_client(what: str) -> None:
    """RFC 7919 3 and 5.1, RFC 5246 7.4.7.2."""
    from synfin.tls import groups

    p = int.from_bytes(groups.prime_octets(256), "big")
    values = {
        "empty": b"",
        "zero": b"\0",
        "one": b"\1",
        "p-1": (p - 1).to_bytes(256, "big"),
        "p": p.to_bytes(256, "big"),
    }
    value = values.get(what, b"\1" * 300)
    liar = BadClient(client_config(suites=(0x009E,), max_version=OLD), NAME, now=NOW, entropy=os.urandom)
    liar.edits = {16: exactly(16, len(value).to_bytes(2, "big") + value)}
    two = server(server_config("rsa2048", suites=(0x009E,), groups=(256,)))
    pump(liar, two)
    assert alert_of(two) == (DECODE if what == "empty" else FAILURE)


@pytest.mark.parametrize("body", [b"", b"\0"])
def test_static_rsa_without_a_length(body: bytes) -> None:
    liar = BadClient(client_config(suites=(0x009C,), max_version=OLD), NAME, now=NOW, entropy=os.urandom)
    liar.edits = {16: exactly(16, body)}
    two = server(server_config("rsa2048", suites=(0x009C,)))
    pump(liar, two)
    assert alert_of(two) == DECODE


# ---------------------------------------------------------------- after the handshake


#: (what, body of NewSessionTicket, alert)
TICKETS: list[tuple[str, bytes, int | None]] = [
    ("fine", b"\0\0\0\1" + bytes(4) + b"\0\0\1x\0\0", None),
    ("unknown extension", b"\0\0\0\1" + bytes(4) + b"\0\0\1x\0\4\x12\x34\0\0", None),
    ("no ticket", b"\0\0\0\1" + bytes(4) + b"\0\0\0\0\0", DECODE),
    ("no extensions", b"\0\0\0\1" + bytes(4) + b"\0\0\1x", DECODE),
    ("misplaced extension", b"\0\0\0\1" + bytes(4) + b"\0\0\1x\0\4\0\x33\0\0", ILLEGAL),
    ("doubled extension", b"\0\0\0\1" + bytes(4) + b"\0\0\1x\0\x08" + b"\x12\x34\0\0" * 2, ILLEGAL),
    ("early data cut", b"\0\0\0\1" + bytes(4) + b"\0\0\1x\0\5\0\x2a\0\1x", DECODE),
    ("trailing", b"\0\0\0\1" + bytes(4) + b"\0\0\1x\0\0x", DECODE),
    ("longer than a week", b"\0\x09\x3a\x81" + bytes(4) + b"\0\0\1x\0\0", None),
]


@pytest.mark.parametrize(("what", "body", "alert"), TICKETS, ids=[row[0] for row in TICKETS])
def test_tickets(what: str, body: bytes, alert: int | None) -> None:
    stopped = _stop(NEW, "ConnectedPlain", "client")
    speak(stopped, message(4, body))
    assert alert_of(stopped.end) == alert, what


# ---------------------------------------------------------------- lengths that lie


EXACT = {0: 1, 5: 1, 14: 1, 24: 2, 20: 49}


@pytest.mark.parametrize(("role", "version", "state"), CELLS)
def test_headers_that_promise_too_much(role: str, version: int, state: str) -> None:
    """A message whose length cannot be right is refused when its header is here, not when a timer fires."""
    for kind, size in EXACT.items():
        stopped = _stop(version, state, role)
        end: Any = stopped.end
        if kind not in end.state.EXPECTS:
            continue
        events(end)
        speak(stopped, bytes([kind]) + size.to_bytes(3, "big") + bytes(size - 1))
        assert alert_of(end) == DECODE


# ---------------------------------------------------------------- alerts and closing


@pytest.mark.parametrize(("role", "version", "state"), CELLS)
def test_close_notify_is_answered_in_the_handshake(role: str, version: int, state: str) -> None:
    stopped = _stop(version, state, role)
    end, opener = stopped.end, stopped.end._opener
    end.take_output(NOW)
    events(end)
    end.receive(record(b"\1\0", 21) if opener is None else sealed(opener, 21, b"\1\0"), NOW)
    found = events(end)
    done = state.startswith("Connected")
    assert found[-1] == Closed(clean=done)
    assert not of(found, Failed)
    if done:
        assert end.ready
        end.send(b"still here")
        end.close()
    else:
        assert of(found, PeerAlert) == [PeerAlert(0, fatal=True)]
    assert end.closed
    out = end.take_output(NOW)
    assert out
    if end._sealer is None:
        assert out == record(b"\1\0", 21)
    end.receive(record(b"nothing of this is read", 23), NOW)
    end.receive(b"nor this", NOW)
    assert not events(end)
    end.receive_eof(NOW)
    assert not events(end)


@pytest.mark.parametrize("version", [OLD, NEW])
def test_half_close(version: int) -> None:
    """The end that was told close_notify goes on sending (RFC 8446 6.1)."""
    one, two = client(client_config(max_version=version)), server()
    pump(one, two)
    events(one), events(two)
    one.send(b"question")
    one.close()
    pump(one, two)
    found = events(two)
    assert said(found) == b"question"
    assert found[-1] == Closed(clean=True)
    two.send(b"answer")
    two.close()
    pump(one, two)
    found = events(one)
    assert said(found) == b"answer"
    assert found[-1] == Closed(clean=True)


@pytest.mark.parametrize("version", [OLD, NEW])
def test_cancelled_by_the_user(version: int) -> None:
    """user_canceled is a warning that close_notify follows (RFC 8446 6.1, RFC 5246 7.2.2)."""
    end = server(server_config(max_version=version))
    end.receive(client().take_output(NOW), NOW)
    end.take_output(NOW)
    end.receive(record(b"\1\x5a", 21) + record(b"\1\0", 21), NOW)
    found = events(end)
    assert of(found, PeerAlert) == [PeerAlert(90, fatal=False), PeerAlert(0, fatal=True)]
    assert found[-1] == Closed(clean=False)


def test_alerts_may_be_cut_and_joined_in_tls12() -> None:
    stopped = _stop(OLD, "WaitKeyExchange", "server")
    events(stopped.end)
    stopped.end.receive(record(b"\1\x64\1", 21), NOW)
    assert events(stopped.end) == [PeerAlert(100, fatal=False)]
    stopped.end.receive(record(b"\x64\2\x28\1\0", 21), NOW)
    assert events(stopped.end) == [PeerAlert(100, fatal=False), PeerAlert(40, fatal=True), Closed(clean=False)]


@pytest.mark.parametrize("description", [1, 20, 41, 60, 90, 112, 200, 255])
def test_all_alerts_but_two_are_fatal_in_tls13(description: int) -> None:
    """Whatever their level says (RFC 8446 6)."""
    stopped = _stop(NEW, "ConnectedPlain", "client")
    end = stopped.end
    assert end._opener is not None
    events(end)
    end.receive(sealed(end._opener, 21, bytes([1, description])), NOW)
    fatal = description != 90
    assert of(events(end), PeerAlert) == [PeerAlert(description, fatal=fatal)]
    assert end.closed == fatal


def test_empty_early_data_that_nobody_offered() -> None:
    one, two = client(client_config(groups=(29, 24), shares=1)), server(server_config(groups=(24,)))
    two.receive(one.take_output(NOW), NOW)
    two.receive(record(b"", 23), NOW)
    assert alert_of(two) == UNEXPECTED


def test_max_fragment_length() -> None:
    """What the client asked for is kept, and held against it (RFC 6066 4)."""
    for version in (OLD, NEW):
        end = server(server_config(max_version=version))
        end.receive(record(edit(hello_of(), extensions=changed(hello_of(), 1, b"\1"))), NOW)
        out = end.take_output(NOW)
        while out:
            size = out[3] << 8 | out[4]
            assert size <= 512 + 256
            out = out[5 + size :]


def test_no_server_name_in_an_abbreviated_hello() -> None:
    """RFC 6066 3."""
    config = server_config(ticket_keys=ticket_keys(), max_version=OLD)
    one, two = client(), server(config)
    pump(one, two)
    session = of(events(one), Ticket)[0].session
    two = server(config)
    one = client(session=session)
    two.receive(one.take_output(NOW), NOW)
    flight = two.take_output(NOW)
    parsed = parse_handshake(2, flight[9 : 9 + int.from_bytes(flight[6:9], "big")])
    assert isinstance(parsed, ServerHello)
    assert 0 not in {x.type for x in parsed.extensions or ()}
    one.receive(flight, NOW)
    assert of(events(one), HandshakeDone)[0].facts.resumed
