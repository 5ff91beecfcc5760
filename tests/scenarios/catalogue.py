"""For every rule a connection that must fire it, and near misses that must stay silent.

A near miss differs from the failure in the one thing that makes it harmless, or harmful in another way; "silent" means:
this code is not found at all, or, where the row says so, nothing of warning or above is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.scenarios.script import Script
from tests.support.tlsbytes import NAME, REQUEST, RESPONSE, flights

Made = Script | list[Script]
Make = Callable[[], Made]


@dataclass(frozen=True)
class Scenario:
    """What fires a rule and what must not; ``keys``: the rule may need the TLS secrets, ``note``: it is only a note."""

    fires: Make
    near: tuple[Make, ...]
    keys: bool = False
    note: bool = False
    also: tuple[Make, ...] = ()  # further ways to fire it, read with secrets
    blind: tuple[Make, ...] = ()  # further ways to note it, read without secrets


def healthy() -> Script:
    """TLS 1.3, one exchange, closed in order."""
    return Script().connect().play(flights()).close()


def healthy12() -> Script:
    """TLS 1.2, one exchange, closed in order."""
    return Script().connect().play(flights(version="1.2")).close()


def hello() -> bytes:
    """A ClientHello record."""
    return flights()[0][1]


def big_hello() -> bytes:
    """A ClientHello of two packets: the same with the padding extension (RFC 7685) of 1,400 octets."""
    record = hello()
    body = bytearray(record[9:])
    at = 34 + 1 + body[34]
    at += 2 + int.from_bytes(body[at : at + 2], "big")
    at += 1 + body[at]
    padding = (21).to_bytes(2, "big") + (1400).to_bytes(2, "big") + bytes(1400)
    size = int.from_bytes(body[at : at + 2], "big") + len(padding)
    body[at : at + 2] = size.to_bytes(2, "big")
    body += padding
    head = record[:3] + (len(body) + 4).to_bytes(2, "big") + b"\x01" + len(body).to_bytes(3, "big")
    return head + bytes(body)


def refused() -> Script:
    return Script().line("a > b SYN <mss 1460>", 0).line("b > a RST,ACK win=0", 0.02)


def syn(times: int, gap: float = 1.0) -> Script:
    script = Script().line("a > b SYN <mss 1460> seq=1000", 0)
    for n in range(times - 1):
        script.line("a > b SYN <mss 1460> seq=1000", gap * 2**n)
    return script


def answers_lost() -> Script:
    """As the server sees it: SYN and SYN,ACK, again and again."""
    script = Script()
    for n in range(4):
        script.line("a > b SYN <mss 1460> seq=1000", 0.5 * 2**n if n else 0)
        script.line("b > a SYN,ACK <mss 1460> seq=5000 ack=1001", 0.0002)
    return script


def icmp(code: int) -> Script:
    return syn(1).line(f"c > a icmp type=3 code={code} quote=1", 0.01)


def late_icmp() -> Script:
    script = healthy()
    return script.line("c > a icmp type=3 code=1 quote=1", 0.01)


def connected_late() -> Script:
    """The SYN is repeated once and then answered; the exchange is healthy."""
    script = syn(2)
    script.line("b > a SYN,ACK <mss 1460, sackOK>", 0.02).line("a > b ACK")
    return script.play(flights()).close()


def accept_queue() -> Script:
    script = Script().connect().send(0, hello(), ack=False)
    for _ in range(3):
        script.line("b > a SYN,ACK <mss 1460, sackOK, wscale 7> seq=5000 ack=1001", 1).line("a > b ACK")
    return script


def one_more_synack() -> Script:
    script = Script().connect()
    script.line("b > a SYN,ACK <mss 1460, sackOK, wscale 7> seq=5000", 1).line("a > b ACK")
    return script.play(flights()).close()


def proxy(*answers: str) -> Script:
    script = Script(port=3128).connect()
    for answer in answers:
        script.send(0, b"CONNECT www.lab.example:443 HTTP/1.1\r\nHost: www.lab.example:443\r\n\r\n")
        script.send(1, f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())
    return script


def banner(text: bytes) -> Script:
    return Script().connect().send(0, hello()).send(1, text).close(1)


def plain_http(port: int, answer: bytes) -> Script:
    script = Script(port=port).connect().send(0, REQUEST)
    if answer:
        script.send(1, answer)
    return script.close(1)


def late_fin(script: Script, wait: float = 4.0) -> Script:
    """A server that never got the ClientHello closes by its own time limit."""
    return script.line("b > a FIN,ACK ack=1001", wait)


def given_up() -> Script:
    """The server closes on the ClientHello; the client's alert about that comes too late."""
    script = Script().connect().send(0, hello()).line("b > a FIN,ACK")
    return script.send(0, bytes([0x15, 3, 1, 0, 2, 2, 50]), ack=False).line("a > b FIN,ACK").line("b > a RST", 0.02)


