"""What clients and servers do that the rules were not first written for: Go, GnuTLS, NSS, Erlang, Java, browsers.

Each row is a connection as such a peer makes it, and the codes of warning or above that the judge must give as roots;
beside every failure stand near misses that differ in the one thing that matters.  Sealed records are told by their
lengths: none of these is read with secrets.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from synfin.cli.main import main
from synfin.judge.model import Severity
from tests.judge.support import bad, findings, told
from tests.scenarios.catalogue import Make, big_hello, forged, frame, hello, refused
from tests.scenarios.script import Script, write
from tests.support.tlsbytes import REQUEST, flights

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
GOODBYE = 19  # octets of a sealed alert in TLS 1.3
FINISHED = 4 + 48 + 17  # with the hash of TLS_AES_256_GCM_SHA384, which OpenSSL takes
EMPTY = 25  # an empty Certificate


def sealed(*lengths: int, kind: int = 23) -> bytes:
    """Records of these lengths that nobody can read."""
    return b"".join(bytes([kind, 3, 3]) + size.to_bytes(2, "big") + bytes([7]) * size for size in lengths)


def script13(*mine: int, rtt: float = 0.02) -> Script:
    """TLS 1.3 up to the server's flight, then records of the client."""
    talk = flights(request=b"", response=b"", close="none")
    script = Script(rtt=rtt).connect().play(talk, 0, 2)
    return script.send(0, sealed(*mine)) if mine else script


def talk13(*steps: tuple[int, float, tuple[int, ...]], close: int = 0) -> Make:
    """A TLS 1.3 connection of sealed records: side, wait before and lengths; then the close of a side."""

    def make() -> Script:
        script = script13(FINISHED)
        for side, wait, lengths in steps:
            script.pause(wait).send(side, sealed(*lengths))
        return script.close(close)

    return make


def race(crossed: bool, answered: bool = False, reset: bool = True) -> Make:
    """An idle time, a request, the server's close_notify and FIN that do not acknowledge it, or do, and its RST."""

    def make() -> Script:
        script = script13(FINISHED, rtt=0.2)
        script.send(0, sealed(90)).send(1, sealed(300)).pause(5)
        request = sealed(90)
        script.line(f"a > b PSH,ACK hex={request.hex()}")
        back = f"ack=-{len(request)}" if crossed else ""
        if answered:
            script.line(f"b > a PSH,ACK hex={sealed(300).hex()}", 0.2)
        script.line(f"b > a PSH,ACK hex={sealed(GOODBYE).hex()} {back}", 0.1).line(f"b > a FIN,ACK {back}")
        script.line("a > b FIN,ACK", 0.01)
        return script.line("b > a RST win=0", 0.1) if reset else script

    return make


def mutual(*mine: int, theirs: tuple[int, ...] = (GOODBYE,)) -> Make:
    """The client's flight in one packet, then the server's records and its FIN."""
    return lambda: script13(*mine).send(1, sealed(*theirs)).close(1)


def one_alert(length: int, closer: int = 1) -> Make:
    """ServerHello, one sealed record of the server, and a close."""

    def make() -> Script:
        talk = flights()
        answer = talk.chunks[1][1]
        size = 5 + int.from_bytes(answer[3:5], "big")
        return Script().connect().send(0, talk.chunks[0][1]).send(1, answer[:size] + sealed(length)).close(closer)

    return make


def nss(shown: str, waits: bool = False) -> Make:
    """TLS 1.2: the client's Finished and at once its alert, before the server's Finished or after it."""

    def make() -> Script:
        talk = flights(shown, version="1.2", verify=False, request=b"", response=b"", close="none")
        script = Script().connect().play(talk, 0, 3)
        if waits:
            return script.play(talk, 3, 4).send(0, sealed(26, kind=21)).close()
        script.line(f"a > b PSH,ACK hex={sealed(26, kind=21).hex()}")
        script.line(f"b > a PSH,ACK hex={talk.chunks[3][1].hex()}", 0.02)
        return script.line("a > b RST win=0").line("b > a FIN,ACK", 0.02)

    return make


