"""Dialogues that turn to TLS, or are refused: where TLS begins and what was said before."""

from __future__ import annotations

import ssl
from functools import cache

import pytest

from synfin.observe.story_tls import TlsStory
from synfin.observe.tlswatch import TlsResult, watch_tls
from tests.support.tlspeers import CLIENT, SERVER, contexts, converse, cut_every, streams

Chunk = tuple[int, bytes]

LDAP_ASK = bytes.fromhex("301d02010177188016") + b"1.3.6.1.4.1.1466.20037"
LDAP_YES = bytes.fromhex("300c02010178070a010004000400")
MYSQL_HELLO = b"\x4a\x00\x00\x00\x0a8.0.36\x00" + bytes(66)
MYSQL_SSL = b"\x20\x00\x00\x01" + (0x800 | 0x200).to_bytes(4, "little") + bytes(28)
RDP_ASK = bytes.fromhex("030000130ee00000000000010008000b000000")
RDP_YES = bytes.fromhex("030000130ed000001234000209080002000000")

DIALOGUES: dict[str, list[Chunk]] = {
    "smtp": [
        (SERVER, b"220-mail.example\r\n220 ESMTP\r\n"),
        (CLIENT, b"EHLO me\r\n"),
        (SERVER, b"250-mail\r\n250-STARTTLS\r\n250 HELP\r\n"),
        (CLIENT, b"STARTTLS\r\n"),
        (SERVER, b"220 2.0.0 Ready\r\n"),
    ],
    "lmtp": [
        (SERVER, b"220 store LMTP\r\n"),
        (CLIENT, b"LHLO me\r\n"),
        (SERVER, b"250-STARTTLS\r\n250 OK\r\n"),
        (CLIENT, b"starttls\r\n"),
        (SERVER, b"220 go\r\n"),
    ],
    "imap": [
        (SERVER, b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"),
        (CLIENT, b"a1 CAPABILITY\r\n"),
        (SERVER, b"* CAPABILITY STARTTLS\r\na1 OK done\r\n"),
        (CLIENT, b"a2 STARTTLS\r\n"),
        (SERVER, b"a2 OK begin\r\n"),
    ],
    "pop3": [
        (SERVER, b"+OK ready\r\n"),
        (CLIENT, b"CAPA\r\n"),
        (SERVER, b"+OK\r\nSTLS\r\n.\r\n"),
        (CLIENT, b"STLS\r\n"),
        (SERVER, b"+OK begin\r\n"),
    ],
    "ftp": [(SERVER, b"220 FTP server\r\n"), (CLIENT, b"AUTH TLS\r\n"), (SERVER, b"234 go\r\n")],
    "nntp": [(SERVER, b"200 news.example NNTP\r\n"), (CLIENT, b"STARTTLS\r\n"), (SERVER, b"382 go\r\n")],
    "sieve": [(SERVER, b'"IMPLEMENTATION" "x"\r\nOK\r\n'), (CLIENT, b"STARTTLS\r\n"), (SERVER, b"OK\r\n")],
    "irc": [
        (CLIENT, b"CAP LS 302\r\n"),
        (SERVER, b":irc.example CAP * LS :tls\r\n"),
        (CLIENT, b"STARTTLS\r\n"),
        (SERVER, b":irc.example 670 * :STARTTLS successful\r\n"),
    ],
    "xmpp": [
        (CLIENT, b"<?xml version='1.0'?><stream:stream to='example' xmlns='jabber:client'>"),
        (SERVER, b"<?xml version='1.0'?><stream:stream><stream:features><starttls/></stream:features>"),
        (CLIENT, b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
        (SERVER, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
    ],
    "ldap": [(CLIENT, LDAP_ASK), (SERVER, LDAP_YES)],
    "postgresql": [(CLIENT, b"\0\0\0\x08\x04\xd2\x16\x2f"), (SERVER, b"S")],
    "mysql": [(SERVER, MYSQL_HELLO), (CLIENT, MYSQL_SSL)],
    "rdp": [(CLIENT, RDP_ASK), (SERVER, RDP_YES)],
}
REFUSALS: dict[str, list[Chunk]] = {
    "smtp": [*DIALOGUES["smtp"][:4], (SERVER, b"454 TLS not available\r\n"), (CLIENT, b"QUIT\r\n")],
    "imap": [*DIALOGUES["imap"][:4], (SERVER, b"a2 BAD no\r\n")],
    "pop3": [(SERVER, b"+OK\r\n"), (CLIENT, b"STLS\r\n"), (SERVER, b"-ERR no\r\n")],
    "ftp": [(SERVER, b"220 FTP server\r\n"), (CLIENT, b"AUTH TLS\r\n"), (SERVER, b"502 no\r\n")],
    "xmpp": [*DIALOGUES["xmpp"][:3], (SERVER, b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>")],
    "postgresql": [(CLIENT, b"\0\0\0\x08\x04\xd2\x16\x2f"), (SERVER, b"N")],
    "ldap": [(CLIENT, LDAP_ASK), (SERVER, LDAP_YES[:9] + b"\x34" + LDAP_YES[10:])],
}


@cache
def _tls() -> list[Chunk]:
    return converse(*contexts(ssl.TLSVersion.TLSv1_2))[0].chunks


def watched(chunks: list[Chunk], size: int | None = None) -> TlsResult:
    return watch_tls(streams(chunks, cut_every(size)) if size else streams(chunks))


def _whole(found: TlsResult) -> TlsStory:
    assert found.tls is not None and found.protocol == "tls"
    assert found.tls.sni == "server.example" and found.tls.handshake_done and not found.tls.problems
    return found.tls


@pytest.mark.parametrize("name", DIALOGUES)
@pytest.mark.parametrize("size", [None, 1, 7])
def test_tls_after_a_dialogue(name: str, size: int | None) -> None:
    before = DIALOGUES[name]
    found = watched([*before, *_tls()], size)
    story = _whole(found)
    assert story.start == tuple(sum(len(data) for side, data in before if side == who) for who in (CLIENT, SERVER))
    (preamble,) = found.preambles
    assert (preamble.protocol, preamble.accepted) == (name, True)
    assert preamble.packets and preamble.start <= preamble.end


@pytest.mark.parametrize("name", DIALOGUES)
def test_the_opener_may_be_the_server(name: str) -> None:
    found = watched([(1 - side, data) for side, data in [*DIALOGUES[name], *_tls()]])
    assert _whole(found).client == 1


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_a_fact(name: str) -> None:
    found = watched(REFUSALS[name])
    assert found.tls is None and found.protocol == name
    (preamble,) = found.preambles
    assert (preamble.protocol, preamble.accepted) == (name, False) and preamble.status


@pytest.mark.parametrize("name", [name for name in DIALOGUES if name not in ("mysql", "rdp")])
def test_an_answer_that_was_not_captured(name: str) -> None:
    asked = DIALOGUES[name][:-1]
    found = watched(asked)
    (preamble,) = found.preambles
    assert found.tls is None and preamble.accepted is None


def test_the_status_is_the_answer_to_the_command() -> None:
    (preamble,) = watched([*DIALOGUES["smtp"], *_tls()]).preambles
    assert preamble.status == "220 2.0.0 Ready"


def test_a_client_that_does_not_wait_for_the_answer() -> None:
    """STARTTLS and the ClientHello in one packet: injected or impatient, TLS begins right behind the command."""
    tls = _tls()
    before = DIALOGUES["smtp"]
    chunks = [*before[:3], (CLIENT, b"STARTTLS\r\n" + tls[0][1]), before[4], *tls[1:]]
    _whole(watched(chunks))


def test_postgresql_after_refused_gss() -> None:
    gss = [(CLIENT, b"\0\0\0\x08\x04\xd2\x16\x30"), (SERVER, b"N")]
    _whole(watched([*gss, *DIALOGUES["postgresql"], *_tls()]))


def test_words_in_a_mail_are_no_command() -> None:
    chunks = [
        *DIALOGUES["smtp"][:3],
        (CLIENT, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"),
        (SERVER, b"354 go\r\n"),
        (CLIENT, b"I said STARTTLS yesterday\r\n.\r\n"),
    ]
    assert watched(chunks) == (None, (), "smtp")


def test_an_unknown_dialogue_before_tls() -> None:
    before = [(CLIENT, b"\x01\x02hello machine"), (SERVER, b"\x01\x03hello yourself")]
    found = watched([*before, *_tls()])
    assert _whole(found).start == (len(before[0][1]), len(before[1][1]))


@pytest.mark.parametrize("name", DIALOGUES)
def test_every_cut_is_survived(name: str) -> None:
    chunks = [*DIALOGUES[name], *_tls()[:1]]
    for at, (side, data) in enumerate(chunks):
        for end in range(len(data)):
            head = [*chunks[:at], (side, data[:end])] if end else chunks[:at]
            watched(head)
