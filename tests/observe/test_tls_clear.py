"""What the TLS watcher tells without keys, of conversations OpenSSL had with itself."""

from __future__ import annotations

import random
import ssl

import pytest

from synfin.observe.story_tls import Opened, TlsStory
from synfin.observe.stream import ByteStream, Hole, Piece
from synfin.observe.tlswatch import watch_tls
from tests.support.tlspeers import CLIENT, SERVER, Talk, contexts, converse, cut_every, identity, rsa_key, streams

V = ssl.TLSVersion


def told(chunks: list[tuple[int, bytes]], size: int | None = None) -> TlsStory:
    story = watch_tls(streams(chunks, cut_every(size)) if size else streams(chunks)).tls
    assert story is not None
    return story


def names(story: TlsStory, sender: int) -> list[str]:
    return [message.name for message in story.messages if message.sender == sender]


def test_tls12_in_full() -> None:
    client, server = contexts(V.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256")
    server.set_alpn_protocols(["h2"])
    client.set_alpn_protocols(["h2", "http/1.1"])
    talk, _ = converse(client, server)
    story = told(talk.chunks)
    assert names(story, CLIENT) == ["client_hello", "client_key_exchange"]
    assert names(story, SERVER) == [
        "server_hello",
        "certificate",
        "server_key_exchange",
        "server_hello_done",
        "new_session_ticket",
    ]
    assert (story.version, story.cipher, story.alpn, story.sni) == (0x0303, 0xC02F, "h2", "server.example")
    assert story.group == 29
    assert story.handshake_done and story.handshake_done_time
    assert story.new_session_ticket and not story.certificate_requested and story.resumed is None
    assert [chain.facts[0].san_dns for chain in story.chains] == [("server.example",)]
    assert story.close_notify[CLIENT] and story.close_notify[SERVER]
    assert [(alert.sender, alert.level, alert.protected) for alert in story.alerts] == [
        (CLIENT, None, True),
        (SERVER, None, True),
    ]
    assert story.decryption[CLIENT].opened is Opened.NO_SECRET and story.data is None
    assert not story.problems
    assert story.ja3 and story.ja3s and story.ja4 and story.ja4.startswith("t12d")


def test_tls13_in_full() -> None:
    talk, _ = converse(*contexts(V.TLSv1_3))
    story = told(talk.chunks)
    assert names(story, CLIENT) == ["client_hello"] and names(story, SERVER) == ["server_hello"]
    assert (story.version, story.cipher, story.group) == (0x0304, 0x1302, 29)
    assert story.handshake_done
    assert all(alert.guessed and alert.level is None for alert in story.alerts)
    assert story.close_notify[CLIENT] and story.close_notify[SERVER]
    assert not story.chains and not story.problems


def test_hello_retry_request() -> None:
    client, server = contexts(V.TLSv1_3)
    server.set_ecdh_curve("secp521r1")
    talk, _ = converse(client, server)
    story = told(talk.chunks)
    assert names(story, CLIENT) == ["client_hello", "client_hello"]
    assert names(story, SERVER) == ["hello_retry_request", "server_hello"]
    assert story.hello_retry is not None and story.client_hello_2 is not None
    assert story.client_hello is not None and story.client_hello.body.random == story.client_hello_2.body.random
    assert story.group == 25 and story.handshake_done


@pytest.mark.parametrize(("tickets", "kind"), [(True, "ticket"), (False, "session_id")])
def test_resumption_in_tls12(tickets: bool, kind: str) -> None:
    client, server = contexts(V.TLSv1_2, options=0 if tickets else ssl.OP_NO_TICKET)
    first, _ = converse(client, server)
    again, _ = converse(client, server, session=first.client.session)
    assert again.client.session_reused
    story = told(again.chunks)
    assert story.resumed == kind and not story.chains
    assert told(first.chunks).resumed is None


def test_resumption_in_tls13() -> None:
    client, server = contexts(V.TLSv1_3)
    first, _ = converse(client, server)
    again, _ = converse(client, server, session=first.client.session)
    story = told(again.chunks)
    assert story.resumed == "psk"
    assert story.client_hello is not None and story.client_hello.body.psk_offered


def test_client_certificate() -> None:
    client, server = contexts(V.TLSv1_2)
    server.verify_mode = ssl.CERT_OPTIONAL
    server.load_verify_locations(identity().pem)
    client.load_cert_chain(identity().pem)
    talk, _ = converse(client, server)
    story = told(talk.chunks)
    assert story.certificate_requested
    assert [chain.sender for chain in story.chains] == [SERVER, CLIENT]
    assert names(story, CLIENT) == ["client_hello", "certificate", "client_key_exchange", "certificate_verify"]


def test_fatal_alert_in_clear() -> None:
    client, _ = contexts(V.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256")
    _, server = contexts(V.TLSv1_2, "ECDHE-RSA-AES256-GCM-SHA384")
    talk = Talk.between(client, server)
    with pytest.raises(ssl.SSLError):
        talk.handshake()
    story = told(talk.chunks)
    assert [(alert.sender, alert.level, alert.description) for alert in story.alerts] == [(SERVER, 2, 40)]
    assert story.server_hello is None and not story.handshake_done


def test_client_that_distrusts_in_tls13() -> None:
    client, server = contexts(V.TLSv1_3)
    client.verify_mode = ssl.CERT_REQUIRED
    talk = Talk.between(client, server)
    with pytest.raises(ssl.SSLCertVerificationError):
        talk.handshake()
    story = told(talk.chunks)
    alerts = [alert for alert in story.alerts if alert.sender == CLIENT]
    assert len(alerts) == 1 and not story.handshake_done


def test_roles_are_decided_by_the_hellos() -> None:
    talk, _ = converse(*contexts(V.TLSv1_2))
    turned = [(1 - side, data) for side, data in talk.chunks]
    story = told(turned)
    assert story.client == 1 and story.sni == "server.example" and story.handshake_done


@pytest.mark.parametrize("side", [CLIENT, SERVER])
def test_one_direction_only(side: int) -> None:
    talk, _ = converse(*contexts(V.TLSv1_2))
    story = told([chunk for chunk in talk.chunks if chunk[0] == side])
    assert story.client == CLIENT
    assert (story.client_hello is not None) == (side == CLIENT)
    assert (story.server_hello is not None) == (side == SERVER)
    assert not story.handshake_done


@pytest.mark.parametrize("version", [V.TLSv1, V.TLSv1_2, V.TLSv1_3])
def test_any_chopping_gives_the_same_story(version: ssl.TLSVersion) -> None:
    talk, _ = converse(*contexts(version), says=((CLIENT, b"a" * 300), (SERVER, b"b" * 20000)))
    whole = told(talk.chunks)
    for size in (1, 2, 3, 5, 7, 100, 1460):
        cut = told(talk.chunks, size)
        assert [(m.sender, m.name, m.raw, m.offset, m.problem) for m in cut.messages] == [
            (m.sender, m.name, m.raw, m.offset, m.problem) for m in whole.messages
        ]
        assert [record._replace(packet=0) for record in cut.records] == [
            record._replace(packet=0) for record in whole.records
        ]
        assert [(alert.sender, alert.level, alert.guessed) for alert in cut.alerts] == [
            (alert.sender, alert.level, alert.guessed) for alert in whole.alerts
        ]
        assert [chain.der for chain in cut.chains] == [chain.der for chain in whole.chains]
        assert (cut.handshake_done, cut.resumed, cut.ja3, not cut.problems) == (True, whole.resumed, whole.ja3, True)


def test_a_chain_counts_its_segments() -> None:
    talk, _ = converse(*contexts(V.TLSv1_2))
    story = told(talk.chunks, 100)
    chain = story.chains[0]
    length = next(message.length for message in story.messages if message.type == 11)
    assert length // 100 <= chain.segments <= length // 100 + 2
    assert chain.segments == len(chain.packets)


def test_octets_after_the_last_record_are_a_fact() -> None:
    talk, _ = converse(*contexts(V.TLSv1_2))
    sane = told(talk.chunks)
    story = told([*talk.chunks, (SERVER, b"HTTP/1.1 500 what\r\n\r\n")])
    assert len(story.records) == len(sane.records)
    ((evidence, why),) = story.problems
    assert evidence.sender == SERVER and evidence.offset == sum(len(d) for s, d in talk.chunks if s == SERVER)
    assert "not a TLS record" in why


def test_a_message_cut_off_is_told() -> None:
    talk, _ = converse(*contexts(V.TLSv1_2))
    flight = next(data for side, data in talk.chunks if side == SERVER)
    story = told([talk.chunks[0], (SERVER, flight[:700])])
    last = story.messages[-1]
    assert last.name == "certificate" and last.problem.startswith("cut off") and last.body is None
    assert not story.records[-1].complete
    assert story.server_hello is not None


def test_the_name_in_a_hello_that_was_cut_off() -> None:
    talk, _ = converse(*contexts(V.TLSv1_3))
    hello = talk.chunks[0][1]
    at = hello.index(b"server.example")
    after = told([(CLIENT, hello[: at + 14])])
    assert after.sni == "server.example" and after.client_hello is None
    assert after.messages[0].name == "client_hello" and after.messages[0].problem
    assert told([(CLIENT, hello[: at + 13])]).sni is None


def test_a_hole_inside_a_record_is_stepped_over() -> None:
    talk, _ = converse(*contexts(V.TLSv1_2), says=((CLIENT, b"go"), (SERVER, b"x" * 16000), (SERVER, b"y" * 100)))
    one, two = streams(talk.chunks, cut_every(1000))
    lost = next(i for i, piece in enumerate(two.pieces) if piece.offset > 8000)
    piece = two.pieces[lost]
    kept = [*two.pieces[:lost], *two.pieces[lost + 1 :]]
    story = watch_tls((one, ByteStream(kept, (Hole(piece.offset, len(piece.data), True),)))).tls
    whole = watch_tls((one, two)).tls
    assert story is not None and whole is not None
    assert [(r.sender, r.offset, r.length) for r in story.records] == [
        (r.sender, r.offset, r.length) for r in whole.records
    ]
    assert [record.complete for record in story.records].count(False) == 1


def test_a_hole_inside_a_handshake_record() -> None:
    """The messages before the hole are told, the one in it is cut off, the next record is read again."""
    talk, _ = converse(*contexts(V.TLSv1_2))
    one, two = streams(talk.chunks, cut_every(200))
    piece = two.pieces[3]
    holed = ByteStream([*two.pieces[:3], *two.pieces[4:]], (Hole(piece.offset, len(piece.data), True),))
    story = watch_tls((one, holed)).tls
    assert story is not None and story.server_hello is not None
    assert names(story, SERVER)[:2] == ["server_hello", "certificate"] and not story.chains
    cut = next(message for message in story.messages if message.type == 11)
    assert cut.problem.startswith("cut off")
    assert "server_hello_done" in names(story, SERVER) and story.handshake_done


def test_a_message_in_many_records() -> None:
    """A Certificate of 400 kB over records of 16 kB, and a hello in records of one octet."""
    talk, _ = converse(*contexts(V.TLSv1_2))
    hello = talk.chunks[0][1][5:]
    small = b"".join(b"\x16\x03\x01\x00\x01" + hello[i : i + 1] for i in range(len(hello)))
    body = (3 + 400_000).to_bytes(3, "big") + (400_000).to_bytes(3, "big") + bytes(400_000)
    message = b"\x0b" + len(body).to_bytes(3, "big") + body
    big = b"".join(
        b"\x16\x03\x03" + len(message[i : i + 16000]).to_bytes(2, "big") + message[i : i + 16000]
        for i in range(0, len(message), 16000)
    )
    answer = talk.chunks[1][1]
    first = answer[: 5 + int.from_bytes(answer[3:5], "big")]
    story = told([(CLIENT, small), (SERVER, first + big)], 1460)
    assert story.sni == "server.example"
    assert story.messages[-1].name == "certificate" and story.messages[-1].length == len(message)
    assert story.chains[0].segments == -(-(len(first) + len(big)) // 1460)


def test_application_data_without_a_hello_is_a_story() -> None:
    story = told(
        [(SERVER, b"rest of a record"), (SERVER, b"\x17\x03\x03\x00\x05abcde"), (CLIENT, b"\x17\x03\x03\x00\x01x")]
    )
    assert story.client_hello is None and [record.type for record in story.records] == [23, 23]


def test_sslv2_hello_answered_by_tls() -> None:
    talk, _ = converse(*contexts(V.TLSv1))
    specs = b"\x00\x00\x2f\x01\x00\x80"
    hello = b"\x01\x03\x01" + len(specs).to_bytes(2, "big") + b"\x00\x00\x00\x10" + specs + bytes(16)
    old = bytes([0x80 | len(hello) >> 8, len(hello) & 0xFF]) + hello
    story = told([(CLIENT, old), *talk.chunks[1:]])
    assert story.sslv2 and names(story, CLIENT)[0] == "v2_client_hello"
    assert story.version == 0x0301 and story.handshake_done
    assert [record.version for record in story.records[:2]] == [2, 0x0301]


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_damaged_streams_never_raise(version: ssl.TLSVersion) -> None:
    chance = random.Random(5)
    talk, log = converse(*contexts(version))
    for _ in range(150):
        chunks = []
        for side, data in talk.chunks:
            octets = bytearray(data)
            for _ in range(chance.randrange(4)):
                octets[chance.randrange(len(octets))] = chance.randrange(256)
            if chance.random() < 0.1:
                del octets[chance.randrange(len(octets)) :]
            chunks.append((side, bytes(octets)))
        pair = streams([chunk for chunk in chunks if chunk[1]], cut_every(chance.choice((64, 500, 5000))))
        result = watch_tls(pair, keylog=log, rsa_keys=[rsa_key()])
        if result.tls is not None:
            assert all(message.problem or message.body is not None for message in result.tls.messages)


def test_random_octets_never_raise() -> None:
    chance = random.Random(6)
    for _ in range(300):
        start = chance.choice((b"\x16\x03\x01", b"\x17\x03\x03", b"\x80\x2e\x01", b"\x05\x01\x00", b"\x04\x01", b""))
        data = start + chance.randbytes(chance.randrange(1, 300))
        piece = Piece(0, data, 1, 1, 1)
        watch_tls((ByteStream([piece]), ByteStream([piece._replace(packet=2)])))
        watch_tls((ByteStream([]), ByteStream([piece])))


def test_nothing_and_other_protocols() -> None:
    assert watch_tls((ByteStream([]), ByteStream([]))) == (None, (), "")
    for said, heard, protocol in (
        (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", "http"),
        (b"SSH-2.0-a\r\n", b"SSH-2.0-b\r\n", "ssh"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\0\4\0\0\0\0\0", "h2"),
        (b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n", "redis"),
        (b"EHLO me\r\n", b"220 mail\r\n", "smtp"),
        (b"USER me\r\n", b"220 files\r\n", "ftp"),
        (b"USER me\r\n", b"+OK ready\r\n", "pop3"),
        (b"\x00\x1d\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01", b"", "dns"),
        (b"GET / HTTP/1.1\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x46", "http"),
    ):
        found = watch_tls(streams([(CLIENT, said), (SERVER, heard)] if heard else [(CLIENT, said)]))
        assert (found.tls, found.protocol) == (None, protocol)