def alert_after_flight(description: int, shown: str = "good", *, side: int = 0, openssl: bool = True) -> Make:
    """TLS 1.2: the server's flight, and a clear alert; ``openssl``: the client offers compressed points as OpenSSL."""

    def make() -> Script:
        talk = flights(shown, version="1.2", verify=False)
        first = talk.chunks[0][1]
        if not openssl:
            first = first.replace(b"\x00\x0b\x00\x04\x03\x00\x01\x02", b"\x00\x0b\x00\x04\x03\x00\x01\x01")
            assert first != talk.chunks[0][1]
        script = Script().connect().send(0, first).send(1, talk.chunks[1][1])
        return script.send(side, b"\x15\x03\x03\x00\x02\x02" + bytes([description])).close(side)

    return make


def asked_for_certificate() -> Script:
    """A browser leaves when it is asked for a certificate, and comes back when its user chose one."""
    talk = flights(version="1.2", demand=True)
    return Script().connect().play(talk, 0, 2).close()


def large_hello_ended(how: str) -> Make:
    """A ClientHello in two packets that is acknowledged whole, and the server's FIN or RST."""

    def make() -> Script:
        script = Script().connect().send(0, big_hello())
        return script.line(f"b > a {how}", 0.001).line("a > b FIN,ACK", 0.01)

    return make


def damaged_flight(description: int) -> Make:
    """The server's flight and its FIN, and then the client's alert."""

    def make() -> Script:
        script = script13().line("b > a FIN,ACK")
        return script.send(0, b"\x15\x03\x03\x00\x02\x02" + bytes([description])).line("a > b FIN,ACK")

    return make


def keep_alive_of_server(arrived: bool) -> Make:
    """A ClientHello again and again, and the server's keep-alive, which acknowledges it or not."""

    def make() -> Script:
        data = hello()
        script = Script().connect()
        for n in range(5):
            script.line(f"a > b PSH,ACK hex={data.hex()} seq=1001", 0.3 * 2**n if n else 0.0001)
        return script.line("b > a ACK" if arrived else f"b > a ACK ack=-{len(data)}", 10).line("a > b ACK")

    return make


def h2_short(declared: int, data: int) -> Make:
    """HTTP/2: a response that announces ``declared`` octets and ends its stream after ``data``."""

    def make() -> Script:
        request = frame(1, 5, 1, bytes([0x82, 0x86, 0x84, 0x41, 3]) + b"lab")
        length = str(declared).encode()
        head = frame(1, 4, 1, b"\x88\x0f\x0d" + bytes([len(length)]) + length)
        script = Script(port=80).connect()
        script.send(0, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + request)
        return script.send(1, frame(4, 0, 0) + head + frame(0, 1, 1, b"x" * data)).close()

    return make


def h2_ended(*frames: bytes) -> Make:
    """HTTP/2: a request, frames of the server, and its RST."""

    def make() -> Script:
        request = frame(1, 5, 1, bytes([0x82, 0x86, 0x84, 0x41, 3]) + b"lab")
        script = Script(port=80).connect()
        script.send(0, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + request)
        return script.send(1, frame(4, 0, 0) + b"".join(frames)).reset()

    return make


def h2_waited(*frames: bytes, late: bytes = b"", wait: float = 4.0) -> Make:
    """HTTP/2: a request, frames of the server, a wait, frames of the client and its FIN, and ``late`` of the server."""

    def make() -> Script:
        request = frame(1, 5, 1, bytes([0x82, 0x86, 0x84, 0x41, 3]) + b"lab")
        script = Script(port=80).connect()
        script.send(0, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + request)
        script.send(1, frame(4, 0, 0)).pause(wait).send(0, b"".join(frames) or frame(4, 1, 0)).line("a > b FIN,ACK")
        return script.send(1, late, ack=False).line("b > a FIN,ACK") if late else script.line("b > a FIN,ACK", 0.02)

    return make