def queue_full() -> list[Script]:
    """The kernel took one connection for a program that never accepts, and drops what comes on two others."""
    return [unanswered_hello(), *(hello_ignored(port) for port in (40002, 40003))]


def hello_ignored(port: int) -> Script:
    script = hello_repeated(hello())
    script.client_port = port
    return script


def all_ignored() -> list[Script]:
    """Every ClientHello of three connections vanishes: nothing says that the server is the reason."""
    return [hello_ignored(port) for port in (40001, 40002, 40003)]


def rude(kind: str) -> Make:
    """As Node: handshake, then FIN without close_notify and without a request."""

    def make() -> Script:
        talk = flights(kind, version="1.2", verify=False, request=b"", response=b"", close="none")
        return Script().connect().play(talk).line("a > b FIN,ACK", 0.001).line("b > a FIN,ACK", 0.02).line("a > b ACK")

    return make


def request_missed() -> Script:
    """A client that does not verify; the capture lacks everything it sent after its ClientHello."""
    talk = flights("self", version="1.2", verify=False)
    script = Script().connect().play(talk, 0, 2)
    lost = sum(len(data) for side, data in talk.chunks[2:] if side == 0)
    return script.line(f"a > b FIN,ACK seq={1001 + len(talk[0][1]) + lost}", 0.1)


def hesitant(wait: float) -> Make:
    """TLS 1.2: the server shows a certificate for another name; the client thinks and leaves, as Java does."""
    return lambda: Script().connect().play(flights("name", version="1.2"), 0, 2).pause(wait).close()


def slow_reader() -> Script:
    """TLS 1.2: the server's flight is whole; the client thinks for long and leaves."""
    return Script().connect().play(flights(version="1.2"), 0, 2).pause(2).close()


def plain_race() -> Script:
    """A short request in clear crosses the server's FIN."""
    ask = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n"
    script = Script(rtt=0.2, port=80).connect().send(0, ask).send(1, OK).pause(2)
    script.line(f"a > b PSH,ACK hex={ask.hex()}").line(f"b > a FIN,ACK ack=-{len(ask)}", 0.1)
    return script.line("b > a RST win=0", 0.1)


def in_two_parts(wait: float) -> Script:
    """A path of 60 ms; the server's flight of more than ten segments stops after them for ``wait`` seconds."""
    talk = flights()
    script = Script(rtt=0.06, mss=100).connect().play(talk, 0, 1)
    data, window = talk[1][1], 1000
    for at in range(0, len(data), 100):
        script.line(f"b > a PSH,ACK hex={data[at : at + 100].hex()}", wait if at == window else 0.0001)
    return script.line("a > b ACK").play(talk, 2).close()


def holes_filled() -> Script:
    """As the receiver sees it: every fourth of 80 segments comes a round trip late."""
    script = Script(rtt=0.05, port=80).connect().send(0, REQUEST)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 80000\r\n\r\n"
    script.line(f"b > a PSH,ACK hex={head.hex()}")
    first = 5001 + len(head)
    for block in range(0, 80, 4):
        for n in range(block + 1, block + 4):
            script.line(f"b > a ACK len=1000 seq={first + n * 1000}", 0.0005)
            script.line(f"a > b ACK ack={first + block * 1000}")
        script.line(f"b > a ACK len=1000 seq={first + block * 1000}", 0.051)
        script.line(f"a > b ACK ack={first + block * 1000 + 4000}")
    return script.close(1)


