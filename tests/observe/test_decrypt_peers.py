"""Records of every suite OpenSSL speaks with itself open with the key log, and hold what was said."""

from __future__ import annotations

import ssl

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding

from synfin.capture.keylog import KeyLog, read_keylog
from synfin.observe.decrypt import SessionCache
from synfin.observe.story_tls import Opened, TlsStory
from synfin.observe.stream import ByteStream, Hole
from synfin.observe.tlswatch import watch_tls
from synfin.spec.keys import master_secret
from synfin.spec.protection import sealers_12
from synfin.spec.rsa import premaster_from_rsa
from tests.support.folders import folder
from tests.support.tlsoctets import message
from tests.support.tlspeers import (
    CLIENT,
    LEGACY,
    NO_ENCRYPT_THEN_MAC,
    NO_EXTENDED_MASTER_SECRET,
    SERVER,
    contexts,
    converse,
    cut_every,
    identity,
    rsa_key,
    streams,
)

V = ssl.TLSVersion
SAYS = ((CLIENT, b"question"), (SERVER, b"x" * 40000), (CLIENT, b"again"))
PLAIN = NO_ENCRYPT_THEN_MAC | NO_EXTENDED_MASTER_SECRET


def said(story: TlsStory, side: int) -> bytes:
    assert story.data is not None
    return b"".join(piece.data for piece in story.data[side].pieces)


def opened(story: TlsStory | None) -> TlsStory:
    """``story``, held to have been opened whole and to hold SAYS."""
    assert story is not None
    assert [told.opened for told in story.decryption] == [Opened.ALL, Opened.ALL], story.decryption
    assert said(story, CLIENT) == b"questionagain" and said(story, SERVER) == b"x" * 40000
    assert story.close_notify[CLIENT] and story.close_notify[SERVER]
    assert [alert.description for alert in story.alerts] == [0, 0]
    assert [message.name for message in story.messages].count("finished") == 2
    return story


def _suites(version: ssl.TLSVersion, kind: str) -> list[str]:
    """Suites of ``version`` that OpenSSL can use with a certificate of ``kind`` or with none, ARIA and PSK left out."""
    _, server = contexts(version, kind=kind)
    found = []
    for suite in server.get_ciphers():
        name = str(suite["name"])
        if name.startswith("TLS_") or any(word in name for word in ("ARIA", "PSK", "SRP", "GOST")):
            continue
        needs = {"auth-rsa": "rsa", "auth-ecdsa": "ec", "auth-dss": "dsa"}.get(str(suite["auth"]))
        if needs in (None, kind) and (version >= V.TLSv1_2 or not suite["aead"]):
            found.append(name)
    return found


@pytest.mark.parametrize("kind", ["rsa", "ec", "dsa"])
@pytest.mark.parametrize("version", [V.TLSv1, V.TLSv1_1, V.TLSv1_2])
def test_every_suite_before_tls13(version: ssl.TLSVersion, kind: str) -> None:
    done = 0
    for name in _suites(version, kind):
        for options in (0, PLAIN):
            try:
                talk, log = converse(*contexts(version, f"{name}:@SECLEVEL=0", kind, options), SAYS)
            except ssl.SSLError:
                continue  # a SHA-256 suite below TLS 1.2, a suite this OpenSSL was built without
            pair = streams(talk.chunks)
            opened(watch_tls(pair, keylog=log).tls)
            done += 1
            with_key = watch_tls(pair, rsa_keys=[rsa_key()] if kind == "rsa" else []).tls
            assert with_key is not None
            if kind == "rsa" and not any(message.type == 12 for message in with_key.messages):
                opened(with_key)
            else:
                assert with_key.decryption[CLIENT].opened is Opened.NO_SECRET
    assert done >= 4


def test_tls13() -> None:
    talk, log = converse(*contexts(V.TLSv1_3), SAYS)
    story = opened(watch_tls(streams(talk.chunks, cut_every(1000)), keylog=log).tls)
    server = [(message.name, message.decrypted) for message in story.messages if message.sender == SERVER]
    assert server == [
        ("server_hello", False),
        ("encrypted_extensions", True),
        ("certificate", True),
        ("certificate_verify", True),
        ("finished", True),
        ("new_session_ticket", True),
        ("new_session_ticket", True),
    ]
    assert story.new_session_ticket and story.chains[0].facts[0].san_dns == ("server.example",)
    assert {record.inner_type for record in story.records if record.type == 23} == {21, 22, 23}
    assert story.data is not None
    last = story.data[SERVER].pieces[-1]
    assert last.packet in {record.packet for record in story.records if record.sender == SERVER}


