"""TLS messages as a trace tells them: each once, whole, in the order they pass, and the same as the capture shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin import tls
from synfin.drive.trace_talk import MOST_TOLD, Message, TalkingClient
from synfin.errors import PeerError
from synfin.pki.faultkit import HOST, Bench
from synfin.tls.config import TLS12
from synfin.views.paint import PLAIN
from synfin.views.trace_tls import Said, Talk, talk_heading, talk_line
from synfin.wire.tls.registry import handshake_name

NOW = 1_800_000_000.0
BENCH = Bench(datetime.fromtimestamp(NOW, UTC))


def entropy(count: int) -> bytes:
    return bytes(range(256)) * (count // 256) + bytes(range(count % 256))


def config(**more: object) -> tls.ServerConfig:
    shown = BENCH.presented()
    made = tls.ServerConfig(
        credentials=(tls.Credential(shown.chain, shown.key),),
        alpn=(b"h2",),
        ticket_keys=tls.TicketKeys(bytes(32)),
    )
    return replace(made, **more)  # type: ignore[arg-type]


def handshake(client: tls.Client, server: tls.Server, cut: int = 0, begin: int = 0) -> None:
    """Pass octets both ways, ``cut`` at a time, until nobody says more."""
    for step in range(begin, begin + 20):
        out = client.take_output(NOW + step)
        back = b""
        for at in range(0, len(out), cut or len(out) or 1):
            server.receive(out[at : at + (cut or len(out))], NOW + step)
        back = bytes(server.take_output(NOW + step))
        for at in range(0, len(back), cut or len(back) or 1):
            client.receive(back[at : at + (cut or len(back))], NOW + step)
        if not out and not back:
            return


def told(client: tls.ClientConfig, server: tls.ServerConfig, cut: int = 0) -> list[Message]:
    """The messages of one connection, closed by the client."""
    heard: list[Message] = []
    one = TalkingClient(client, HOST, heard.append, now=NOW, entropy=entropy)
    other = tls.Server(server, now=NOW, entropy=entropy)
    handshake(one, other, cut)
    one.close()
    handshake(one, other, cut, 20)
    return heard


def names(heard: list[Message]) -> list[str]:
    return [
        ("→" if one.sent else "←") + (handshake_name(one.raw[0]) if one.kind == "handshake" else one.kind)
        for one in heard
    ]


CLIENT = tls.ClientConfig(
    verify=tls.accept_any_certificate, alpn=(b"h2",), groups=(29, 23), shares=1, certificate_compression=()
)
NEW = [
    "→client_hello", "←server_hello", "←change_cipher_spec", "←encrypted_extensions", "←certificate",
    "←certificate_verify", "←finished", "→change_cipher_spec", "→finished", "←new_session_ticket",
    "←new_session_ticket", "→alert",
]  # fmt: skip
OLD = [
    "→client_hello", "←server_hello", "←certificate", "←server_key_exchange", "←server_hello_done",
    "→client_key_exchange", "→change_cipher_spec", "→finished", "←new_session_ticket", "←change_cipher_spec",
    "←finished", "→alert",
]  # fmt: skip


@pytest.mark.parametrize("cut", [0, 1, 7], ids=["whole", "octets", "sevens"])
@pytest.mark.parametrize(("most", "expected"), [(0x0304, NEW), (TLS12, OLD)], ids=["13", "12"])
def test_every_message_is_told_once_and_in_order(most: int, expected: list[str], cut: int) -> None:
    heard = told(replace(CLIENT, max_version=most), config(), cut)
    assert names(heard) == expected
    for one in heard:
        if one.kind == "handshake":
            assert len(one.raw) == 4 + int.from_bytes(one.raw[1:4], "big")
    assert [one.at for one in heard] == sorted(one.at for one in heard)


def test_a_retry_a_refusal_and_what_a_server_repeats() -> None:
    heard = told(replace(CLIENT, groups=(29,)), config(groups=(23,)))
    assert names(heard)[-1].endswith("alert") and names(heard)[:2] == ["→client_hello", "←alert"]
    heard = told(CLIENT, config(groups=(23,)))
    assert names(heard)[:5] == ["→client_hello", "←server_hello", "←change_cipher_spec", "→change_cipher_spec",
                                "→client_hello"]  # fmt: skip

    def refuse(presented: tls.Presented) -> None:
        raise PeerError("certificate_expired", "", "")

    heard = told(replace(CLIENT, verify=refuse), config())
    assert names(heard)[-2:] == ["→change_cipher_spec", "→alert"] and heard[-1].raw == b"\2\x2d"


def test_only_so_many_messages_are_told() -> None:
    heard: list[Message] = []
    one = TalkingClient(CLIENT, HOST, heard.append, now=NOW, entropy=entropy)
    other = tls.Server(config(), now=NOW, entropy=entropy)
    handshake(one, other)
    for _ in range(MOST_TOLD):
        other.update_keys()
        other.send(b"x")
        handshake(one, other)
    assert len(heard) == MOST_TOLD


def flight(most: int) -> tuple[bytes, tls.ClientConfig]:
    """A server's first flight to a client whose chance is ``entropy``."""
    client = replace(CLIENT, max_version=most)
    one = tls.Client(client, HOST, now=NOW, entropy=entropy)
    other = tls.Server(config(), now=NOW, entropy=entropy)
    other.receive(one.take_output(NOW), NOW)
    return bytes(other.take_output(NOW)), client


