"""ICMP by the letter (RFC 9293 3.9.2.2, RFC 5461, RFC 5927, RFC 1191, RFC 8201), and packets that are none."""

from __future__ import annotations

from typing import Any

import pytest

from synfin.tcp import Config, Host, Packet
from tests.tcp.letter import BARE, NUMBERS, V4, V6, WAY, play, scripts

SENT_BUT_NOT_ACKED = {
    "SYN_SENT": "@SYN_SENT",
    "SYN_RECEIVED": "@SYN_RECEIVED",
    "ESTABLISHED": "@ESTABLISHED\n! connected\nsend 5\n> ACK 1 1 len=5",
    "FIN_WAIT_1": "@FIN_WAIT_1\n! connected",
    "CLOSE_WAIT": "@CLOSE_WAIT\n! connected, peer closed\nsend 5\n> ACK 1 2 len=5",
    "CLOSING": "@CLOSING\n! connected, peer closed",
    "LAST_ACK": "@LAST_ACK\n! connected, peer closed",
}
#: What each message is: hard errors end a connection that is being opened (SHLD-26, RFC 5461 4.1), soft ones never
#: (MUST-56), "-" is no business of TCP's (source quench: MUST-55).
V4_MESSAGES = {
    (3, 0): "soft", (3, 1): "soft", (3, 2): "hard", (3, 3): "hard", (3, 5): "soft",
    (11, 0): "soft", (11, 1): "soft", (12, 0): "soft",
    (4, 0): "-", (5, 0): "-", (5, 1): "-", (0, 0): "-", (8, 0): "-", (13, 0): "-", (255, 0): "-",
}  # fmt: skip
V6_MESSAGES = {
    (1, 0): "soft", (1, 3): "soft", (1, 4): "hard", (1, 1): "hard", (3, 0): "soft", (3, 1): "soft", (4, 0): "soft",
    (4, 1): "soft", (4, 2): "soft", (128, 0): "-", (137, 0): "-", (200, 0): "-",
}  # fmt: skip
CASES = [(False, *key, kind) for key, kind in V4_MESSAGES.items()] + [(True, *key, k) for key, k in V6_MESSAGES.items()]


@pytest.mark.parametrize("state", SENT_BUT_NOT_ACKED)
@pytest.mark.parametrize(("v6", "kind", "code", "meaning"), CASES)
def test_each_message_in_each_state(state: str, v6: bool, kind: int, code: int, meaning: str) -> None:
    opening = state in ("SYN_SENT", "SYN_RECEIVED")
    seq = 1 if state in ("ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT_1", "CLOSING", "LAST_ACK") else 0
    after = state
    if meaning == "hard" and opening:
        after = "CLOSED" if state == "SYN_SENT" else "LISTEN"
    player = play(f"{SENT_BUT_NOT_ACKED[state]}\n% {kind} {code} seq={seq}\n= {after}", v6=v6, numbers=NUMBERS[1:2])
    events = player.events()
    if state == "SYN_RECEIVED":
        assert events == ["-"]
    elif after == "CLOSED":
        assert events == ["unreachable"]
    elif meaning != "-":
        assert events == ["soft error"]
    else:
        assert events == ["-"]


@pytest.mark.parametrize("seq", [-1, -70000, 6, 1000000, 2**31])
@pytest.mark.parametrize("code", [1, 3, 4])
def test_a_message_about_what_is_not_in_flight_says_nothing(seq: int, code: int) -> None:
    """RFC 5927 4: the quoted number must lie in SND.UNA =< SEG.SEQ < SND.NXT."""
    play(f"{SENT_BUT_NOT_ACKED['ESTABLISHED']}\n% 3 {code} seq={seq} mtu=600\n! -\n= ESTABLISHED", numbers=NUMBERS)
    play(f"@SYN_SENT\n% 3 {code} seq={seq} mtu=600\n! -\n= SYN_SENT", numbers=NUMBERS)


