"""RFC 8448 section 3, played to our client: it must answer with the RFC's octets."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import x25519

from synfin.spec.transcript import Transcript
from synfin.tls import Data, HandshakeDone, accept_any_certificate
from synfin.tls.client import WaitServerHello
from synfin.tls.offer import Offer
from synfin.wire.tls.messages import ClientHello, parse_handshake
from tests.spec import rfc8448 as rfc
from tests.tls.ends import NOW, client, client_config, events, of

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