def unread() -> Script:
    """The server's window is shut for four seconds, then the server resets."""
    script = zero_window(4, False)()
    assert isinstance(script, Script)
    script.lines.pop()
    return script.line("b > a RST,ACK win=0", 0.5)


def h2_closed(*frames: bytes, closer: int) -> Make:
    """HTTP/2 in clear: a request, some frames, and the close of a side."""

    def make() -> Script:
        script = h2(*frames, answered=False)()
        assert isinstance(script, Script)
        del script.lines[-3:]
        return script.close(closer)

    return make


def hello_repeated(data: bytes, times: int = 4) -> Script:
    script = Script().connect()
    for n in range(times):
        for at in range(0, len(data), script.mss):
            part = data[at : at + script.mss]
            script.line(f"a > b PSH,ACK hex={part.hex()} seq={1001 + at}", 0.0001 if at or not n else 0.3 * 2**n)
    return script


def large_hello_dropped() -> Script:
    script = Script().connect()
    data = big_hello()
    first, rest = data[: script.mss], data[script.mss :]
    script.line(f"a > b ACK hex={first.hex()}")
    script.line(f"a > b PSH,ACK hex={rest.hex()}")
    script.line(f"b > a ACK ack=1001 <sack {1001 + len(first)}-{1001 + len(data)}>", script.rtt)
    for n in range(4):
        script.line(f"a > b ACK hex={first.hex()} seq=1001", 0.3 * 2**n)
    return script


def large_hello_passes() -> Script:
    script = Script().connect().send(0, big_hello())
    return script.play(flights(), 1).close()


def large_hello_refused() -> Script:
    script = Script().connect()
    data = big_hello()
    script.line(f"a > b ACK hex={data[: script.mss].hex()}")
    script.line(f"a > b PSH,ACK hex={data[script.mss :].hex()}")
    script.line(f"b > a FIN,ACK ack={1001 + script.mss}", script.rtt)
    return script.line("a > b ACK").line("a > b FIN,ACK", 0.01)


def black_hole(filled: bool = False) -> Script:
    """The server's flight loses its full packets; the small one at its end arrives."""
    talk = flights()
    script = Script(mss=1000).connect().send(0, talk[0][1])
    data = talk[1][1]
    data += talk[1][1][: 2300 - len(data)] if len(data) < 2300 else b""
    whole = len(data) // 1000 * 1000
    script.line(f"b > a PSH,ACK hex={data[whole:].hex()} seq={5001 + whole}", 0.02)
    script.line(f"a > b ACK ack=5001 <sack {5001 + whole}-{5001 + len(data)}>")
    if filled:
        for at in range(0, whole, 1000):
            script.line(f"b > a ACK hex={data[at : at + 1000].hex()} seq={5001 + at}", 0.2)
        return script.line("a > b ACK").play(talk, 2).close()
    return script.line("a > b FIN,ACK ack=5001", 4)


def lossy() -> Script:
    """A packet is lost and sent again."""
    talk = flights()
    script = Script().connect().play(talk, 0, talk.handshake)
    side, data = talk.chunks[talk.handshake]
    script.line(f"a > b PSH,ACK hex={data.hex()}")
    script.line(f"a > b PSH,ACK hex={data.hex()} seq=-{len(data)}", 0.25).line("b > a ACK", script.rtt)
    return script.play(talk, talk.handshake + 1).close(side)


def turned_down(kind: str, version: str = "1.2", **more: object) -> Make:
    """The client rejects the server's certificate ``kind``."""

    def make() -> Script:
        return Script().connect().play(flights(kind, version=version, **more)).close()

    return make


def accepted(kind: str, version: str = "1.2", **more: object) -> Make:
    """The client does not verify and goes on."""

    def make() -> Script:
        talk = flights(kind, version=version, verify=False, **more)
        return Script().connect().play(talk).close()

    return make


def left_for_name(shown: str, name: str | None = NAME) -> Make:
    """As curl: handshake, then good-bye without a request."""

    def make() -> Script:
        talk = flights(shown, version="1.2", verify=False, name=name, request=b"", response=b"")
        return Script().connect().play(talk).close()

    return make


