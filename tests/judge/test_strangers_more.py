"""More of what strangers do: packets out of order, cancelled streams, connections that were not needed, broken HTTP/2.

In the manner of ``test_strangers``: each row is a connection as such a peer makes it and the codes of warning or
above that the judge must give as roots; beside every failure stand near misses that differ in the one thing that
matters.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from synfin.capture.keylog import KeyLog
from synfin.observe import observe
from tests.judge.support import bad, findings, told
from tests.judge.test_strangers import FINISHED, GOODBYE, plain, script13, sealed, two
from tests.scenarios.catalogue import HALF, Make, big_hello, frame, goaway, healthy, healthy12, hello
from tests.scenarios.script import Script, write
from tests.support.tlsbytes import REQUEST, flights

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PROTOCOL_ERROR, CANCEL = (1).to_bytes(4, "big"), (8).to_bytes(4, "big")


def get(stream: int) -> bytes:
    """HEADERS of a GET, by HPACK's static table."""
    return frame(1, 5, stream, bytes([0x82, 0x86, 0x84, 0x41, 3]) + b"lab")


def head(stream: int, length: int) -> bytes:
    """HEADERS of a 200 of this length."""
    text = str(length).encode()
    return frame(1, 4, stream, b"\x88\x0f\x0d" + bytes([len(text)]) + text)


def h2(*steps: tuple[int, bytes, float]) -> Script:
    """HTTP/2 in clear: a request on stream 1, then steps of side, octets and the wait before them; not closed."""
    script = Script(port=80).connect().send(0, PREFACE + frame(4, 0, 0) + get(1)).send(1, frame(4, 0, 0))
    for side, data, wait in steps:
        script.pause(wait).send(side, data)
    return script


def h2_left(*steps: tuple[int, bytes, float], wait: float = 0.01, closer: int = 0) -> Make:
    return lambda: h2(*steps).pause(wait).close(closer)


def out_of_order(lost: bool = False) -> Make:
    """HTTP/2: four frames of DATA, a packet each; the second comes after the others, END_STREAM among them."""

    def make() -> Script:
        script = h2((1, head(1, 4000), 0))
        parts = [frame(0, 0, 1, b"x" * 1000) for _ in range(4)] + [frame(0, 1, 1)]
        size = len(parts[0])
        script.line(f"b > a PSH,ACK hex={parts[0].hex()}", 0.01)
        script.line(f"b > a PSH,ACK hex={parts[2].hex()} seq=+{size}")
        script.line(f"b > a PSH,ACK hex={parts[3].hex()}").line(f"b > a PSH,ACK hex={parts[4].hex()}")
        if lost:  # it was never sent: the server counted wrong
            script = h2((1, head(1, 4000), 0), (1, b"".join((parts[0], *parts[2:])), 0))
            return script.close()
        script.line(f"b > a PSH,ACK hex={parts[1].hex()} seq=-{2 * size + size + len(parts[4])}", 0.03)
        return script.line("a > b ACK").close()

    return make


def answer_missed() -> Script:
    """HTTP/2: the packet with the answer was not captured, though it was acknowledged; GOAWAY follows it."""
    script = h2()
    script.line(f"b > a PSH,ACK hex={goaway(0).hex()} seq=+{len(WHOLE)}", 0.02)
    return script.line("a > b ACK").close(1)


def cancelled(after: float, answered: bool = False) -> Make:
    """HTTP/2: a request, cancelled after a while; another is answered, and the connection lives on for seconds."""

    def make() -> Script:
        script = h2().pause(after).send(0, frame(3, 0, 1, CANCEL) + get(3))
        script.send(1, head(3, 5) + frame(0, 1, 3, b"hello"))
        return script.pause(4).close()

    return make


