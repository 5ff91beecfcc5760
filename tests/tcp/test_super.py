"""Super-segments: one packet that stands for many segments, sent and received, with all that segments are owed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synfin.tcp import Config, Icmp
from synfin.tcp.config import MILLISECOND
from synfin.tcp.output import LONGEST
from tests.tcp.dialogue import HERE, PEER_PORT, PLAIN, PORT, THERE, Dialogue, relative
from tests.tcp.test_sending import MSS, MSS_OPTION, SACKED, at, block, opened

SUPER = replace(PLAIN, super_segment=65160, initial_window=64, send_buffer=1 << 20)


def big(config: Config = SUPER, *, sack: bool = False) -> Dialogue:
    d = opened(config, sack=sack)
    assert d.connection is not None
    d.connection.congestion.cwnd = 100 * MSS
    d.connection.snd_wscale = 7
    d.connection.snd_wnd = d.connection.max_snd_wnd = 65535 << 7
    return d


def shape(d: Dialogue) -> list[tuple[int, int, int]]:
    """(number, octets, size of the pieces) of what was said last; numbers and octets in segments."""
    return [(relative(p.seq, d.iss) // MSS, len(p.payload) // MSS, p.gso // MSS) for p in d.packets]


def test_a_packet_holds_what_it_may_and_whole_segments() -> None:
    d = big()
    d.send(bytes(100 * MSS))
    assert shape(d) == [(0, 44, 1), (44, 44, 1), (88, 12, 1)]
    assert all(p.size <= 65535 for p in d.packets)
    d = big(replace(SUPER, super_segment=1 << 20))
    d.send(bytes(100 * MSS))
    assert len(d.packets[0].payload) == LONGEST // MSS * MSS


def test_the_tail_waits_as_nagle_says() -> None:
    d = big()
    d.send(bytes(3 * MSS + 100))
    assert [len(p.payload) for p in d.packets] == [3 * MSS]
    assert d.hear("ACK", 1, at(3)) == [f"ACK {at(3)} 1 len=100"]
    d = big(replace(SUPER, nodelay=True))
    d.send(bytes(3 * MSS + 100))
    assert [len(p.payload) for p in d.packets] == [3 * MSS + 100]
    assert [len(p.payload) for p in d.packets[0].pieces()] == [MSS, MSS, MSS, 100]
    d = big()
    assert d.connection is not None
    d.connection.send(bytes(2 * MSS + 1), d.now)
    d.connection.shutdown(d.now)
    d.host._touched((HERE, PORT, THERE, PEER_PORT), d.connection, d.now)
    d.said()
    (packet,) = d.packets
    assert [bool(piece.flags & 1) for piece in packet.pieces()] == [False, False, True]
    assert [bool(piece.flags & 8) for piece in packet.pieces()] == [False, False, True]


def test_a_partial_acknowledgment_is_no_loss() -> None:
    d = big()
    d.send(bytes(44 * MSS))
    assert d.hear("ACK", 1, at(10)) == []
    assert d.hear("ACK", 1, at(11) + 100) == []
    assert d.connection is not None
    assert d.connection.board.pipe == 33 * MSS - 100
    assert d.hear("ACK", 1, at(44)) == []
    assert len(d.connection.board) == 0


def test_a_partial_sack_splits_and_only_what_is_missing_goes_again() -> None:
    d = big(replace(SACKED, super_segment=65160, send_buffer=1 << 20), sack=True)
    d.send(bytes(44 * MSS))
    d.now += 100 * MILLISECOND
    d.hear("ACK", 1, at(3), options=block(d, at(5), at(20), at(25), at(44)))
    assert shape(d) == [(3, 2, 1), (20, 5, 1)]
    assert all(p.again for p in d.packets)
    assert d.hear("ACK", 1, at(44)) == []
    assert d.connection is not None
    assert d.connection.recovering == ""
    assert d.connection.board.pipe == 0


def test_three_duplicates_resend_one_segment_of_it() -> None:
    d = big()
    d.send(bytes(44 * MSS))
    d.hear("ACK", 1, 1)
    d.hear("ACK", 1, 1)
    d.hear("ACK", 1, 1)
    assert shape(d) == [(0, 1, 0)]
    d.hear("ACK", 1, at(7))  # partial: the next hole
    assert shape(d)[0] == (7, 1, 0)


def test_a_timeout_resends_one_segment_of_it_then_more() -> None:
    d = big(replace(SUPER, frto=False))
    d.send(bytes(44 * MSS))
    d.wait(1.01)
    d.send(b"")
    assert d.connection is not None
    assert d.connection.congestion.cwnd == MSS
    assert [(f.start, f.end) for f in d.connection.board._list[:1]] == [(d.iss + 1, d.iss + 1 + MSS)]
    d.hear("ACK", 1, at(1))
    assert shape(d) == [(1, 2, 1)]


def test_the_pieces_shrink_with_the_path() -> None:
    d = big()
    d.send(bytes(44 * MSS))
    d.host.receive(
        Icmp(bytes((10, 0, 0, 254)), HERE, 3, 4, 1000, THERE, PORT, PEER_PORT, d.iss + 1 & 0xFFFFFFFF), d.now
    )
    d.said()
    assert {p.gso for p in d.packets} == {960}
    assert sum(len(p.payload) for p in d.packets) == 44 * MSS
    assert all(p.again for p in d.packets)


def test_a_closed_window_is_probed_with_an_octet() -> None:
    d = big()
    assert d.connection is not None
    d.connection.snd_wnd = 0
    d.send(bytes(44 * MSS))
    assert d.packets == []
    d.wait(1.1)
    assert d.connection.snd_nxt == d.connection.snd_una + 1
    d.hear("ACK", 1, 2, window=65535)
    assert sum(len(p.payload) for p in d.packets) == 43 * MSS  # and the rest is short


def test_urgent_data_is_not_put_into_one() -> None:
    d = big()
    assert d.connection is not None
    d.host.send(d.connection, bytes(3 * MSS), d.now, urgent=True)
    d.said()
    assert [(len(p.payload), p.urgent) for p in d.packets] == [(MSS, 3 * MSS), (MSS, 2 * MSS), (MSS, MSS)]


def test_congestion_is_answered_in_the_first_piece() -> None:
    d = Dialogue(replace(SUPER, ecn="ask"))
    d.connection = d.host.connect(THERE, PEER_PORT, d.now, local_port=PORT)
    d.said()
    d.hear("SYN,ACK,ECE", 0, 1, options=MSS_OPTION)
    d.send(bytes(40 * MSS))
    d.hear("ACK,ECE", 1, at(10))
    d.send(bytes(20 * MSS))
    d.hear("ACK", 1, at(40))
    packet = d.packets[0]
    assert packet.flags & 128
    assert packet.gso
    assert [bool(piece.flags & 128) for piece in packet.pieces()] == [True] + [False] * (len(packet.pieces()) - 1)


def test_it_is_worth_waiting_for_a_third_of_the_window() -> None:
    d = big()
    d.send(bytes(300 * MSS))
    assert d.connection is not None
    sent = d.connection.snd_nxt - d.connection.iss - 1
    assert d.hear("ACK", 1, at(2)) == []
    assert d.hear("ACK", 1, at(10)) == []
    d.hear("ACK", 1, at(25))
    assert shape(d)[0] == (sent // MSS, 44, 1)


@pytest.mark.parametrize("scale", [None, 10])
def test_received_ones_are_acknowledged_at_once_and_not_copied(scale: int | None) -> None:
    config = Config(timestamps=False, sack=True, window_scale=scale, receive_buffer=8 << 20)
    d = Dialogue(config).established(active=False, options=bytes.fromhex("01030307") if scale else b"")
    assert d.connection is not None
    for _ in range(20 if scale else 1):
        payload = bytes(65160 if scale else 60000)
        start = d.connection.rcv_nxt - d.connection.irs
        assert d.hear("ACK", start, 1, payload=payload) == [f"ACK 1 {start + len(payload)}"]
        assert d.connection.received.chunks[-1] is payload
    assert (d.packets[0].window << d.connection.rcv_wscale > 1 << 20) == (scale is not None)
    got = d.host.recv_buffers(d.connection, d.now)
    assert all(type(piece) is bytes for piece in got)
