"""What RFC 9293 asks of any TCP, rule by rule; ``test_requirements`` says which is which."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from synfin.errors import UsageError
from synfin.tcp import Config, Host, Icmp, Packet, Socket, parse
from synfin.tcp.config import KEEPALIVE, MILLISECOND, MINUTE, SECOND
from tests.tcp.dialogue import HERE, PEER_PORT, PLAIN, PORT, THERE, Dialogue, in_state
from tests.tcp.test_sending import MSS, at, opened

# ---------------------------------------------------------------- headers and options


def test_a_window_with_its_top_bit_set_is_large() -> None:
    d = opened(replace(PLAIN, initial_window=64), window=0xFFFF)
    assert d.connection is not None
    d.connection.congestion.cwnd = 100 * MSS
    assert len(d.send(bytes(100 * MSS))) == 0xFFFF // MSS


#: Options of a SYN -> MSS for sending, window scale, SACK, timestamps.
SYN_OPTIONS = {
    "": (536, None, False, False),
    "020405b4": (1460, None, False, False),
    "01020405b4 000000": (1460, None, False, False),  # NOP first: not on a word
    "010101020405b400": (1460, None, False, False),
    "00 020405b4 000000": (536, None, False, False),  # nothing counts behind the end
    "020405b4 02040200": (1460, None, False, False),  # the first of two
    "02040000": (536, None, False, False),  # zero is none
    "02040001": (48, None, False, False),  # no lower than this
    "0204ffff": (1460, None, False, False),  # the path is smaller
    "020305b4": (536, None, False, False),  # wrong length
    "02000000": (536, None, False, False),  # length of zero
    "02010000": (536, None, False, False),
    "02ff05b4": (536, None, False, False),  # beyond the header
    "0204": (536, None, False, False),
    "02": (536, None, False, False),
    "03030e00": (536, 14, False, False),
    "0303ff00": (536, 14, False, False),  # RFC 7323 2.3
    "03030000": (536, 0, False, False),
    "03020000": (536, None, False, False),
    "04020000": (536, None, True, False),
    "0403000": (536, None, False, False),
    "080a0000000100000000 0000": (524, None, False, True),
    "0809000000010000000000": (536, None, False, False),
    "fd04abcd 020405b4": (1460, None, False, False),  # unknown
    "fd00abcd 020405b4": (536, None, False, False),  # unknown and broken: nothing counts behind it
    "1e0c000000000000000000 00 020405b4": (1460, None, False, False),  # MPTCP
    "2202 020405b4 0000": (1460, None, False, False),  # Fast Open
    "131200000000000000000000000000000000 020405b4 0000": (1460, None, False, False),  # MD5
    "020405b4 0402 080a0000000100000000 01030307": (1448, 7, True, True),
    "01" * 40: (536, None, False, False),
    "ff" * 40: (536, None, False, False),
}


@pytest.mark.parametrize("raw", SYN_OPTIONS, ids=[f"{number}" for number in range(len(SYN_OPTIONS))])
def test_options_of_a_syn(raw: str) -> None:
    mss, scale, sack, stamps = SYN_OPTIONS[raw]
    text = raw.replace(" ", "")
    octets = bytes.fromhex(text + "0" * (len(text) & 1))
    d = Dialogue(Config(delayed_ack=0)).listen()
    assert d.hear("SYN", 0, options=octets) == ["SYN,ACK 0 1"]
    c = d.connection
    assert c is not None
    assert (c.mss, c.snd_wscale if c.wscale_on else None, c.sack_on, c.ts_on) == (mss, scale, sack, stamps)
    kinds = set()
    answer = d.packets[0].options
    at_ = 0
    while at_ < len(answer):
        kinds.add(answer[at_])
        at_ += answer[at_ + 1] if answer[at_] > 1 else 1
    assert kinds - {1} == {2} | ({3} if scale is not None else set()) | ({4} if sack else set()) | (
        {8} if stamps else set()
    )


def test_options_in_any_segment() -> None:
    for raw in ("01010101", "fd04abcd", "020405b4", "03030700", "04020000", "00000000", "05000000", "fdff0000"):
        d = Dialogue().established()
        assert d.hear("ACK", 1, 1, size=10, options=bytes.fromhex(raw)) == ["ACK 1 11"]
        assert d.hear("FIN,ACK", 11, 1, options=bytes.fromhex(raw)) == ["ACK 1 12"]
        assert d.connection is not None
        assert (d.connection.mss, d.connection.snd_wscale, d.connection.sack_on) == (536, 0, False)


def test_no_mss_option() -> None:
    assert Dialogue().established().connection.mss == 536  # type: ignore[union-attr]
    host = Host([bytes(15) + b"\1"], b"0123456789abcdef", PLAIN)
    host.listen(PORT)
    host.receive(Packet(bytes(15) + b"\2", bytes(15) + b"\1", 5, PORT, 9, 0, 2, 65535), 0)
    (connection,) = host.connections.values()
    assert connection.mss == 1220


@pytest.mark.parametrize(
    ("mtu", "peer", "stamps", "size"),
    [(1500, 1460, False, 1460), (1500, 1460, True, 1448), (1500, 700, False, 700), (1000, 1460, False, 960)],
)
def test_the_smallest_of_all_limits_counts(mtu: int, peer: int, stamps: bool, size: int) -> None:
    d = Dialogue(replace(PLAIN, mtu=mtu, timestamps=stamps))
    raw = bytes((2, 4)) + peer.to_bytes(2, "big") + (bytes.fromhex("0101080a0000000100000000") if stamps else b"")
    d.established(active=False, options=raw)
    assert d.send(bytes(3000))[0].endswith(f"len={size}")


def test_mss_only_beside_a_syn() -> None:
    d = opened()
    d.send(b"x")
    d.hear("ACK", 1, 2, size=5)
    d.shutdown()
    assert all(not packet.options for packet in d.packets)


@pytest.mark.parametrize(("mtu", "mss"), [(1500, 1460), (9000, 8960), (576, 536)])
def test_the_mss_is_of_the_interface(mtu: int, mss: int) -> None:
    d = Dialogue(replace(PLAIN, mtu=mtu)).connect()
    assert d.packets[0].options == bytes((2, 4)) + mss.to_bytes(2, "big")
    d = Dialogue(replace(PLAIN, mtu=mtu)).listen()
    d.hear("SYN", 0, options=bytes.fromhex("02040200"))
    assert d.packets[0].options == bytes((2, 4)) + mss.to_bytes(2, "big")


def test_padding_is_zero() -> None:
    data = Packet(HERE, THERE, 1, 2, 3, 4, 16, 5, b"\1").write()
    assert data[40:] == b"\1\0\0\0"


def test_fields_of_the_ip_header() -> None:
    d = opened(replace(PLAIN, ttl=7, dscp=46))
    d.send(b"x")
    data = d.packets[0].write()
    assert (data[1], data[8]) == (46 << 2, 7)
    assert Packet.read(data).dscp == 46
    assert d.connection is not None
    d.connection.config = replace(d.connection.config, dscp=0)
    d.wait(2)
    d.send(b"y")
    six = Packet(bytes(16), bytes(16), 1, 2, 3, 4, 16, 5, dscp=46, ecn=1)
    assert Packet.read(six.write()) == six._replace(payload=memoryview(b""))


def test_ip_options_are_passed_over() -> None:
    d = Dialogue().established()
    data = d.packet("ACK", 1, 1, payload=b"hello").write()
    head = bytearray(data[:20]) + bytes.fromhex("94040000 0102 03 00")
    head[0] = 0x47
    head[2:4] = (len(data) + 8).to_bytes(2, "big")
    head[10:12] = b"\0\0"
    total = sum(int.from_bytes(head[n : n + 2], "big") for n in range(0, len(head), 2))
    total = (total & 0xFFFF) + (total >> 16)
    head[10:12] = (~total & 0xFFFF).to_bytes(2, "big")
    d.host.receive(bytes(head) + data[20:], d.now)
    assert d.said() == ["ACK 1 6"]


# ---------------------------------------------------------------- opening


def test_a_reset_is_told() -> None:
    d = Dialogue().established()
    d.events()
    d.hear("RST", 1)
    assert d.events() == ["reset"]


def test_a_syn_is_tried_for_three_minutes() -> None:
    d = Dialogue().connect()
    d.wait(179)
    assert d.state == "SYN_SENT"
    d.wait(2)
    assert d.state == "CLOSED"


def test_r1_tells_and_r2_closes() -> None:
    d = opened()
    assert d.connection is not None
    assert d.connection.config.r1 == 3
    assert d.connection.user_timeout >= 100 * SECOND
    d.send(b"x")
    d.events()
    said = d.wait(3.5)
    assert (len(said), d.events()) == (2, [])
    assert d.wait(4) == ["ACK 1 1 len=1"]
    assert d.events() == ["soft error"]
    d.wait(300)
    assert d.events() == ["timed out"]


def test_listeners_do_not_disturb() -> None:
    host = Host(["10.0.0.1", "10.0.0.3"], b"0123456789abcdef", PLAIN)
    one, two, rest = host.listen(PORT, "10.0.0.1"), host.listen(PORT, "10.0.0.3"), host.listen(PORT)
    syn = Packet(THERE, HERE, 7, PORT, 5, 0, 2, 1000)
    host.receive(syn, 0)
    host.receive(syn._replace(dst=bytes((10, 0, 0, 3))), 0)
    assert (len(one.half_open), len(two.half_open), len(rest.half_open)) == (1, 1, 0)
    before = list(host.connections.values())
    host.listen(PORT + 1)
    assert list(host.connections.values()) == before
    with pytest.raises(UsageError):
        host.listen(PORT, "10.0.0.3")


def test_local_addresses() -> None:
    host = Host(["10.0.0.1", "10.0.0.3", "::1"], b"0123456789abcdef", PLAIN)
    chosen = host.connect("10.0.0.9", 80, 0, local="10.0.0.3")
    other = host.connect("10.0.0.9", 80, 0)
    six = host.connect("2001:db8::9", 80, 0)
    sources = {packet.sport: packet.src for packet in host.take_output(0)}
    for connection, address in ((chosen, b"\x0a\0\0\3"), (other, b"\x0a\0\0\1"), (six, bytes(15) + b"\1")):
        assert sources[connection.local.port] == address
    host.timer_fired(SECOND)
    assert {packet.sport: packet.src for packet in host.take_output(SECOND)} == sources


@pytest.mark.parametrize("text", ["224.0.0.1", "255.255.255.255", "0.0.0.0", "ff02::1", "::"])
def test_addresses_of_nobody(text: str) -> None:
    host = Host(["10.0.0.1", "2001:db8::1"], b"0123456789abcdef", PLAIN)
    host.listen(PORT)
    with pytest.raises(UsageError, match="not the address of one host"):
        host.connect(text, 80, 0)
    octets = ip_address(text).packed
    own = host.addresses[len(octets) == 16]
    host.receive(Packet(octets, own, 7, PORT, 5, 0, 2, 1000), 0)
    host.receive(Packet(own, octets, 7, PORT, 5, 0, 2, 1000), 0)
    host.receive(Packet(octets, own, 7, PORT + 1, 5, 0, 2, 1000), 0)
    assert host.take_output(0) == []
    assert not host.connections


@pytest.mark.parametrize("state", ["SYN_SENT", "SYN_RECEIVED active"])
def test_what_is_sent_before_the_connection_stands_is_sent_then(state: str) -> None:
    """3.10.2, 3.10.3: "Queue the data for transmission after entering ESTABLISHED state"."""
    d = in_state(state)
    assert d.send(b"early") == []
    assert d.send(b" words") == []
    said = d.hear("SYN,ACK" if state == "SYN_SENT" else "ACK", 0 if state == "SYN_SENT" else 1, 1)
    assert said[-1].startswith("ACK 1 1 len=")
    assert b"".join(bytes(packet.payload) for packet in d.packets).startswith(b"early words")


def test_a_close_waits_for_what_was_sent_before_the_connection_stood() -> None:
    d = in_state("SYN_RECEIVED active")
    d.send(b"early")
    assert d.shutdown() == []
    said = d.hear("ACK", 1, 1)
    assert said == ["FIN,ACK 1 1 len=5"]
    assert d.state == "FIN_WAIT_1"


def test_calls_where_they_mean_nothing() -> None:
    """3.10: a second CLOSE, SEND after CLOSE, and calls on what is no more."""
    d = Dialogue().established()
    d.shutdown()
    assert d.connection is not None
    assert d.host.send(d.connection, b"late", d.now) == 0
    assert d.shutdown() == []
    d.hear("RST", 1)
    assert d.state == "CLOSED"
    assert d.host.send(d.connection, b"late", d.now) == 0
    for call in (d.host.shutdown, d.host.close, d.host.abort):
        call(d.connection, d.now)
    assert d.said() == []
    assert not d.host.connections


# ---------------------------------------------------------------- receiving


def test_one_acknowledgment_for_what_came_together() -> None:
    d = Dialogue(replace(PLAIN, delayed_ack=40 * MILLISECOND)).established()
    for n in range(4):
        d.host.receive(d.packet("ACK", 1 + 536 * n, 1, size=536), d.now)
    assert d.said() == [f"ACK 1 {1 + 4 * 536}"]


@pytest.mark.parametrize("delay", [0, 40 * MILLISECOND, 499 * MILLISECOND])
def test_no_acknowledgment_waits_half_a_second(delay: int) -> None:
    d = Dialogue(replace(PLAIN, delayed_ack=delay)).established()
    d.hear("ACK", 1, 1, size=1)
    d.wait(0.499)
    assert d.connection is not None
    assert d.connection.last_ack_sent == d.connection.rcv_nxt
    with pytest.raises(UsageError, match="half a second"):
        Config(delayed_ack=500 * MILLISECOND)


def test_urgent_data_of_any_length() -> None:
    d = opened(replace(PLAIN, send_buffer=1 << 20))
    c = d.connection
    assert c is not None
    assert (c.urgent, d.events()) == (0, ["connected"])
    c.congestion.cwnd = 1 << 20
    c.snd_wnd = 1 << 20
    d.host.send(c, bytes(200_000), d.now, urgent=True)
    d.said()
    assert d.packets[0].urgent == 65535
    assert all(packet.flags & 32 for packet in d.packets)
    assert d.packets[-1].urgent == len(d.packets[-1].payload)
    d.hear("URG,ACK", 1, 1, size=100, urgent=60_000)
    assert c.urgent == 60_000
    assert "urgent" in d.events()
    d.host.recv(c, d.now, 40)
    assert c.urgent == 59_960


def test_reset_and_urgent_at_a_closed_window() -> None:
    d = opened(replace(PLAIN, receive_buffer=1000))
    d.hear("ACK", 1, 1, size=1000)
    assert d.packets[0].window == 0
    d.events()
    d.hear("URG,ACK", 1001, 1, size=5, urgent=5)
    assert d.events() == ["urgent"]
    assert d.hear("ACK", 1001, 1) == []  # a valid acknowledgment counts as well
    assert d.hear("RST", 1001, size=20) == []
    assert d.events() == ["reset"]


#: What has come (start, octets) -> acknowledged up to; each byte is its own number's.
OVERLAPS = {
    "in order": ([(0, 10), (10, 10)], 20),
    "reordered": ([(10, 10), (0, 10)], 20),
    "twice": ([(0, 10), (0, 10)], 10),
    "twice and more": ([(0, 10), (0, 15)], 15),
    "over the edge": ([(0, 10), (5, 10)], 15),
    "a hole": ([(0, 10), (20, 10)], 10),
    "a hole filled": ([(0, 10), (20, 10), (10, 10)], 30),
    "a hole overfilled": ([(0, 10), (20, 10), (5, 20)], 30),
    "a hole filled from both sides": ([(30, 10), (10, 10), (25, 5), (0, 10), (20, 5)], 40),
    "inside what waits": ([(10, 30), (20, 5), (0, 10)], 40),
    "around what waits": ([(20, 5), (10, 30), (0, 10)], 40),
    "backwards": ([(n, 1) for n in range(29, -1, -1)], 30),
    "every other first": ([(n, 1) for n in range(1, 30, 2)] + [(n, 1) for n in range(0, 30, 2)], 30),
}


@pytest.mark.parametrize("sack", [False, True])
@pytest.mark.parametrize("name", OVERLAPS)
def test_overlap_and_order(name: str, sack: bool) -> None:
    pieces, end = OVERLAPS[name]
    d = opened(replace(PLAIN, sack=sack), sack=sack)
    stream = bytes(range(100))
    for start, size in pieces:
        said = d.hear("ACK", 1 + start, 1, payload=stream[start : start + size])
        assert len(said) == 1
    assert said[0] == f"ACK 1 {1 + end}"
    assert d.connection is not None
    assert d.connection.recv() == stream[:end]


# ---------------------------------------------------------------- sending


def test_push_is_at_the_end_of_what_there_is() -> None:
    d = opened()
    d.send(bytes(3 * MSS))
    assert [bool(packet.flags & 8) for packet in d.packets] == [False, False, True]
    d = opened(replace(PLAIN, nodelay=True))
    d.send(b"a")
    assert d.packets[0].flags & 8
    d.wait(1.2)
    d.hear("ACK", 1, 1)
    assert d.connection is not None
    assert len(d.connection.board) == 1


def test_a_shrinking_window_is_survived() -> None:
    d = opened(window=20 * MSS)
    assert len(d.send(bytes(15 * MSS))) == 10
    assert d.hear("ACK", 1, at(2), window=3 * MSS) == []  # nothing new beyond the edge
    said = d.wait(1.2)
    assert said == [f"ACK {at(2)} 1 len={MSS}"]  # but what is old, and within it
    d.hear("ACK", 1, at(10), window=0)
    assert d.state == "ESTABLISHED"
    assert d.wait(0.9) == []
    assert d.wait(2) == [f"ACK {at(10)} 1 len=1"]
    assert d.connection is not None
    d.hear("ACK", 1, at(10), window=20 * MSS)
    for _ in range(5):
        d.hear("ACK", 1, d.connection.snd_nxt - d.connection.iss, window=20 * MSS)
    assert d.connection.snd_nxt - d.connection.iss == at(15)


# ---------------------------------------------------------------- keep-alive, ICMP


def test_no_keepalive_unless_asked() -> None:
    assert Config().keepalive is None
    assert KEEPALIVE >= 120 * MINUTE
    d = opened()
    assert d.wait(86_400) == []
    assert d.state == "ESTABLISHED"


def test_a_busy_connection_is_not_probed() -> None:
    d = opened(replace(PLAIN, keepalive=10 * SECOND))
    for n in range(30):
        assert d.wait(5) == []
        d.hear("ACK", 1 + n, 1, size=1)


def test_one_lost_probe_kills_nobody() -> None:
    d = opened(replace(PLAIN, keepalive=10 * SECOND, keepalive_interval=SECOND, keepalive_probes=3))
    assert d.wait(12.5) == ["ACK 0 1"] * 3
    d.hear("ACK", 1, 1)
    assert d.wait(9) == []
    assert d.state == "ESTABLISHED"


STATES = [
    "SYN_SENT", "SYN_RECEIVED active", "ESTABLISHED", "FIN_WAIT_1", "CLOSE_WAIT", "CLOSING", "LAST_ACK"
]  # fmt: skip
#: type and code -> what it is to an opening, and to a standing connection.
ICMP = {
    (3, 0): ("soft", "soft"), (3, 1): ("soft", "soft"), (3, 2): ("hard", "soft"), (3, 3): ("hard", "soft"),
    (3, 5): ("soft", "soft"), (3, 9): ("soft", "soft"), (3, 10): ("soft", "soft"), (3, 13): ("soft", "soft"),
    (4, 0): ("", ""), (11, 0): ("soft", "soft"), (11, 1): ("soft", "soft"), (12, 0): ("soft", "soft"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ICMP, ids=[f"{kind}-{code}" for kind, code in ICMP])
@pytest.mark.parametrize("state", STATES)
def test_icmp_in_every_state(state: str, kind: tuple[int, int]) -> None:
    d = in_state(state)
    if state in ("ESTABLISHED", "CLOSE_WAIT"):
        d.send(b"x")
    d.events()
    assert d.connection is not None
    number = d.connection.snd_una & 0xFFFFFFFF
    quoted = Packet(HERE, THERE, PORT, PEER_PORT, number, 0, 16, 0)
    before = d.state
    d.host.receive(Icmp.about(quoted, bytes((10, 0, 0, 254)), *kind).write(quoted.write()), d.now)
    effect = ICMP[kind][state not in ("SYN_SENT", "SYN_RECEIVED active")]
    assert d.events() == {"soft": ["soft error"], "hard": ["unreachable"], "": []}[effect]
    assert d.state == ("CLOSED" if effect == "hard" else before)
    assert d.said() == []


@pytest.mark.parametrize("away", [-1, 1, 1000, -100_000])
def test_icmp_about_what_is_not_in_flight_is_ignored(away: int) -> None:
    """RFC 5927 4.1."""
    d = Dialogue().connect()
    assert d.connection is not None
    quoted = Packet(HERE, THERE, PORT, PEER_PORT, d.connection.iss + away & 0xFFFFFFFF, 0, 2, 0)
    message = Icmp.about(quoted, bytes((10, 0, 0, 254)), 3, 3)
    assert parse(message.write(quoted.write())) == message
    d.host.receive(message, d.now)
    assert d.events() == []
    assert d.state == "SYN_SENT"


def test_nagle_switched_off_lets_go_what_waits() -> None:
    d = opened()
    assert d.connection is not None
    d.send(b"a")
    assert d.send(b"b") == []
    socket = Socket(d.host)
    socket.connection = d.connection
    socket.config = d.connection.config
    socket.set(nodelay=True)
    assert d.said() == ["ACK 2 1 len=1"]