def ceased(repeats: int, *, heard: bool = False, data: bool = True) -> Make:
    """TLS that cannot be read: an answer under way, then the client repeats in vain; ``heard``: not in vain."""

    def make() -> Script:
        script = script13(FINISHED).send(0, sealed(90))
        for _ in range(4 if data else 0):
            script.line(f"b > a PSH,ACK hex={sealed(1300).hex()}")
        script.line("a > b ACK").line("b > a ACK" if not data else f"b > a PSH,ACK hex={sealed(1300).hex()}")
        again = sealed(30)
        for n in range(repeats):
            seq = f"seq=-{len(again)}" if n else ""
            script.line(f"a > b PSH,ACK hex={again.hex()} {seq}", 0.4 * 2**n)
        return script.line("b > a ACK", 0.02).close() if heard else script

    return make


def client_gone(repeats: int, *, ended: str = "") -> Make:
    """As the server sees it: an answer under way, and a client that is not heard any more, or that is."""

    def make() -> Script:
        script = script13(FINISHED).send(0, sealed(90)).send(1, sealed(1300))
        again = sealed(500)
        for n in range(repeats):
            script.line(f"b > a PSH,ACK hex={again.hex()} {f'seq=-{len(again)}' if n else ''}", 0.4 * 2**n)
        return script.line(f"a > b {ended}", 0.02) if ended else script

    return make


def plain(answer: bytes, *, port: int = 80, closer: int = 1, wait: float = 0.0) -> Make:
    """A request in clear, the answer, and a close after a while."""

    def make() -> Script:
        script = Script(port=port).connect().send(0, REQUEST)
        if answer:
            script.send(1, answer)
        return script.pause(wait).close(closer)

    return make


def two(*makes: Make) -> Make:
    """Several connections of one client, one after the other."""

    def make() -> list[Script]:
        made = []
        for place, one in enumerate(makes):
            script = one()
            assert isinstance(script, Script)
            script.client_port += place
            made.append(script)
        return made

    return make


def refused_at(port: int) -> Make:
    def make() -> Script:
        script = refused()
        script.port = port
        return script

    return make


#: HTTP/2 without secrets: preface, request, and what the server says of itself; lengths as Go and curl send them.
PREFACE = (0, 0.0, (81,)), (0, 0.0, (75,)), (1, 0.0, (50,)), (0, 0.0, (26,)), (1, 0.0, (39,))
PLAIN_FIELD = b"HTTP/1.1 200 OK\r\nX-Part %s 5\r\nContent-Length: 5\r\n\r\nhello"
CHUNK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"