@pytest.mark.parametrize("state", ["ESTABLISHED", "FIN_WAIT_2", "CLOSE_WAIT", "TIME_WAIT"])
def test_nothing_in_flight_nothing_to_complain_about(state: str) -> None:
    play(f"{WAY[state]}\n% 3 3 seq=1\n% 3 1 seq=2\n= {state}", numbers=NUMBERS)


SCRIPTS = """
-- fragmentation needed: smaller packets at once (RFC 1191 6.5) | rack=False
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:1460
    > ACK 1 1
    send 1460
    > ACK 1 1 len=1460
    % 3 4 seq=1 mtu=1000
    > ACK 1 1 len=960
    > ACK 961 1 len=500

-- fragmentation needed, only one of several in flight is quoted | rack=False
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:1460
    > ACK 1 1
    send 2920
    > ACK 1 1 len=1460
    > ACK 1461 1 len=1460
    % 3 4 seq=1 mtu=1500
    % 3 4 seq=1 mtu=1501
    % 3 4 seq=1 mtu=65535

-- never below 552 octets: 68, 0 and 1 would be an attack | rack=False
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:1460
    > ACK 1 1
    send 1000
    > ACK 1 1 len=1000
    % 3 4 seq=1 mtu=68
    > ACK 1 1 len=512
    > ACK 513 1 len=488
    % 3 4 seq=1 mtu=1
    < ACK 1 1001
    send 600
    > ACK 1001 1 len=512

-- MTU 0 of an old router: a plateau below the quoted packet's length (RFC 1191 5) | rack=False
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:1460
    > ACK 1 1
    send 1460
    > ACK 1 1 len=1460
    % 3 4 seq=1 mtu=0
    > ACK 1 1 len=1452
    > ACK 1453 1 len=8

-- the SYN is never too long; nothing changes
    connect
    > SYN 0
    % 3 4 seq=0 mtu=600
    = SYN_SENT

-- after a hard error nothing is left
    connect
    > SYN 0
    % 3 3 seq=0
    = CLOSED
    ! unreachable
    +10
    < SYN,ACK 0 1
    > RST 1

-- a soft error is told, and remembered for the end of waiting
    connect
    > SYN 0
    % 3 1 seq=0
    ! soft error
    > in=1 SYN 0
    < SYN,ACK 0 1
    > ACK 1 1
    = ESTABLISHED
"""
ICMP = Config(delayed_ack=0, timestamps=False, sack=False, window_scale=None)


@pytest.mark.parametrize(("choices", "script"), [pytest.param(c, s, id=n) for n, c, s in scripts(SCRIPTS)])
def test_scripts(choices: dict[str, Any], script: str) -> None:
    play(script, ICMP, **choices)


@pytest.mark.parametrize("mtu", [0, 68, 1000, 1279])
def test_packet_too_big_below_1280_is_no_reason(mtu: int) -> None:
    """RFC 8201 4: never below the IPv6 minimum link MTU."""
    script = (
        "connect\n> SYN 0\n< SYN,ACK 0 1 opt=mss:1440\n> ACK 1 1\nsend 1220\n> ACK 1 1 len=1220\n"
        f"% 2 0 seq=1 mtu={mtu}\n< ACK 1 1221\nsend 1220\n> ACK 1221 1 len=1220"
    )
    play(script, ICMP, v6=True)


def test_packet_too_big() -> None:
    script = (
        "connect\n> SYN 0 opt=mss:1440\n< SYN,ACK 0 1 opt=mss:1440\n> ACK 1 1\nsend 1440\n> ACK 1 1 len=1440\n"
        "% 2 0 seq=1 mtu=1400\n> ACK 1 1 len=1340\n> ACK 1341 1 len=100"
    )
    play(script, ICMP, v6=True)


def _silent(src: bytes, dst: bytes, flags: int, *, sport: int = 4000, dport: int = 80) -> None:
    here = V6[0] if len(dst) == 16 else V4[0]
    for octets in (False, True):
        host = Host([here], b"letters in packets", BARE)
        host.listen(80)
        packet = Packet(src, dst, sport, dport, 1, 2 if flags & 16 else 0, flags, 1000)
        host.receive(packet.write() if octets else packet, 0)
        assert host.take_output(0) == []
        assert not host.connections


