"""RFC 8448 sections 3, 4 and 5, played to our ends: they must answer with the RFC's octets and secrets."""

from __future__ import annotations

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import x25519

from synfin.spec.protection import opener_13
from synfin.spec.transcript import Transcript
from synfin.tls import (
    Client,
    Data,
    Failed,
    HandshakeDone,
    ReplayGuard,
    Session,
    TicketKeys,
    accept_any_certificate,
)
from synfin.tls.client import WaitServerHello
from synfin.tls.offer import Offer
from synfin.tls.schedule import Schedule
from synfin.tls.session import TicketState
from synfin.wire.tls.messages import ClientHello, parse_handshake
from tests.spec import rfc8448 as rfc
from tests.tls import rfc8448_more as more
from tests.tls.ends import NOW, client, client_config, events, of, server, server_config

PRIVATE = bytes.fromhex("49af42ba7f7994852d713ef2784bcbcaa7911de26adc5642cb634540e7ea5005")


def test_client() -> None:
    config = client_config(verify=accept_any_certificate, groups=(29,), middlebox_compatibility=False)
    end = client(config, name="server")
    end.take_output(NOW)
    hello = parse_handshake(1, rfc.CLIENT_HELLO[4:])
    assert isinstance(hello, ClientHello)
    key = x25519.X25519PrivateKey.from_private_bytes(PRIVATE)
    public = key.public_key().public_bytes_raw()
    assert public in rfc.CLIENT_HELLO
    offer = Offer(
        hello.random,
        hello.session_id,
        hello.cipher_suites,
        (29,),
        {29: key},
        ((29, public),),
        b"",
        "server",
        extensions=frozenset(x.type for x in hello.extensions or ()),
        raw=rfc.CLIENT_HELLO,
    )
    end.transcript = Transcript()
    end.transcript.add(rfc.CLIENT_HELLO)
    end.state = WaitServerHello(offer)
    head = b"\x16\3\3" + len(rfc.SERVER_HELLO).to_bytes(2, "big")
    end.receive(head + rfc.SERVER_HELLO + rfc.SERVER_FLIGHT_RECORD, NOW)
    done = of(events(end), HandshakeDone)
    assert done
    assert done[0].facts.signature == 0x0804
    assert end.keys13 is not None
    assert end.keys13.schedule.exporter_secret == rfc.EXPORTER_SECRET
    assert end.keys13.schedule.ticket_psk(rfc.TICKET_NONCE) == rfc.TICKET_PSK
    assert end.take_output(NOW) == rfc.CLIENT_FINISHED_RECORD
    end.send(rfc.CLIENT_DATA)
    assert end.take_output(NOW) == rfc.CLIENT_DATA_RECORD
    assert not of(events(end), Data)


def _record(raw: bytes) -> bytes:
    return b"\x16\3\3" + len(raw).to_bytes(2, "big") + raw


def _resuming() -> Client:
    """Our client, with section 4's hello said in place of its own."""
    session = Session(0x0304, 0x1301, more.PSK, more.TICKET, NOW, 30, "server", None, 0xFAD6AAC5, 1024)
    config = client_config(
        verify=accept_any_certificate, groups=(29,), middlebox_compatibility=False, record_size_limit=0x4000
    )
    end = client(config, name="server")
    end.take_output(NOW)
    hello = parse_handshake(1, more.CLIENT_HELLO[4:])
    assert isinstance(hello, ClientHello)
    offered = frozenset(x.type for x in hello.extensions or ())
    key = x25519.X25519PrivateKey.from_private_bytes(more.CLIENT_PRIVATE)
    blank = Offer(hello.random, b"", hello.cipher_suites, (29,), {29: key}, (), b"", "server", session, early=True)
    made = replace(blank, extensions=offered, raw=more.CLIENT_HELLO)
    end.transcript = Transcript()
    end.transcript.add(more.CLIENT_HELLO)
    end.state = WaitServerHello(made)
    end._start_early(made, session)
    return end


def test_resumed_client() -> None:
    """Section 4: early data, its exporter, and a client Finished as the RFC prints them."""
    end = _resuming()
    end.send_early(b"ABCDEF")
    assert end.take_output(NOW) == more.EARLY_RECORD
    assert end.early_exporter == ("sha256", more.EARLY_EXPORTER)
    end.receive(_record(more.SERVER_HELLO), NOW)
    flight = opener_13(0x1301, more.SERVER_HANDSHAKE)
    end.receive(flight.seal_record(22, more.ENCRYPTED_EXTENSIONS + more.SERVER_FINISHED), NOW)
    done = of(events(end), HandshakeDone)
    assert done[0].facts.early_data
    assert end.keys13 is not None
    schedule = end.keys13.schedule
    assert (schedule.client, schedule.server) == (more.CLIENT_HANDSHAKE, more.SERVER_HANDSHAKE)
    assert (schedule.client_next, schedule.server_next) == (more.CLIENT_TRAFFIC, more.SERVER_TRAFFIC)
    assert schedule.exporter_secret == more.EXPORTER_SECRET
    early = opener_13(0x1301, more.EARLY_TRAFFIC)
    early.seal_record(23, b"ABCDEF")
    ended = early.seal_record(22, b"\5\0\0\0")
    assert end.take_output(NOW) == ended + opener_13(0x1301, more.CLIENT_HANDSHAKE).seal_record(
        22, more.CLIENT_FINISHED
    )


class _OpensOne(TicketKeys):
    """Ticket keys that open the RFC's ticket, which another server sealed."""

    def open(self, ticket: bytes, now: float) -> bytes | None:
        issued = int(now * 1000) - 6
        state = TicketState(0x0304, 0x1301, more.PSK, issued, 0xFAD6AAC5, b"", "server", 1024)
        return state.write() if ticket == more.TICKET else None


def test_resuming_server() -> None:
    """Section 4: our server takes the binder and the early data of the RFC's client."""
    config = server_config(ticket_keys=_OpensOne(bytes(32)), max_early_data=1024, replay_guard=ReplayGuard())
    end = server(config)
    end.receive(_record(more.CLIENT_HELLO) + more.EARLY_RECORD, NOW)
    assert events(end) == [Data(b"ABCDEF", early=True)]
    assert end.early_exporter == ("sha256", more.EARLY_EXPORTER)
    damaged = more.CLIENT_HELLO[:-1] + b"\0"
    end = server(config)
    end.receive(_record(damaged), NOW)
    assert of(events(end), Failed)[0].alert == 51


def test_retry() -> None:
    """Section 5: the transcript over a HelloRetryRequest, and our client's and server's view of it."""
    transcript = Transcript()
    transcript.add(more.FIRST_HELLO)
    transcript.choose("sha256")
    transcript.retry()
    for raw in (more.RETRY, more.SECOND_HELLO, more.HELLO_AFTER_RETRY):
        transcript.add(raw)
    assert transcript.digest() == more.RETRY_HASH
    schedule = Schedule(0x1301, b"", more.RETRY_SHARED, more.RETRY_HASH)
    assert (schedule.client, schedule.server) == (more.RETRY_CLIENT_HANDSHAKE, more.RETRY_SERVER_HANDSHAKE)
    end = server(server_config(groups=(23,), schemes=(0x0403,)))
    end.receive(_record(more.FIRST_HELLO), NOW)
    asked = end.take_output(NOW)
    assert asked[11:43] == more.RETRY[6:38]
    end.receive(_record(more.SECOND_HELLO), NOW)
    assert of(events(end), Failed)[0].violation == "illegal_parameter", "a cookie that we did not send"