def probe13() -> Script:
    """TLS 1.3: handshake, good-bye, nothing else."""
    return Script().connect().play(flights(verify=False, request=b"", response=b"")).close()


def handshake_only(**more: object) -> Make:
    """A handshake that fails with an alert, as OpenSSL does it."""

    def make() -> Script:
        return Script().connect().play(flights(**more)).close(1)

    return make


def hung_up(**more: object) -> Make:
    """The same, and in place of the alert the server hangs up."""

    def make() -> Script:
        return Script().connect().play(flights(**more), 0, 3).close(1)

    return make


def closed_at_once() -> Script:
    """A server that closes before the ClientHello comes."""
    script = Script().connect().line("b > a FIN,ACK", 0.001)
    return script.line(f"a > b PSH,ACK hex={hello().hex()}", 0.001).line("b > a RST", 0.02)


def alert(side: int, description: int, after: int = 1, level: int = 2) -> Make:
    """The first flights, then an alert in clear."""

    def make() -> Script:
        talk = flights(version="1.2")
        script = Script().connect().play(talk, 0, after)
        return script.send(side, bytes([0x15, 3, 3, 0, 2, level, description])).close(side)

    return make


def legacy(word: int = 40) -> Script:
    """A server without secure renegotiation, and a client that refuses it, by an alert or (0) without a word."""
    talk = flights(version="1.2")
    old = talk[1][1].replace(bytes.fromhex("ff01000100"), bytes.fromhex("fffe000100"), 1)
    script = Script().connect().play(talk, 0, 1).send(1, old)
    return (script.send(0, bytes([0x15, 3, 3, 0, 2, 2, word])) if word else script).close()


def warned() -> Script:
    """unrecognized_name as a warning, and the handshake goes on."""
    talk = flights(version="1.2")
    script = Script().connect().play(talk, 0, 1).send(1, bytes([0x15, 3, 3, 0, 2, 1, 112]))
    return script.play(talk, 1).close()


def alert_to_nobody() -> Script:
    """The client closes without close_notify; the server complains with an alert afterwards."""
    talk = flights(version="1.2", close="none")
    script = Script().connect().play(talk).line("a > b FIN,ACK")
    return script.send(1, bytes([0x15, 3, 3, 0, 2, 2, 50]), ack=False).line("a > b RST", 0.01)


def silent_rejection() -> Script:
    """TLS 1.3: the server's flight arrives, the client closes without Finished."""
    return Script().connect().play(flights(), 0, 2).close()


def reset_hello(extra: str = "", wait: float | None = None) -> Make:
    """An RST in place of a ServerHello."""
    return lambda: Script().connect(server_ttl=57).send(0, hello(), ack=False).reset(1, extra, wait)


def forged() -> Script:
    script = reset_hello(extra="ttl=128", wait=0.001)()
    assert isinstance(script, Script)
    return script.line(f"b > a PSH,ACK hex={flights()[1][1][:1400].hex()} ttl=57", 0.02)


def closed_hello() -> Script:
    return Script().connect().send(0, hello()).close(1)


def unanswered_hello(wait: float = 4.0) -> Script:
    return Script().connect().send(0, hello()).pause(wait).close()


def slow_hello() -> Script:
    talk = flights()
    return Script().connect().play(talk, 0, 1).pause(3).play(talk, 1).close()


def exchange(version: str = "1.3", *, upto: float = 1.0, close: str = "client") -> tuple[Script, bytes]:
    """A conversation up to the request, and the response's records."""
    talk = flights(version=version, close=close)
    script = Script().connect().play(talk, 0, talk.handshake + 1)
    rest = b"".join(data for side, data in talk.chunks[talk.handshake + 1 :] if side == 1)
    return script, rest[: int(len(rest) * upto)]


def reset_mid_response() -> Script:
    script, data = exchange(upto=0.5)
    return script.send(1, data).reset(1)


def reset_after_all() -> Script:
    """The server resets after close_notify of both."""
    talk = flights(close="both")
    return Script().connect().play(talk).line("a > b FIN,ACK").reset(1)