@pytest.mark.parametrize("flags", [2, 16, 18, 1, 4], ids=["SYN", "ACK", "SYN-ACK", "FIN", "RST"])
@pytest.mark.parametrize(
    ("src", "dst"),
    [
        (V4[1], bytes((224, 0, 0, 1))), (V4[1], bytes((255, 255, 255, 255))), (V4[1], bytes((239, 1, 2, 3))),
        (bytes((224, 0, 0, 1)), V4[0]), (bytes((255, 255, 255, 255)), V4[0]), (bytes(4), V4[0]),
        (V4[1], bytes((192, 0, 2, 77))), (V6[1], bytes.fromhex("ff02" + "00" * 13 + "01")),
        (bytes.fromhex("ff02" + "00" * 13 + "01"), V6[0]), (bytes(16), V6[0]),
    ],
    ids=range(10),
)  # fmt: skip
def test_what_is_for_nobody_or_from_nobody_is_silent(src: bytes, dst: bytes, flags: int) -> None:
    """MUST-57, MUST-63: a SYN to or from broadcast and multicast is discarded in silence."""
    _silent(src, dst, flags)


def _packet(**fields: Any) -> bytearray:
    values: dict[str, Any] = {"options": b"\x02\x04\x03\xe8", "payload": b"", **fields}
    return bytearray(Packet(V4[1], V4[0], 4000, 80, 1, 0, 2, 1000, **values).write())


@pytest.mark.parametrize(
    ("at", "value"),
    [(37, 1), (36, 255), (0, 0x65), (0, 0x44), (0, 0x4F), (3, 39), (3, 200), (9, 17), (10, 0), (32, 0x40), (32, 0xF0),
     (32, 0x00), (12, 9), (33, 0x12)],
    ids=["checksum", "checksum high", "version", "ihl 4", "ihl 15", "total length 39", "total length 200", "udp",
         "ip checksum", "offset 4", "offset 15", "offset 0", "source changed", "flags changed"],
)  # fmt: skip
def test_a_broken_packet_is_counted_and_silent(at: int, value: int) -> None:
    """MUST-3: the checksum; lengths that lie."""
    data = _packet()
    data[at] = data[at] ^ 0x55 if data[at] == value else value
    host = Host([V4[0]], b"letters in packets", BARE)
    host.listen(80)
    host.receive(bytes(data), 0)
    assert host.take_output(0) == []
    assert host.dropped == 1


@pytest.mark.parametrize("size", range(44))
def test_a_cut_packet_is_counted_and_silent(size: int) -> None:
    host = Host([V4[0]], b"letters in packets", BARE)
    host.listen(80)
    host.receive(bytes(_packet()[:size]), 0)
    assert host.take_output(0) == []
    assert host.dropped == 1


def test_trailing_octets_are_no_data() -> None:
    """What follows the IP packet (padding of a frame) is not TCP's."""
    host = Host([V4[0]], b"letters in packets", BARE)
    host.listen(80)
    host.receive(bytes(_packet()) + b"padding", 0)
    assert [packet.flags for packet in host.take_output(0)] == [18]


def test_port_zero_is_nobodys() -> None:
    host = Host([V4[0]], b"letters in packets", BARE)
    host.listen(80)
    host.receive(Packet(V4[1], V4[0], 4000, 0, 1, 0, 2, 1000), 0)
    assert [packet.flags for packet in host.take_output(0)] == [20]
    assert not host.connections


def test_a_packet_from_our_own_address_and_port() -> None:
    """A "land" SYN, source and destination the same, does not make the host talk to itself for ever."""
    host = Host([V4[0]], b"letters in packets", BARE)
    host.listen(80)
    host.receive(Packet(V4[0], V4[0], 80, 80, 1, 0, 2, 1000), 0)
    assert host.take_output(0) == []
    for _ in range(50):
        when = host.next_timer()
        if when is None:
            break
        host.timer_fired(when)
        host.take_output(when)
    assert host.next_timer() is None