def test_decrypted_alpn_and_post_handshake_authentication() -> None:
    client, server = contexts(V.TLSv1_3)
    client.set_alpn_protocols(["h2"])
    server.set_alpn_protocols(["h2"])
    client.load_cert_chain(identity().pem)
    client.post_handshake_auth = True
    server.load_verify_locations(identity().pem)
    talk, log = converse(client, server, close=False)
    server_end = talk.server
    server_end.context.verify_mode = ssl.CERT_REQUIRED
    try:
        server_end.verify_client_post_handshake()
    except ssl.SSLError as error:
        pytest.skip(f"this OpenSSL does not ask after the handshake: {error}")
    talk.say(SERVER, b"who are you")
    talk.drain(CLIENT)
    talk.say(CLIENT, b"me")
    story = watch_tls(streams(talk.chunks), keylog=log).tls
    assert story is not None and story.alpn == "h2" and story.certificate_requested
    assert [chain.sender for chain in story.chains] == [SERVER, CLIENT]
    assert said(story, CLIENT).endswith(b"me")


@pytest.mark.parametrize("options", [0, ssl.OP_NO_TICKET])
def test_a_resumed_session_opens_with_the_first_ones_secret(options: int) -> None:
    client, server = contexts(V.TLSv1_2, LEGACY, options=options)
    first, log = converse(client, server, SAYS)
    second, _ = converse(client, server, SAYS, session=first.client.session)
    assert second.client.session_reused
    cache = SessionCache()
    opened(watch_tls(streams(first.chunks), keylog=log, sessions=cache).tls)
    only_first = KeyLog.parse(log.to_text().splitlines()[0])
    story = opened(watch_tls(streams(second.chunks), keylog=only_first, sessions=cache).tls)
    assert story.resumed in ("ticket", "session_id")
    alone = watch_tls(streams(second.chunks), keylog=only_first).tls
    assert alone is not None and alone.decryption[CLIENT].opened is Opened.NO_SECRET


def test_session_cache_is_bounded() -> None:
    cache = SessionCache(limit=2)
    for name in (b"one", b"two", b"three"):
        cache.put(name, name)
    assert (cache.get(b"one"), cache.get(b"two"), cache.get(b"three")) == (None, b"two", b"three")
    cache.put(b"", b"x")
    assert cache.get(b"") is None


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_wrong_secrets_are_said_to_be_wrong(version: ssl.TLSVersion) -> None:
    talk, log = converse(*contexts(version), SAYS)
    text = log.to_text().decode().splitlines()
    wrong = "\n".join(line[:-4] + ("0000" if line[-4:] != "0000" else "1111") for line in text)
    story = watch_tls(streams(talk.chunks), keylog=KeyLog.parse(wrong.encode())).tls
    assert story is not None
    assert [told.opened for told in story.decryption] == [Opened.WRONG_SECRET, Opened.WRONG_SECRET]
    assert story.data is None and story.handshake_done
    assert all(told.failed_packet for told in story.decryption)


def test_no_secret_and_half_a_key_log() -> None:
    talk, log = converse(*contexts(V.TLSv1_3), SAYS)
    _, other_log = converse(*contexts(V.TLSv1_3), SAYS)
    story = watch_tls(streams(talk.chunks), keylog=other_log).tls
    assert story is not None and story.decryption[CLIENT].opened is Opened.NO_SECRET
    lines = [line for line in log.to_text().decode().splitlines() if "HANDSHAKE" not in line]
    story = watch_tls(streams(talk.chunks), keylog=KeyLog.parse("\n".join(lines).encode())).tls
    assert story is not None and said(story, SERVER) == b"x" * 40000
    assert [told.opened for told in story.decryption] == [Opened.PART, Opened.PART]


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_missing_records_are_stepped_over(version: ssl.TLSVersion) -> None:
    talk, log = converse(*contexts(version, "ECDHE+AESGCM:@SECLEVEL=0"), [*SAYS, (SERVER, b"the end")])
    one, two = streams(talk.chunks, cut_every(2000))
    lost = [i for i, piece in enumerate(two.pieces) if 8000 < piece.offset < 30000]
    kept = [piece for i, piece in enumerate(two.pieces) if i not in lost]
    start = two.pieces[lost[0]].offset
    hole = Hole(start, sum(len(two.pieces[i].data) for i in lost), True)
    story = watch_tls((one, ByteStream(kept, (hole,))), keylog=log).tls
    assert story is not None and story.data is not None
    assert story.decryption[CLIENT].opened is Opened.ALL
    assert story.decryption[SERVER].opened is Opened.PART
    assert story.data[SERVER].holes and said(story, SERVER).endswith(b"the end")
    reached = 0
    for piece in story.data[SERVER].pieces:
        assert piece.offset >= reached
        reached = piece.offset + len(piece.data)