def reset_by_client() -> Script:
    """The client has all it wants and resets."""
    return Script().connect().play(flights()).reset(0)


def race() -> Script:
    talk = flights(close="none")
    script = Script(rtt=0.2).connect().play(talk).pause(5)
    script.line("b > a FIN,ACK")
    script.line(f"a > b PSH,ACK hex={talk.chunks[talk.handshake][1].hex()} ack=-1", 0.05)
    return script.line("b > a RST win=0", 0.1)


def idle_close() -> Script:
    """The server closes an idle connection, and so does the client."""
    return Script().connect().play(flights(close="none")).pause(60).close(1)


def forgotten(answered: bool = False) -> Script:
    talk = flights(close="none")
    script = Script().connect().play(talk).pause(120)
    data = talk.chunks[talk.handshake][1]
    script.line(f"a > b PSH,ACK hex={data.hex()}")
    for n in range(4):
        script.line(f"a > b PSH,ACK hex={data.hex()} seq=-{len(data)}", 0.3 * 2**n)
    if answered:
        script.line("b > a ACK", 0.02).send(1, b"x" * 300).close()
    return script


def zero_window(shut: float, reopened: bool) -> Make:
    def make() -> Script:
        talk = flights(close="none")
        script = Script().connect().play(talk).line("a > b PSH,ACK len=1000").line("b > a ACK win=0", 0.02)
        steps = max(int(shut), 1)
        for _ in range(steps):
            script.line("a > b ACK len=1", shut / steps).line("b > a ACK win=0 ack=-1", 0.02)
        if reopened:
            script.line("b > a ACK win=64240", 0.1).line("a > b PSH,ACK len=1000").line("b > a ACK", 0.02)
            return script.close()
        return script.line("a > b FIN,ACK", 0.5)

    return make


def plain(response: bytes, *, wait: float = 0.0, closer: int = 1, port: int = 80) -> Make:
    """HTTP in clear: one request, one answer (or none), closed by a side."""

    def make() -> Script:
        script = Script(port=port).connect().send(0, REQUEST).pause(wait)
        if response:
            script.send(1, response)
        return script.close(closer)

    return make


def h2(*frames: bytes, answered: bool = True) -> Make:
    """HTTP/2 in clear with prior knowledge: one GET, and frames of the server."""

    def make() -> Script:
        request = frame(1, 5, 1, bytes([0x82, 0x86, 0x84, 0x41, 3]) + b"lab")
        script = Script(port=80).connect()
        script.send(0, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + request)
        script.send(1, frame(4, 0, 0))
        if answered:
            script.send(1, frame(1, 5, 1, b"\x88"))
        for data in frames:
            script.send(1, data)
        return script.close()

    return make