ROWS: dict[str, tuple[Make, tuple[str, ...]]] = {
    "race told by close_notify": (race(True), ("HTP101",)),
    "race told by close_notify, and no RST": (race(True, reset=False), ("HTP101",)),
    "race: the close acknowledges the request": (race(False), ()),
    "race: the request was answered": (race(False, answered=True), ()),
    "equal answers, seconds apart": (talk13((0, 0, (90,)), (1, 0, (149,)), (0, 5, (90,)), (1, 0, (149,))), ()),
    "two tickets and no answer": (talk13((0, 0, (90,)), (1, 0, (255, 255)), (0, 4, (GOODBYE,))), ("HTP102",)),
    "two tickets and an answer": (
        talk13((0, 0, (90,)), (1, 0, (255, 255)), (1, 0, (400,)), (0, 4, (GOODBYE,))),
        (),
    ),
    "no certificate, a request of 18 octets": (mutual(EMPTY, FINISHED, 35), ("TLS301",)),
    "no certificate, a request and a good-bye at once": (mutual(EMPTY, FINISHED, 90, GOODBYE), ("TLS301",)),
    "no certificate, and an answer": (mutual(EMPTY, FINISHED, 35, theirs=(300, GOODBYE)), ()),
    "no certificate, and only a good-bye": (mutual(EMPTY, FINISHED, GOODBYE), ()),
    "no question for a certificate, no answer": (mutual(FINISHED, 90), ("HTP103",)),
    "no question for a certificate, an answer": (mutual(FINISHED, 90, theirs=(300, GOODBYE)), ()),
    "an alert in place of EncryptedExtensions": (one_alert(GOODBYE), ("TLS211",)),
    "EncryptedExtensions and a close": (one_alert(23), ("TLS111",)),
    "the client leaves before the server's Finished": (nss("self"), ("CRT102",)),
    "the client leaves after the server's Finished": (nss("self", waits=True), ()),
    "the client leaves before, nothing wrong to be seen": (nss("good"), ("CRT102",)),
    "handshake_failure about a wrong use": (alert_after_flight(40, "usage"), ("CRT401",)),
    "handshake_failure about a wrong name": (alert_after_flight(40, "name"), ("CRT301",)),
    "handshake_failure, nothing wrong to be seen": (alert_after_flight(40), ("TLS210",)),
    "handshake_failure of the server": (alert_after_flight(40, "usage", side=1), ("TLS210",)),
    "bad_certificate of OpenSSL, nothing wrong: its clock": (alert_after_flight(42), ("CRT202",)),
    "bad_certificate of another, nothing wrong: no trust": (alert_after_flight(42, openssl=False), ("CRT102",)),
    "bad_certificate about a wrong use": (alert_after_flight(42, "usage"), ("CRT401",)),
    "decrypt_error, nothing wrong to be seen": (alert_after_flight(51), ("TLS210",)),
    "asked for a certificate, gone": (asked_for_certificate, ()),
    "a large ClientHello taken whole, FIN": (large_hello_ended("FIN,ACK"), ("TLS111",)),
    "a large ClientHello that met the server's FIN": (
        large_hello_ended(f"FIN,ACK ack=-{len(big_hello())}"),
        ("TLS111",),
    ),
    "a large ClientHello taken whole, RST of another": (large_hello_ended("RST,ACK win=0 ttl=128"), ("TLS110",)),
    "a large ClientHello taken whole, RST": (large_hello_ended("RST,ACK win=0"), ("TLS204",)),
    "forged": (forged, ("TLS110",)),
    "bad_record_mac after the close": (damaged_flight(20), ("TLS501",)),
    "internal_error after the close": (damaged_flight(80), ("TLS111",)),
    "a keep-alive that acknowledges nothing": (keep_alive_of_server(False), ("TLS113",)),
    "a keep-alive that acknowledges the ClientHello": (keep_alive_of_server(True), ("TLS112",)),
    "h2: shorter than it says": (h2_short(500, 100), ("HTP201",)),
    "h2: as long as it says": (h2_short(100, 100), ()),
    "h2: empty, and says so": (h2_short(0, 0), ()),
    "h2: GOAWAY with an error, and RST": (
        h2_ended(frame(7, 0, 0, bytes(4) + (11).to_bytes(4, "big"))),
        ("HTP301",),
    ),
    "h2: GOAWAY in order, and RST": (h2_ended(frame(7, 0, 0, (1).to_bytes(4, "big") + bytes(4))), ("TCP501",)),
    "h2: the client gives up as curl does": (h2_waited(frame(3, 0, 1, (5).to_bytes(4, "big"))), ("HTP102",)),
    "h2: the client complains": (h2_waited(frame(3, 0, 1, (1).to_bytes(4, "big"))), ("HTP301",)),
    "h2: GOAWAY in order after the client left": (
        h2_waited(late=frame(7, 0, 0, (1).to_bytes(4, "big") + bytes(4))),
        ("HTP102",),
    ),
    "h2: RST alone": (h2_ended(), ("TCP501",)),
    "everything ceased": (ceased(5), ("HTP104",)),
    "ceased, and came back": (ceased(5, heard=True), ()),
    "the client is gone": (client_gone(5), ("HTP104",)),
    "the client is late": (client_gone(5, ended="ACK"), ()),
    "the client says it is gone": (client_gone(5, ended="RST win=0"), ()),
    "repeated twice, the capture ends": (ceased(2), ()),
    "a line that is no field": (plain(PLAIN_FIELD % b""), ("HTP202",)),
    "a line that is one": (plain(PLAIN_FIELD % b":"), ()),
    "chunks, and the client leaves": (plain(CHUNK, closer=0), ()),
    "plain to a TLS port, no answer": (plain(b"", port=443, closer=0, wait=4), ("TLS102",)),
    "plain to port 443, answered": (plain(ANSWER, port=443, closer=0, wait=4), ()),
    "plain to another port, no answer": (plain(b"", port=8081, closer=0, wait=4), ("HTP102",)),
    "https refused, http answered": (two(refused_at(443), plain(ANSWER)), ()),
    "https refused": (refused_at(443), ("TCP101",)),
    "another port refused, http answered": (two(refused_at(8443), plain(ANSWER)), ("TCP101",)),
    "h2 sealed: no answer": (talk13(*PREFACE, (0, 5, (GOODBYE,))), ("HTP102",)),
    "h2 sealed: preface and request in one record": (
        talk13((0, 0.0, (573,)), (1, 0.0, (66,)), (0, 0.0, (26,)), (0, 5, (GOODBYE,))),
        ("HTP102",),
    ),
    "h2 sealed: in one record, answered": (
        talk13((0, 0.0, (573,)), (1, 0.0, (66,)), (0, 0.0, (26,)), (1, 0, (310,)), (0, 5, (GOODBYE,))),
        (),
    ),
    "h2 sealed: cancelled after a wait": (talk13(*PREFACE, (0, 5, (30,)), (1, 0, (GOODBYE,))), ("HTP102",)),
    "h2 sealed: answered": (talk13(*PREFACE, (1, 0, (74, 30)), (0, 5, (GOODBYE,))), ()),
    "h2 sealed: opened in advance": (talk13(PREFACE[0], *PREFACE[2:], (0, 5, (GOODBYE,))), ()),
    "h2 sealed: SETTINGS with the answer, and late DATA that only ends a stream": (
        talk13(
            (0, 0.0, (573,)), (1, 0.0, (310,)), (0, 0.1, (60,) * 6), (1, 0.1, (74,)), (0, 0, (26,)), (0, 5, (GOODBYE,))
        ),
        (),
    ),
    "h2 sealed: answered late": (talk13(*PREFACE, (1, 3, (74, 30)), (0, 0, (GOODBYE,))), ()),
}