def test_a_suite_that_cannot_be_opened_is_named() -> None:
    name = "ECDHE-ARIA128-GCM-SHA256"
    try:
        talk, log = converse(*contexts(V.TLSv1_2, name), SAYS)
    except ssl.SSLError as error:
        pytest.skip(f"this OpenSSL has no ARIA: {error}")
    story = watch_tls(streams(talk.chunks), keylog=log).tls
    assert story is not None and story.decryption[SERVER].opened is Opened.UNSUPPORTED
    assert "ARIA" in story.decryption[SERVER].why


def test_key_log_lines_of_the_rsa_kind() -> None:
    """ "RSA prefix premaster" opens a static RSA handshake without the key."""
    talk, _ = converse(*contexts(V.TLSv1_2, "AES128-SHA:@SECLEVEL=0", options=PLAIN), SAYS)
    pair = streams(talk.chunks)
    story = watch_tls(pair).tls
    assert story is not None
    exchange = next(message for message in story.messages if message.type == 16).body.exchange
    premaster = premaster_from_rsa(rsa_key(), exchange)
    path = folder() / "keys"
    path.write_text(f"RSA {exchange[:8].hex()} {premaster.hex()}\n")
    opened(watch_tls(pair, keylog=read_keylog(path)).tls)


def test_ssl3_by_hand() -> None:
    """Nobody speaks SSL 3.0 any more: the records are sealed here, in CBC and with RC4, and the RSA key opens them."""
    for suite in (0x002F, 0x0005):
        client_random, server_random, premaster = bytes(range(32)), bytes(range(32, 64)), b"\x03\x00" + bytes(46)
        encrypted = rsa_key().public_key().encrypt(premaster, PKCS1v15())
        der = identity().certificate.public_bytes(Encoding.DER)
        chain = (len(der) + 3).to_bytes(3, "big") + len(der).to_bytes(3, "big") + der
        hello = b"\x03\x00" + client_random + b"\0" + b"\x00\x02" + suite.to_bytes(2, "big") + b"\x01\x00"
        answer = b"\x03\x00" + server_random + b"\0" + suite.to_bytes(2, "big") + b"\0"
        master = master_secret(0x0300, "sha256", premaster, client_random, server_random)
        ours, theirs = sealers_12(0x0300, suite, master, client_random, server_random, entropy=bytes)
        ccs = b"\x14\x03\x00\x00\x01\x01"
        finished = b"\x14\x00\x00\x24" + bytes(36)
        chunks = [
            (CLIENT, _record(message(1, hello))),
            (SERVER, _record(message(2, answer) + message(11, chain) + message(14, b""))),
            (CLIENT, _record(message(16, encrypted)) + ccs + ours.seal_record(22, finished)),
            (SERVER, ccs + theirs.seal_record(22, finished)),
            (CLIENT, ours.seal_record(23, b"question") + ours.seal_record(23, b"again")),
            (SERVER, theirs.seal_record(23, b"x" * 16000) + theirs.seal_record(23, b"x" * 16000)),
            (SERVER, theirs.seal_record(23, b"x" * 8000) + theirs.seal_record(21, b"\x01\x00")),
            (CLIENT, ours.seal_record(21, b"\x01\x00")),
        ]
        story = watch_tls(streams(chunks), rsa_keys=[rsa_key()]).tls
        assert story is not None and story.version == 0x0300
        assert said(story, CLIENT) == b"questionagain" and said(story, SERVER) == b"x" * 40000
        assert [told.opened for told in story.decryption] == [Opened.ALL, Opened.ALL]


def _record(content: bytes) -> bytes:
    return b"\x16\x03\x00" + len(content).to_bytes(2, "big") + content