def old_answer() -> Script:
    """HTTP/2 with prior knowledge, answered in HTTP/1."""
    begin = (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + frame(4, 0, 0)
        + frame(1, 5, 1, bytes([0x82, 0x86, 0x84, 0x41, 3]) + b"lab")
    )
    return Script(port=80).connect().send(0, begin).send(1, OK).close(1)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """An HTTP/2 frame (RFC 9113 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


#: A response of HTTP/2 that is begun and not ended.
HALF = (frame(1, 4, 1, b"\x88"), frame(0, 0, 1, b"half"))

TWO_LENGTHS = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Length: 7\r\n\r\nhello\n"


def goaway(code: int, last: int = 1) -> bytes:
    return frame(7, 0, 0, last.to_bytes(4, "big") + code.to_bytes(4, "big"))


def retry() -> Script:
    """A HelloRetryRequest in place of the ServerHello; then as it was."""
    talk = flights()
    random = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
    session = talk[0][1][44 : 44 + talk[0][1][43]]
    extensions = bytes.fromhex("002b00020304") + bytes.fromhex("003300020019")
    body = b"\x03\x03" + random + bytes([len(session)]) + session + b"\x13\x02\x00"
    body += len(extensions).to_bytes(2, "big") + extensions
    message = b"\x02" + len(body).to_bytes(3, "big") + body
    script = Script().connect().play(talk, 0, 1)
    return script.send(1, b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message).play(talk, 0, 1)


ENDLESS = b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 300


def unclean() -> Script:
    """A body without length, then FIN of the server without close_notify."""
    return Script().connect().play(flights(response=ENDLESS, close="none")).close(1)


def unclean12() -> Script:
    return Script().connect().play(flights(version="1.2", response=ENDLESS, close="none")).close(1)


def idle_left() -> Script:
    """The client closes first."""
    return Script().connect().play(flights(close="none")).close(0)


def clean() -> Script:
    """The same with close_notify."""
    return Script().connect().play(flights(response=ENDLESS, close="server")).close(1)


def stalled() -> Script:
    """The same request is sent four times before it is acknowledged."""
    talk = flights()
    script = Script().connect().play(talk, 0, talk.handshake)
    data = talk.chunks[talk.handshake][1]
    script.line(f"a > b PSH,ACK hex={data.hex()}")
    for n in range(3):
        script.line(f"a > b PSH,ACK hex={data.hex()} seq=-{len(data)}", 0.3 * 2**n)
    return script.line("b > a ACK", script.rtt).play(talk, talk.handshake + 1).close()


def nagle() -> Script:
    """Header, 43 ms until its acknowledgment, and then the body at once."""
    script = Script(rtt=0.0002, port=80).connect().send(0, REQUEST)
    script.line('b > a PSH,ACK data="HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\n"', 0.0005)
    return script.line("a > b ACK", 0.043).line("b > a PSH,ACK data=hello", 0.0002).line("a > b ACK").close()


def thinking() -> Script:
    """As before, but the acknowledgment came at once and the server took its time."""
    script = Script(rtt=0.0002, port=80).connect().send(0, REQUEST)
    script.line('b > a PSH,ACK data="HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\n"', 0.0005)
    return script.line("a > b ACK", 0.0002).line("b > a PSH,ACK data=hello", 0.043).line("a > b ACK").close()


def scaling(octets: int) -> Script:
    """The server's SYN,ACK has no window scale option."""
    script = Script(port=80).line("a > b SYN <mss 1460, sackOK, wscale 7>", 0)
    script.line("b > a SYN,ACK <mss 1460, sackOK>", script.rtt).line("a > b ACK").send(0, REQUEST)
    body = f"HTTP/1.1 200 OK\r\nContent-Length: {octets}\r\n\r\n".encode() + b"x" * octets
    return script.send(1, body).close()


def far(rtt: float, version: str) -> Script:
    """A healthy exchange on a path with this round trip."""
    return Script(rtt=rtt).connect().play(flights(version=version)).close()


def halted(wait: float, *, answered: bool = False, head: str = "Content-Length: 5000", shut: bool = False) -> Script:
    """A part of an answer, silence, and a client that gives up; ``answered``: the server acknowledges its FIN."""
    script = Script(port=80).connect().send(0, REQUEST)
    script.send(1, f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + b"x" * 2000)
    if shut:
        script.line("a > b ACK win=0")
    script.line("a > b FIN,ACK", wait)
    return script.line("b > a ACK", 0.02) if answered else script.line("a > b FIN,ACK", 0.3)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
NO_SUCH_CIPHER = {"version": "1.2", "client_ciphers": "ECDHE-RSA-AES128-GCM-SHA256"}