FLIGHTS = {most: flight(most) for most in (0x0304, TLS12)}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([0x0304, TLS12]), st.integers(0, 4000), st.binary(min_size=1, max_size=4), st.integers(1, 4000))
def test_it_changes_nothing(most: int, place: int, octets: bytes, cut: int) -> None:
    """Whatever a server sends, the events and the answers are those of the client that says nothing."""
    data, client = FLIGHTS[most]
    place %= len(data)
    data = data[:place] + octets + data[place + len(octets) :]
    heard: list[Message] = []
    told = TalkingClient(client, HOST, heard.append, now=NOW, entropy=entropy)
    mute = tls.Client(client, HOST, now=NOW, entropy=entropy)
    for end in (told, mute):
        for at in range(0, len(data), cut):
            end.receive(data[at : at + cut], NOW)
        end.receive_eof(NOW)
    assert told.take_output(NOW) == mute.take_output(NOW)
    events = [[], []]  # type: list[list[tls.Event]]
    for found, end in zip(events, (told, mute), strict=True):
        while (event := end.next_event()) is not None:
            found.append(event)
    assert events[0] == events[1]
    talk = Talk()
    for one in heard:
        talk_line(one.sent, 0.0, talk.said(one.kind, one.raw), 80, PLAIN)


# ---------------------------------------------------------------- in words


def lines(heard: list[Message], width: int) -> list[str]:
    talk = Talk()
    return [
        talk_line(one.sent, one.at - NOW, talk.said(one.kind, one.raw), width, PLAIN)
        for one in heard
    ]  # fmt: skip


@pytest.mark.parametrize("width", [60, 70, 110])
@pytest.mark.parametrize("most", [0x0304, TLS12], ids=["13", "12"])
def test_a_line_each_that_fits(most: int, width: int) -> None:
    said = lines(told(replace(CLIENT, max_version=most), config()), width)
    assert all(len(line) <= width for line in [talk_heading(width), *said]), said
    whole = "\n".join(said)
    for words in ("ClientHello", "name www.example.com", "close_notify", "TLS_"):
        assert words in whole
    assert "cannot be read" not in whole


def test_facts_of_both_versions() -> None:
    new = "\n".join(lines(told(CLIENT, config()), 140))
    for words in ("TLS 1.3 or 1.2", "ALPN h2", "12 suites", "TLS_AES_128_GCM_SHA256, x25519, TLS 1.3",
                  "2 certificates, the first for www.example.com", "ecdsa_secp256r1_sha256, proves",
                  "good for 7,200 s"):  # fmt: skip
        assert words in new, words
    old = "\n".join(lines(told(replace(CLIENT, max_version=TLS12), config()), 140))
    for words in ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS 1.2", "x25519", "our turn", "sealed from here on"):
        assert words in old, words


@pytest.mark.parametrize(
    ("kind", "raw", "said"),
    [
        ("alert", b"\2\x28", Said("fatal alert", None, ("handshake_failure",), "bad")),
        ("alert", b"\1\x70", Said("alert", None, ("unrecognized_name",), "warn")),
        ("alert", b"\2", Said("Alert", None, ("cut off",), "warn")),
        ("alert", b"\1\0", Said("close_notify", None, ("will send nothing more",))),
        ("handshake", b"\x18\0\0\1\1", Said("KeyUpdate", 5, ("asks for ours too",))),
        ("handshake", b"\x0e\0\0\0", Said("ServerHelloDone", 4, ("our turn",))),
    ],
    ids=["fatal", "warning", "cut", "close", "update", "done"],
)
def test_small_messages(kind: str, raw: bytes, said: Said) -> None:
    assert Talk().said(kind, raw) == said


def test_what_cannot_be_read_is_said() -> None:
    found = Talk().said("handshake", b"\2\0\0\1\xff")
    assert found.name == "ServerHello" and found.facts[0].startswith("cannot be read: ")
    hostile = Talk().said("handshake", told(CLIENT, config())[0].raw)
    assert "\x1b" not in talk_line(True, 0.0, hostile._replace(facts=("a\x1b[31m",)), 80, PLAIN)