@pytest.mark.parametrize("row", ROWS)
def test_the_root_is_the_cause(row: str, tmp_path: Path) -> None:
    make, expected = ROWS[row]
    found = findings(make, tmp_path)
    assert tuple(item.code for item in bad(found)) == expected, told(found)


def test_a_late_answer_over_sealed_h2_is_noted(tmp_path: Path) -> None:
    found = findings(ROWS["h2 sealed: answered late"][0], tmp_path)
    assert [(item.code, item.severity) for item in found if item.code == "HTP102"] == [("HTP102", Severity.NOTICE)]


def test_a_refused_https_stays_a_note(tmp_path: Path) -> None:
    found = findings(ROWS["https refused, http answered"][0], tmp_path)
    assert [(item.code, item.severity) for item in found] == [("TCP101", Severity.NOTICE)]


@pytest.mark.parametrize(
    ("text", "code"), [("", 1), ("# written by a client that came to none\n", 1), ("no key log", 2)]
)
def test_a_key_log_without_a_secret_is_one(text: str, code: int, tmp_path: Path) -> None:
    """A client that fails before there are secrets leaves an empty file, or a comment."""
    log = tmp_path / "keys"
    log.write_text(text)
    capture = write([refused()], tmp_path / "refused.pcap")
    assert main(["check", str(capture), "--keylog", str(log)]) == code