SCENARIOS: dict[str, Scenario] = {
    "TCP101": Scenario(refused, (healthy, reset_hello(), lambda: syn(3))),
    "TCP105": Scenario(lambda: icmp(13), (late_icmp, refused)),
    "TCP103": Scenario(
        accept_queue, (one_more_synack, lambda: hello_repeated(hello()), all_ignored), also=(queue_full,)
    ),
    "TCP102": Scenario(
        lambda: syn(3), (connected_late, lambda: icmp(1), refused, one_more_synack), also=(answers_lost,)
    ),
    "PRX101": Scenario(
        lambda: proxy("403 Forbidden"),
        (lambda: proxy("407 Proxy Authentication Required", "200 OK"), lambda: proxy("200 Connection established")),
    ),
    "TLS101": Scenario(lambda: banner(b"SSH-2.0-OpenSSH_9.2\r\n"), (healthy, closed_hello, alert(1, 40))),
    "TLS102": Scenario(
        lambda: plain_http(443, b"\x15\x03\x01\x00\x02\x02\x0a"),
        (
            lambda: plain_http(443, OK),
            lambda: plain_http(80, OK),
            healthy,
        ),
    ),
    "TCP302": Scenario(
        large_hello_dropped,
        (large_hello_passes, lambda: hello_repeated(hello()), healthy),
        also=(lambda: late_fin(large_hello_dropped()),),
    ),
    "TCP301": Scenario(black_hole, (lambda: black_hole(filled=True), lossy)),
    "TLS113": Scenario(
        lambda: hello_repeated(hello()),
        (lossy, unanswered_hello, lambda: hello_repeated(hello(), 1), closed_hello),
        also=(lambda: late_fin(hello_repeated(hello())),),
    ),
    "CRT201": Scenario(turned_down("expired"), (healthy12, turned_down("self"), turned_down("future"))),
    "CRT202": Scenario(turned_down("future"), (healthy12, turned_down("expired"))),
    "CRT101": Scenario(
        turned_down("lonely"), (accepted("lonely"), turned_down("self"), healthy12), also=(rude("lonely"),)
    ),
    "CRT102": Scenario(
        turned_down("self"),
        (accepted("self"), turned_down("lonely"), healthy12, left_for_name("self"), rude("good"), request_missed),
        also=(rude("self"),),
    ),
    "CRT401": Scenario(turned_down("usage"), (accepted("usage"), turned_down("expired"))),
    "CRT301": Scenario(
        left_for_name("name"),
        (left_for_name("good"), healthy12, turned_down("expired"), hesitant(5)),
        also=(hesitant(2),),
    ),
    "TLS301": Scenario(
        handshake_only(version="1.2", demand=True),
        (handshake_only(version="1.2", demand=True, mine=True), alert(1, 40), handshake_only(demand=True, mine=True)),
        also=(hung_up(version="1.2", demand=True),),
    ),
    "TLS302": Scenario(
        handshake_only(version="1.2", demand=True, mine=False),
        (handshake_only(version="1.2", demand=True, mine=True), handshake_only(version="1.2", demand=True)),
        also=(hung_up(version="1.2", demand=True, mine=False),),
    ),
    "TLS201": Scenario(
        handshake_only(version="1.3", client_versions="1.2"),
        (healthy12, alert(1, 40), handshake_only(**NO_SUCH_CIPHER)),
    ),
    "TLS203": Scenario(handshake_only(version="1.2", only_name="other.example"), (warned, healthy12)),
    "TLS206": Scenario(alert(1, 120), (healthy12, alert(1, 40))),
    "TLS205": Scenario(legacy, (alert(1, 40), healthy12), also=(lambda: legacy(0),)),
    "TLS202": Scenario(handshake_only(**NO_SUCH_CIPHER), (handshake_only(version="1.2", demand=True), healthy12)),
    "TLS501": Scenario(alert(1, 20, 3), (alert(1, 40), healthy12)),
    "TLS210": Scenario(alert(1, 80), (healthy, alert(0, 90, 2, 1), alert_to_nobody)),
    "TLS211": Scenario(silent_rejection, (healthy, probe13, unanswered_hello)),
    "TLS204": Scenario(
        large_hello_refused, (large_hello_passes, closed_hello, lambda: late_fin(large_hello_dropped()))
    ),
    "TLS110": Scenario(forged, (healthy, reset_after_all, reset_by_client, closed_hello)),
    "TLS111": Scenario(
        closed_hello,
        (healthy, alert(1, 40), unanswered_hello, lambda: late_fin(hello_repeated(hello()))),
        also=(given_up, closed_at_once),
    ),
    "TLS112": Scenario(
        unanswered_hello,
        (slow_hello, lambda: hello_repeated(hello()), lambda: unanswered_hello(0.2), slow_reader),
    ),
    "CRT302": Scenario(probe13, (healthy, left_for_name("good")), note=True),
    "HTP101": Scenario(race, (idle_close, healthy), also=(plain_race,)),
    "TCP401": Scenario(forgotten, (lambda: forgotten(answered=True), idle_close, lossy)),
    "TCP220": Scenario(zero_window(4, False), (zero_window(0.3, True), healthy), also=(unread,)),
    "TCP501": Scenario(reset_mid_response, (reset_after_all, reset_by_client, idle_close)),
    "HTP103": Scenario(plain(b""), (plain(OK), plain(b"", closer=0), h2_closed(closer=0)), also=(h2_closed(closer=1),)),
    "HTP201": Scenario(
        plain(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nshort"),
        (
            plain(OK),
            plain(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"),
            plain(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"),
            h2_closed(*HALF, closer=0),
        ),
        also=(h2_closed(*HALF, closer=1),),
    ),
    "HTP202": Scenario(
        plain(CHUNKED + b"5\r\nhello\r\nzz\r\nno number\r\n"),
        (plain(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"), plain(OK), plain(CHUNKED + b"5\r\nhello\r\n")),
        also=(plain(frame(4, 0, 0)), plain(TWO_LENGTHS), old_answer),
    ),
    "HTP104": Scenario(
        lambda: halted(4),
        (
            lambda: halted(0.5),
            lambda: halted(4, head="Transfer-Encoding: chunked\r\n\r\nfff"),
            lambda: halted(4, head="Content-Length: 2000"),
            lambda: halted(4, shut=True),
            plain(OK, wait=3),
        ),
        also=(lambda: halted(4, answered=True),),
    ),
    "HTP301": Scenario(
        h2(frame(3, 0, 1, (2).to_bytes(4, "big")), answered=False),
        (h2(goaway(0)), h2(), plain(OK)),
        also=(h2(*HALF, frame(3, 0, 1, (8).to_bytes(4, "big")), answered=False),),
    ),
    "HTP102": Scenario(plain(OK, wait=3), (plain(OK, wait=0.3), plain(OK), idle_close), note=True),
    "TLS401": Scenario(
        unclean, (clean, healthy, lambda: plain(OK)(), idle_left), keys=True, note=True, blind=(unclean, unclean12)
    ),
    "TCP201": Scenario(stalled, (lossy, healthy), note=True, also=(holes_filled,)),
    "TCP210": Scenario(nagle, (thinking, healthy), note=True),
    "TCP230": Scenario(lambda: scaling(400_000), (lambda: scaling(1000), healthy), note=True),
    "SLO202": Scenario(lambda: far(0.06, "1.2"), (lambda: far(0.06, "1.3"), lambda: far(0.02, "1.2")), note=True),
    "SLO101": Scenario(connected_late, (healthy, lossy), note=True),
    "SLO203": Scenario(
        lambda: in_two_parts(0.07), (lambda: in_two_parts(0), lambda: far(0.06, "1.3"), healthy), note=True
    ),
    "SLO201": Scenario(retry, (healthy, healthy12), note=True),
}

#: Connections with nothing of warning or above, with and without secrets.
HEALTHY: dict[str, Make] = {
    "TLS 1.3": healthy,
    "TLS 1.2": healthy12,
    "lossy": lossy,
    "reset after all": reset_after_all,
    "reset by the client after all": reset_by_client,
    "server closes idle": idle_close,
    "slow server": slow_hello,
    "warning alert": warned,
    "alert to nobody": alert_to_nobody,
    "late ICMP": late_icmp,
    "SYN repeated": connected_late,
    "SYN,ACK repeated": one_more_synack,
    "large ClientHello": large_hello_passes,
    "probe": probe13,
    "probe 1.2": left_for_name("good"),
    "address instead of name": left_for_name("good", None),
    "self-signed, accepted": accepted("self"),
    "expired, accepted": accepted("expired"),
    "name, accepted": accepted("name"),
    "client certificate": handshake_only(demand=True, mine=True),
    "407 first": lambda: proxy("407 Proxy Authentication Required", "200 OK"),
    "window opened again": zero_window(0.3, True),
    "plain": plain(OK),
    "until the end": plain(b"HTTP/1.1 200 OK\r\n\r\n" + RESPONSE),
    "client leaves": plain(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nshort", closer=0),
    "h2 goodbye": h2(goaway(0)),
    "one SYN": lambda: syn(1),
}