def stalled(*, alert: bool = True, more: bool = False) -> Make:
    """TLS that can be read: a part of the answer, silence, the client's FIN, and the server's alert about that."""

    def make() -> Script:
        talk = flights(response=b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n" + b"x" * 9000, close="server")
        script = Script().connect().play(talk, 0, len(talk.chunks) - 1).line("a > b FIN,ACK", 6)
        if alert:
            script.line(f"b > a PSH,ACK hex={talk.chunks[-1][1].hex()}", 0.02)
        if more:
            script.line(f"b > a PSH,ACK hex={sealed(1300).hex()}")
        return script.line("b > a FIN,ACK").line("a > b RST win=0")

    return make


def upload(octets: int, *, repeats: int = 6, heard: bool = False, pause: float = 0.0) -> Make:
    """TLS that cannot be read: much is sent and acknowledged, then nothing of the server comes any more."""

    def make() -> Script:
        script = script13(FINISHED)
        for _ in range(octets // 1300):
            script.line(f"a > b PSH,ACK hex={sealed(1295).hex()}", 0.001)
        script.line("b > a ACK", 0.02).pause(pause)
        again = sealed(1295)
        for n in range(repeats):
            script.line(f"a > b PSH,ACK hex={again.hex()} {f'seq=-{len(again)}' if n else ''}", 0.2 * 2**n)
        return script.line("b > a ACK", 0.02).send(1, sealed(300)).close() if heard else script

    return make


def left_12(shown: str = "good") -> Script:
    """TLS 1.2: the client closes in the middle of the handshake, after the server's certificates, without a word."""
    talk = flights(shown, version="1.2", verify=False)
    return Script().connect().play(talk, 0, 2).close()


def left_13() -> Script:
    """TLS 1.3 that cannot be read: the client closes in place of its Finished."""
    return script13().close()


def before(one: Make, other: Make, *, first: bool = True, port: int = 443) -> Make:
    """Two connections of one client; ``first``: the second begins when the first has had its answer."""

    def make() -> list[Script]:
        made = [script for m in (one, other) if isinstance(script := m(), Script)]
        made[1].client_port += 1
        made[1].port = port
        later = made[1] if first else made[0]
        later.lines = [f"{float(line[:8]) + 0.5:.6f}{line[8:]}" for line in later.lines]
        return made

    return make


def hello_reset(extra: str, wait: float) -> Make:
    """A ClientHello in two packets, and an RST after ``wait``; the client's timestamps are on."""

    def make() -> Script:
        data = big_hello()
        script = Script()
        script.line("a > b SYN <mss 1460, sackOK, TS 1 0, wscale 7>", 0)
        script.line("b > a SYN,ACK <mss 1460, sackOK, TS 1 1, wscale 7> id=7", script.rtt)
        script.line("a > b ACK <TS 2 1>")
        script.line(f"a > b ACK hex={data[:1400].hex()} <TS 2 1>")
        script.line(f"a > b PSH,ACK hex={data[1400:].hex()} <TS 2 1>")
        return script.line(f"b > a RST,ACK win=0 {extra}", wait).line("a > b ACK", 0.01)

    return make


def cut_record(came: int, *, closer: int = 1, bye: bool = False) -> Make:
    """TLS that cannot be read: the last record is sealed for 9,000 octets, and a FIN comes after ``came``."""

    def make() -> Script:
        script = script13(FINISHED).send(0, sealed(90)).send(1, sealed(300)).pause(0.2)
        if bye:
            script.send(0, sealed(19))
        return script.send(1, sealed(9000)[: 5 + came]).close(closer)

    return make


def stopped_in_record(silence: float, *, window: int = 64240, came: int = 5000) -> Make:
    """TLS that cannot be read: a part of the last record, silence, and the client's FIN."""

    def make() -> Script:
        script = script13(FINISHED).send(0, sealed(90)).send(1, sealed(300)).pause(0.2)
        script.send(1, sealed(9000)[: 5 + came], ack=False).line(f"a > b ACK win={window}", 0.01)
        return script.line(f"a > b FIN,ACK win={window}", silence).line("b > a ACK", 0.02).line("b > a FIN,ACK", 0.3)

    return make


def refused_certificate(octets: int, *, answer: tuple[int, ...] = (), idle: float = 0.0) -> Make:
    """TLS 1.3 that cannot be read: a flight of the client before its Finished, and the server's FIN."""

    def make() -> Script:
        script = script13(*((octets,) if octets else ()), FINISHED)
        if answer:
            script.send(1, sealed(*answer))
        script.pause(idle)
        return (
            script.line("b > a FIN,ACK", 0.02).send(0, sealed(140)).line("a > b FIN,ACK").line("b > a RST win=0", 0.02)
        )

    return make


def no_certificate_12(then: str) -> Make:
    """TLS 1.2: the client shows no certificate and says good-bye with a request, then somebody's FIN."""

    def make() -> Script:
        talk = flights(version="1.2", demand=True)
        script = Script().connect().play(talk, 0, 3).send(0, sealed(60) + sealed(26, kind=21))
        return script.line(then, 0.01).line("b > a FIN,ACK" if then[0] == "a" else "a > b FIN,ACK", 0.02)

    return make


def by_address(alpn: bool, shown: str = "good", *, asks: bool = False) -> Make:
    """TLS 1.2 to an address, so without a server name: the handshake, close_notify, FIN."""
    protocols = (("http/1.1",), ("http/1.1",)) if alpn else ((), ())

    def make() -> Script:
        talk = flights(
            shown,
            version="1.2",
            verify=False,
            name=None,
            alpn=protocols,
            request=REQUEST if asks else b"",
            response=b"",
        )
        return Script().connect().play(talk).close()

    return make


def at_once(wait: float, *, port: int = 443, side: int = 1, word: bool = False) -> Make:
    """TCP is set up, and somebody resets it before a word was said, or after one."""

    def make() -> Script:
        script = Script(port=port).connect()
        if word:
            script.send(1, b"220 ready\r\n")
        return script.reset(side, wait=wait)

    return make


def late_notify(crossed: bool = True) -> Make:
    """After an idle time a request crosses the server's close_notify; the client is the first to send FIN."""

    def make() -> Script:
        script = script13(FINISHED, rtt=0.2)
        script.send(0, sealed(90)).send(1, sealed(300)).pause(5)
        request = sealed(90)
        script.line(f"a > b PSH,ACK hex={request.hex()}")
        if not crossed:
            script.line(f"b > a PSH,ACK hex={sealed(300).hex()}", 0.2)
        back = f"ack=-{len(request)}" if crossed else ""
        script.line(f"b > a PSH,ACK hex={sealed(GOODBYE).hex()} {back}", 0.1)
        return script.line("a > b FIN,ACK", 0.003).line("b > a FIN,ACK", 0.2).line("a > b ACK")

    return make


def alert_to_close(ack: str) -> Make:
    """The server's flight, and the client's internal_error, which acknowledges a FIN that was not captured, or not."""

    def make() -> Script:
        return script13().line(f"a > b PSH,ACK hex=15030300020250 {ack}", 0.01)

    return make


def begun_unseen(data: bytes) -> Make:
    """The server's SYN,ACK was not captured: where its stream begins is not known."""

    def make() -> Script:
        script = Script().connect()
        del script.lines[1]
        script.line(f"a > b PSH,ACK hex={hello().hex()}", 0.01)
        return script.line(f"b > a PSH,ACK hex={data.hex()} seq=5001", 0.02).close()

    return make


def hello_missed() -> Script:
    """The ClientHello was not captured, the server's flight was, and the client's ChangeCipherSpec and its FIN."""
    script = Script().connect().play(flights(), 0, 2).send(0, b"\x14\x03\x03\x00\x01\x01").close()
    script.lines[3:4] = [f"0.030000  a > b ACK seq=+{len(flights().chunks[0][1])}"]
    return script


def tickets_and(length: int) -> Script:
    """TLS 1.3 that cannot be read: a request, two tickets and a record; the capture ends."""
    return script13(FINISHED).send(0, sealed(90)).send(1, sealed(282, 282, length))


def copies(gap: float) -> Make:
    """The ClientHello four times, ``gap`` seconds apart, and the capture ends."""

    def make() -> Script:
        script = Script().connect()
        for _ in range(4):
            script.line(f"a > b PSH,ACK hex={hello().hex()} seq=1001", gap)
        return script

    return make


def answer(text: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + text


CHUNK = b"Transfer-Encoding: chunked\r\n\r\n64\r\nhello, and more"


def chunk_begun() -> Script:
    """A chunked answer in clear; the capture ends within a chunk."""
    return Script(port=80).connect().send(0, REQUEST).send(1, answer(CHUNK))


WHOLE = head(1, 5) + frame(0, 1, 1, b"hello")

ROWS: dict[str, tuple[Make, tuple[str, ...]]] = {
    "h2: END_STREAM overtook DATA": (out_of_order(), ()),
    "h2: END_STREAM, and DATA is missing": (out_of_order(lost=True), ("HTP201",)),
    "h2: cancelled at once, the connection lives on": (cancelled(0.04), ()),
    "h2: cancelled after seconds": (cancelled(4), ("HTP102",)),
    "h2: cut by the client, silence, close": (
        h2_left((1, b"".join(HALF), 0), (0, frame(3, 0, 1, CANCEL), 0), wait=5),
        (),
    ),
    "h2: silence in the middle, cancelled and closed": (
        h2_left((1, head(1, 4000) + frame(0, 0, 1, b"x" * 100), 0), (0, frame(3, 0, 1, CANCEL), 5)),
        ("HTP104",),
    ),
    "h2: DATA on stream 0, and the client leaves": (h2_left((1, frame(0, 0, 0, b"hello"), 0)), ("HTP202",)),
    "h2: DATA on stream 0 after the answer": (h2_left((1, WHOLE + frame(0, 0, 0, b"hello"), 0)), ()),
    "h2: a setting of no such value": (h2_left((1, frame(4, 0, 0, b"\0\2\0\0\0\x09"), 0)), ("HTP202",)),
    "h2: a setting of the highest value": (h2_left((1, frame(4, 0, 0, b"\0\4\x7f\xff\xff\xff"), 0)), ()),
    "h2: a window beyond 2**31-1": (h2_left((1, frame(8, 0, 0, b"\x7f\xff\xff\xff"), 0)), ("HTP202",)),
    "h2: a window of 2**31-1": (h2_left((1, frame(8, 0, 0, b"\x7f\xff\0\0"), 0)), ()),
    "h2: a header block that is none": (h2_left((1, frame(1, 4, 1, b"\xff\xff\xff"), 0)), ("HTP202",)),
    "h2: GOAWAY in order, an answer is missing": (h2_left((1, goaway(0), 0), closer=1), ("HTP301",)),
    "h2: GOAWAY in order, an answer was not captured": (answer_missed, ()),
    "h2: broken, and the server closes": (h2_left((1, frame(0, 0, 0, b"hello"), 0), closer=1), ("HTP103",)),
    "h2: more than it says, refused": (
        h2_left((1, head(1, 5) + frame(0, 1, 1, b"hello you"), 0), (0, frame(3, 0, 1, PROTOCOL_ERROR), 0)),
        ("HTP202",),
    ),
    "h2: as much as it says, and a late cancel": (h2_left((1, WHOLE, 0), (0, frame(3, 0, 1, CANCEL), 0)), ()),
    "h2: no status": (
        h2_left(
            (1, frame(1, 4, 1, b"\x0f\x0d\x015") + frame(0, 1, 1, b"hello"), 0), (0, frame(3, 0, 1, PROTOCOL_ERROR), 0)
        ),
        ("HTP202",),
    ),
    "h2: trailers of a stream that was cancelled": (
        h2_left((1, b"".join(HALF), 0), (0, frame(3, 0, 1, CANCEL), 0), (1, frame(1, 5, 1, b"\x0f\x0d\x015"), 0)),
        (),
    ),
    "an upload that ceased": (upload(60_000), ("HTP104",)),
    "an upload that goes on": (upload(60_000, heard=True), ()),
    "an idle connection, repeated in vain": (upload(60_000, pause=4), ("TCP401",)),
    "gone while another is in use": (two(healthy12, left_12), ()),
    "gone while another goes, too": (two(left_12, left_12), ("CRT102", "CRT102")),
    "gone after another was taken": (before(healthy12, left_12), ()),
    "gone before another was taken": (before(healthy12, left_12, first=False), ("CRT102",)),
    "gone from another certificate": (before(healthy12, lambda: left_12("expired")), ("CRT201",)),
    "gone from another port": (before(healthy12, left_12, port=8443), ("CRT102",)),
    "gone after another was taken, sealed": (before(healthy, left_13), ()),
    "gone, sealed": (left_13, ("TLS211",)),
    "a large ClientHello reset from near, without timestamps": (hello_reset("id=40000", 0.0003), ("TLS110",)),
    "a large ClientHello reset a round trip later": (hello_reset("<TS 3 2> id=8", 0.02), ("TLS204",)),
    "FIN in the middle of a record": (cut_record(5000), ("HTP201",)),
    "FIN in the middle of a record, after the client's good-bye": (cut_record(5000, bye=True), ()),
    "FIN at the end of a record": (cut_record(9000), ()),
    "the client's FIN in the middle of a record": (cut_record(5000, closer=0), ()),
    "silence in the middle of a record": (stopped_in_record(6), ("HTP104",)),
    "silence at the end of a record": (stopped_in_record(6, came=9000), ()),
    "silence in a record, and no room for more": (stopped_in_record(6, window=20), ()),
    "the client leaves in the middle of a record": (stopped_in_record(0.1), ()),
    "a certificate, and the server hangs up": (refused_certificate(900), ("TLS302",)),
    "no certificate, and the server hangs up": (refused_certificate(0), ()),
    "a certificate, tickets, a late close": (refused_certificate(900, answer=(250, 250), idle=30), ("HTP101",)),
    "no certificate shown, a good-bye, and the server hangs up": (no_certificate_12("b > a FIN,ACK"), ("TLS301",)),
    "no certificate shown, a good-bye, and the client leaves": (no_certificate_12("a > b FIN,ACK"), ()),
    "an alert about a FIN that was not captured": (alert_to_close("ack=+1"), ()),
    "an alert about no FIN": (alert_to_close(""), ("TLS210",)),
    "tickets and a good-bye, the capture ends": (lambda: tickets_and(GOODBYE), ("HTP103",)),
    "tickets and SETTINGS, the capture ends": (lambda: tickets_and(9 + 9 + 17), ()),
    "a ClientHello repeated": (copies(0.4), ("TLS113",)),
    "a ClientHello copied by a mirror port": (copies(0.00002), ()),
    "no ClientHello captured": (hello_missed, ()),
    "no TLS, and no SYN,ACK captured": (begun_unseen(b"\x02\xf3\x02\x8b\x5b\x80\xc8\x86"), ()),
    "to an address, HTTP": (by_address(True), ("CRT301",)),
    "to an address, HTTP, and a request": (by_address(True, asks=True), ()),
    "to an address, only a look": (by_address(False), ()),
    "reset at once": (at_once(0.03), ("TLS110",)),
    "reset after a while": (at_once(20), ()),
    "reset by the client": (at_once(0.03, side=0), ()),
    "reset at once, no port of TLS": (at_once(0.03, port=9000), ()),
    "race told by close_notify, the client's FIN first": (late_notify(), ("HTP101",)),
    "answered, then close_notify": (late_notify(crossed=False), ()),
    "a length that is no number": (plain(answer(b"Content-Length: 5 octets\r\n\r\nhello")), ("HTP202",)),
    "a negative length": (plain(answer(b"Content-Length: -5\r\n\r\nhello")), ("HTP202",)),
    "a length in quiet company": (plain(answer(b"Content-Length:\t5 \r\n\r\nhello")), ()),
    "space before the colon": (plain(answer(b"X-A : 1\r\nContent-Length: 5\r\n\r\nhello")), ()),
    "space before the colon, and a line without one": (
        plain(answer(b"X-A : 1\r\nX B\r\nContent-Length: 5\r\n\r\nhello")),
        ("HTP202",),
    ),
    "more than it says": (plain(answer(b"Content-Length: 5\r\n\r\nhello, and more of it")), ("HTP202",)),
    "a chunk that the capture ends in": (chunk_begun, ()),
    "a chunk that the server leaves": (plain(answer(CHUNK)), ("HTP201",)),
    "a chunk size that is none": (plain(answer(CHUNK.replace(b"64", b"-4"))), ("HTP202",)),
    "a blank line behind it": (plain(answer(b"Content-Length: 5\r\n\r\nhello\r\n")), ()),
    "another protocol from here on": (
        plain(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello, this is x\n"),
        (),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_strangers_connection(name: str, tmp_path: Path) -> None:
    make, want = ROWS[name]
    found = findings(make, tmp_path)
    assert tuple(item.code for item in bad(found)) == want, told(found)


READ: dict[str, tuple[Make, tuple[str, ...]]] = {
    "it complains about the close": (stalled(), ("HTP104",)),
    "it says nothing more": (stalled(alert=False), ("HTP104",)),
    "it goes on": (stalled(more=True), ()),
}


@pytest.mark.parametrize("name", READ)
def test_an_answer_that_stops_and_can_be_read(name: str, tmp_path: Path) -> None:
    make, want = READ[name]
    found = findings(make, tmp_path, keys=True)
    assert tuple(item.code for item in bad(found)) == want, told(found)


def test_frames_of_one_side_keep_their_order(tmp_path: Path) -> None:
    """What a lost packet held back is read where it stands in the stream (RFC 9293 3.4: the stream is in order)."""
    script = out_of_order()()
    assert isinstance(script, Script)
    (connection,) = observe(write([script], tmp_path / "order.pcap"), keylog=KeyLog.parse(b""))
    assert connection.http is not None
    (response,) = [m for m in connection.http.messages if m.kind == "response"]
    assert (response.body, response.complete, response.problem) == (4000, True, "")


def test_what_cannot_be_decoded_is_told_the_same_every_time(tmp_path: Path) -> None:
    """A decoder's complaint may hold the address of its buffer, which is nobody's business."""
    make = ROWS["h2: a header block that is none"][0]
    first, second = (told(findings(make, tmp_path)) for _ in range(2))
    assert first == second and " at 0x" not in first
