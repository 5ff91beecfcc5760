"""Sending: what goes out when, what is taken for lost, and what a loss costs.  The peer is written by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from synfin.tcp import Config, Icmp
from synfin.tcp.config import MILLISECOND, SECOND
from synfin.tcp.packet import Packet
from tests.tcp.dialogue import HERE, PEER_ISN, PEER_PORT, PLAIN, PORT, THERE, Dialogue

MSS = 1460
MSS_OPTION = bytes.fromhex("020405b4")
SACK_PERMITTED = bytes.fromhex("04020101")
SACKED = replace(PLAIN, sack=True)


def opened(config: Config = PLAIN, *, window: int = 65535, sack: bool = False) -> Dialogue:
    """A connection with segments of 1460 octets and a measured RTT of 100 ms."""
    d = Dialogue(config)
    d.connection = d.host.connect(THERE, PEER_PORT, d.now, local_port=PORT)
    d.said()
    d.now += 100 * MILLISECOND
    raw = MSS_OPTION + (SACK_PERMITTED if sack else b"")
    assert d.hear("SYN,ACK", 0, 1, options=raw, window=window) == ["ACK 1 1"]
    return d


def block(d: Dialogue, *edges: int) -> bytes:
    raw = b"".join((edge + d.iss & 0xFFFFFFFF).to_bytes(4, "big") for edge in edges)
    return bytes((1, 1, 5, 2 + len(raw))) + raw


def at(number: int) -> int:
    """The number of the first octet of the segment with this index."""
    return 1 + number * MSS


def seqs(said: list[str]) -> list[int]:
    return [int(line.split()[1]) for line in said]


def test_initial_window_is_ten_segments() -> None:
    d = opened()
    assert seqs(d.send(bytes(20 * MSS))) == [at(n) for n in range(10)]


def test_slow_start_doubles() -> None:
    d = opened()
    d.send(bytes(44 * MSS))
    assert len(d.hear("ACK", 1, at(2))) == 4
    assert len(d.hear("ACK", 1, at(4))) == 4


def test_rto_first_then_doubled_and_karn() -> None:
    d = opened()
    d.send(b"x" * 100)
    assert d.wait(0.99) == []
    assert d.wait(0.02) == ["ACK 1 1 len=100"]
    assert d.wait(1.9) == []
    assert d.wait(0.2) == ["ACK 1 1 len=100"]
    d.hear("ACK", 1, 101)  # answers which of the three? no sample, and the timer stays doubled
    d.send(b"y")
    assert d.wait(3.9) == []
    assert d.wait(0.2) == ["ACK 101 1 len=1"]


def test_syn_is_sent_again_and_data_begins_with_three_seconds() -> None:
    d = Dialogue().connect()
    assert d.wait(1.1) == ["SYN 0 -"]
    assert d.hear("SYN,ACK", 0, 1) == ["ACK 1 1"]
    d.send(b"x")
    assert d.wait(2.9) == []
    assert d.wait(0.2) == ["ACK 1 1 len=1"]


def test_syn_gives_up() -> None:
    d = Dialogue().connect()
    said = d.wait(200)
    assert set(said) == {"SYN 0 -"}
    assert d.events() == ["soft error", "timed out"]


def test_data_gives_up_after_the_user_timeout() -> None:
    d = opened(replace(PLAIN, user_timeout=20 * SECOND))
    d.send(b"x")
    d.wait(19)
    assert "timed out" not in d.events()
    d.wait(2)
    assert "timed out" in d.events()


@pytest.mark.parametrize("congestion", ["cubic", "newreno"])
def test_fast_retransmit_at_the_third_duplicate(congestion: str) -> None:
    d = opened(replace(PLAIN, congestion=congestion))  # type: ignore[arg-type]
    d.send(bytes(30 * MSS))
    assert seqs(d.hear("ACK", 1, 1)) == [at(10)]  # limited transmit (RFC 3042)
    assert seqs(d.hear("ACK", 1, 1)) == [at(11)]
    assert seqs(d.hear("ACK", 1, 1)) == [at(0)]
    assert d.connection is not None
    assert d.connection.congestion.cwnd == (5 if congestion == "newreno" else 7) * MSS  # not of limited transmit's
    assert d.connection.recovering == "fast"


def test_newreno_partial_acknowledgment_resends_the_next_hole() -> None:
    d = opened(replace(PLAIN, congestion="newreno"))
    d.send(bytes(12 * MSS))
    for _ in range(3):
        d.hear("ACK", 1, 1)
    assert at(4) in seqs(d.hear("ACK", 1, at(4)))
    assert d.connection is not None
    assert d.connection.recovering == "fast"
    d.hear("ACK", 1, at(12))
    assert d.connection.recovering == ""
    assert d.connection.congestion.cwnd <= 5 * MSS


@pytest.mark.parametrize("rack", [True, False])
def test_sack_resends_only_what_is_missing(rack: bool) -> None:
    d = opened(replace(SACKED, rack=rack), sack=True)
    d.send(bytes(10 * MSS))
    d.now += 100 * MILLISECOND
    again: list[int] = []
    for have in (3, 4, 6, 7, 8, 9):  # 0, 1, 2 and 5 are lost
        first = 6 if have > 5 else 3
        raw = block(d, at(first), at(have + 1), *((at(3), at(5)) if have > 5 else ()))
        again += seqs(d.hear("ACK", 1, 1, options=raw))
    assert sorted(again) == [at(0), at(1), at(2), at(5)]
    assert d.hear("ACK", 1, at(10)) == []
    assert d.connection is not None
    assert d.connection.recovering == ""


def test_rack_waits_for_the_reordered_and_resends_the_lost_retransmission() -> None:
    d = opened(SACKED, sack=True)
    d.send(bytes(10 * MSS))
    d.now += 100 * MILLISECOND
    assert d.hear("ACK", 1, 1, options=block(d, at(1), at(2))) == []  # one is not enough
    assert seqs(d.hear("ACK", 1, 1, options=block(d, at(1), at(4)))) == [at(0)]
    d.send(bytes(6 * MSS))
    d.now += 50 * MILLISECOND
    assert at(10) in seqs(d.hear("ACK", 1, 1, options=block(d, at(1), at(8))))
    d.now += 100 * MILLISECOND
    # What was sent after the retransmission has come; the retransmission itself has not: lost again, no timeout.
    assert at(0) in seqs(d.hear("ACK", 1, 1, options=block(d, at(1), at(11))))


def test_tail_loss_probe_before_the_timeout() -> None:
    d = opened(SACKED, sack=True)
    d.send(bytes(3 * MSS))
    said = d.wait(0.25)
    assert seqs(said) == [at(2)]  # the last segment, after two round trips
    d.now += 100 * MILLISECOND
    # The probe shows what is missing, and RACK resends it without a timeout, as much as has arrived (RFC 9937).
    assert seqs(d.hear("ACK", 1, 1, options=block(d, at(2), at(3)))) == [at(0)]
    assert seqs(d.hear("ACK", 1, at(1), options=block(d, at(2), at(3)))) == [at(1)]


def test_spurious_timeout_is_undone() -> None:
    """F-RTO: the segments were only late."""
    d = opened()
    d.send(bytes(30 * MSS))
    assert d.connection is not None
    window = d.connection.congestion.cwnd
    assert seqs(d.wait(1.1)) == [at(0)]
    assert d.connection.congestion.cwnd == MSS
    assert seqs(d.hear("ACK", 1, at(1))) == [at(10), at(11)]  # two new ones instead of old ones
    after = seqs(d.hear("ACK", 1, at(2)))
    assert at(2) not in after  # nothing more is sent again
    assert d.connection.congestion.cwnd >= window


def test_real_timeout_goes_on_from_the_hole() -> None:
    d = opened()
    d.send(bytes(30 * MSS))
    assert seqs(d.wait(1.1)) == [at(0)]
    d.hear("ACK", 1, at(1))
    said = seqs(d.hear("ACK", 1, at(1)))  # a duplicate: the losses were real
    assert said[:1] == [at(1)]


def test_nagle_holds_a_small_segment_back_and_nodelay_does_not() -> None:
    d = opened()
    assert d.send(b"a") == ["ACK 1 1 len=1"]
    assert d.send(b"b") == []
    assert d.send(b"c") == []
    assert d.hear("ACK", 1, 2) == ["ACK 2 1 len=2"]
    d = opened(replace(PLAIN, nodelay=True))
    assert [d.send(b"a"), d.send(b"b")] == [["ACK 1 1 len=1"], ["ACK 2 1 len=1"]]


def test_delayed_acknowledgment() -> None:
    d = opened(Config(timestamps=False, sack=False, window_scale=None))
    assert d.hear("ACK", 1, 1, size=100) == []
    assert d.wait(0.03) == []
    assert d.wait(0.02) == ["ACK 1 101"]
    assert d.hear("ACK", 101, 1, size=MSS) == []
    assert d.hear("ACK", 101 + MSS, 1, size=MSS) == [f"ACK 1 {101 + 2 * MSS}"]  # every second full segment
    assert d.hear("ACK", 5000, 1, size=1) == [f"ACK 1 {101 + 2 * MSS}"]  # out of order: at once


def test_zero_window_is_probed_with_growing_patience_and_never_given_up_while_answered() -> None:
    d = opened(replace(PLAIN, user_timeout=100 * SECOND), window=0)
    assert d.send(b"x" * 500) == []
    times = []
    for _ in range(12):
        while not (said := d.wait(0.1)):
            pass
        times.append(d.now)
        assert said == ["ACK 1 1 len=1"]
        d.hear("ACK", 1, 1, window=0)
    gaps = [round((two - one) / 1e9) for one, two in pairwise(times)]
    assert gaps[:5] == [2, 4, 8, 16, 32]
    assert max(gaps) == 60
    assert "timed out" not in d.events()
    assert "".join(d.hear("ACK", 1, 1, window=4000)).count("len=") >= 1
    d.hear("ACK", 1, 2, window=4000)
    assert d.connection is not None
    d.hear("ACK", 1, 501, window=4000)
    assert len(d.connection.board) == 0


def test_sender_avoids_silly_windows() -> None:
    d = opened(window=4 * MSS)
    assert len(d.send(bytes(4 * MSS + 200))) == 4
    assert d.hear("ACK", 1, at(4), window=100) == []  # a little room is no reason to send a little
    assert d.wait(2) == ["ACK 5841 1 len=100"]  # until patience ends (3.8.6.2.1)


def test_receiver_avoids_silly_windows_and_never_shrinks() -> None:
    d = opened(replace(PLAIN, receive_buffer=4 * MSS))
    edge = 0
    for n in range(4):
        d.hear("ACK", at(n), 1, size=MSS)
        (packet,) = d.packets
        assert packet.ack - PEER_ISN + packet.window >= edge
        edge = packet.ack - PEER_ISN + packet.window
    assert d.packets[0].window == 0
    assert d.connection is not None
    assert d.host.recv(d.connection, d.now, 100) != b""
    assert d.said() == []
    d.host.recv(d.connection, d.now, MSS)
    assert d.said() == [f"ACK 1 {at(4)}"]
    assert d.packets[0].window >= MSS


def test_keepalive_finds_a_dead_peer_and_leaves_a_living_one() -> None:
    d = opened(replace(PLAIN, keepalive=10 * SECOND, keepalive_interval=SECOND, keepalive_probes=3))
    assert d.wait(10.5) == ["ACK 0 1"]  # one octet before: must be answered
    assert d.hear("ACK", 1, 1) == []
    assert d.wait(9) == []
    assert d.wait(5) == ["ACK 0 1", "ACK 0 1", "ACK 0 1", "RST,ACK 1 1"]
    assert "timed out" in d.events()


def test_urgent_data_stays_in_line() -> None:
    d = opened()
    assert d.connection is not None
    d.host.send(d.connection, b"stop", d.now, urgent=True)
    assert d.said() == ["URG,ACK 1 1 len=4"] or d.packets[0].flags & 32
    assert d.packets[0].urgent == 4  # points behind the last urgent octet (RFC 6093)
    d.hear("URG,ACK", 1, 5, payload=b"now!", urgent=4)
    assert "urgent" in d.events()
    assert d.connection.recv() == b"now!"


def too_big(d: Dialogue, mtu: int, seq: int = 1) -> Icmp:
    return Icmp(bytes((10, 0, 0, 254)), HERE, 3, 4, mtu, THERE, PORT, PEER_PORT, d.iss + seq & 0xFFFFFFFF)


def test_path_mtu_discovery_resends_in_smaller_segments_without_blame() -> None:
    d = opened()
    d.send(bytes(2 * MSS))
    assert d.connection is not None
    window = d.connection.congestion.cwnd
    d.host.receive(too_big(d, 1000), d.now)
    assert {line.split()[-1] for line in d.said()} >= {"len=960"}
    assert d.connection.congestion.cwnd == window


@pytest.mark.parametrize(("mtu", "seq"), [(1000, -5), (1000, 10 * MSS), (2000, 1)])
def test_too_big_that_cannot_be_true_is_ignored(mtu: int, seq: int) -> None:
    d = opened()
    d.send(bytes(2 * MSS))
    d.host.receive(too_big(d, mtu, seq), d.now)
    assert d.said() == []


def test_no_icmp_makes_segments_tiny() -> None:
    d = opened()
    d.send(bytes(2 * MSS))
    d.host.receive(too_big(d, 68), d.now)
    d.said()
    assert d.connection is not None
    assert d.connection.mss == 512


def test_black_hole_makes_segments_short_after_three_retransmissions() -> None:
    d = opened()
    d.send(bytes(2 * MSS))
    for seconds in (1.1, 2.1, 4.1):
        assert d.wait(seconds) == ["ACK 1 1 len=1460"]
    assert d.wait(8.1)[0] == "ACK 1 1 len=984"


@pytest.mark.parametrize(("code", "ends"), [(0, False), (1, False), (5, False), (2, True), (3, True)])
def test_icmp_unreachable_ends_only_an_opening(code: int, ends: bool) -> None:
    def message(d: Dialogue) -> Icmp:
        return Icmp(THERE, HERE, 3, code, 0, THERE, PORT, PEER_PORT, d.connection.snd_una & 0xFFFFFFFF)  # type: ignore[union-attr]

    d = Dialogue().connect()
    d.host.receive(message(d), d.now)
    assert d.events() == (["unreachable"] if ends else ["soft error"])
    d = opened()
    d.send(b"x")
    d.events()
    d.host.receive(message(d), d.now)
    assert d.events() == ["soft error"]
    assert d.state == "ESTABLISHED"


def test_ecn_is_negotiated_and_answers_once() -> None:
    d = Dialogue(replace(PLAIN, ecn="ask"))
    d.connection = d.host.connect(THERE, PEER_PORT, d.now, local_port=PORT)
    assert d.said() == ["SYN,ECE,CWR 0 -"]
    d.hear("SYN,ACK,ECE", 0, 1, options=MSS_OPTION)
    d.send(bytes(20 * MSS))
    assert {packet.ecn for packet in d.packets} == {2}
    window = d.connection.congestion.cwnd
    d.hear("ACK,ECE", 1, at(1))
    assert d.connection.congestion.cwnd < window
    window = d.connection.congestion.cwnd
    d.hear("ACK,ECE", 1, at(2))
    assert d.connection.congestion.cwnd >= window  # once a round trip
    d.hear("ACK", 1, at(9))
    assert any(packet.flags & 128 for packet in d.packets)  # CWR


def test_congestion_experienced_is_echoed_until_cwr() -> None:
    d = Dialogue(PLAIN).listen()
    assert d.hear("SYN,ECE,CWR", 0) == ["SYN,ACK,ECE 0 1"]
    d.hear("ACK", 1, 1)
    marked = d.packet("ACK", 1, 1, size=10)._replace(ecn=3)
    d.host.receive(marked, d.now)
    assert d.said() == ["ACK,ECE 1 11"]
    assert d.hear("ACK", 11, 1, size=10) == ["ACK,ECE 1 21"]
    assert d.hear("ACK,CWR", 21, 1, size=10) == ["ACK 1 31"]


def test_reneging_is_survived() -> None:
    """A peer may throw away what it has sacked (RFC 2018 8)."""
    d = opened(SACKED, sack=True)
    d.send(bytes(4 * MSS))
    d.hear("ACK", 1, 1, options=block(d, at(1), at(4)))
    d.hear("ACK", 1, at(1))  # has the hole, and nothing behind it any more
    said = d.wait(10)
    assert at(1) in seqs(said)


def test_super_segments() -> None:
    d = opened(replace(PLAIN, super_segment=65160))
    d.send(bytes(10 * MSS))
    (packet,) = d.packets
    assert (len(packet.payload), packet.gso) == (10 * MSS, MSS)
    pieces = packet.pieces()
    assert [piece.seq for piece in pieces] == [packet.seq + n * MSS & 0xFFFFFFFF for n in range(10)]
    assert b"".join(piece.payload for piece in pieces) == bytes(packet.payload)
    assert all(isinstance(piece, Packet) and not piece.gso for piece in pieces)


def test_keepalive_goes_on_for_ever_while_it_is_answered() -> None:
    d = opened(replace(PLAIN, keepalive=10 * SECOND, keepalive_interval=15 * SECOND, keepalive_probes=3))
    for _ in range(30):
        said: list[str] = []
        while not said:
            said = d.wait(0.5)
        assert said == ["ACK 0 1"]
        d.hear("ACK", 1, 1)
    assert d.state == "ESTABLISHED"


def test_what_icmp_took_is_asked_for_again_after_ten_minutes() -> None:
    d = opened(SACKED, sack=True)
    d.send(bytes(2 * MSS))
    d.host.receive(too_big(d, 1000), d.now)
    assert d.connection is not None
    d.said()
    d.hear("ACK", 1, at(2))
    d.wait(601)
    said = d.send(bytes(6000))
    assert "len=1460" in said[1]  # the second segment, alone
    assert [line.split()[-1] for line in said].count("len=1460") == 1
    d.hear("ACK", 1, at(2) + 960 + 1460)
    assert d.connection.mss == MSS


def test_a_probe_that_is_lost_costs_no_window() -> None:
    d = opened(SACKED, sack=True)
    d.send(bytes(2 * MSS))
    d.host.receive(too_big(d, 1000), d.now)
    assert d.connection is not None
    d.said()
    d.hear("ACK", 1, at(2))
    d.wait(601)
    d.send(bytes(12_000))
    window = d.connection.congestion.cwnd
    start = at(2)
    d.hear("ACK", 1, start + 960)
    again = d.hear("ACK", 1, start + 960, options=block(d, start + 2420, start + 2420 + 4 * 960))
    assert again[0].startswith(f"ACK {start + 960} 1 len=960")
    assert d.connection.congestion.cwnd >= window
    assert d.connection.mss == 960


def test_bulk_data_is_not_copied() -> None:
    """From the user's buffer to the packet, and from the packet to the user: views of the same octets."""
    d = opened(replace(PLAIN, super_segment=65160))
    data = bytes(10 * MSS)
    d.send(data)
    (packet,) = d.packets
    assert isinstance(packet.payload, memoryview)
    assert packet.payload.obj is data
    assert d.connection is not None
    came = b"y" * 5000
    d.hear("ACK", 1, 1, payload=came)
    (got,) = d.host.recv_buffers(d.connection, d.now)
    assert got is came


def stamp(d: Dialogue, echo: int) -> bytes:
    """Timestamps with an echo; the value rises with the time."""
    return b"\x01\x01\x08\x0a" + (d.now // MILLISECOND).to_bytes(4, "big") + (echo & 0xFFFFFFFF).to_bytes(4, "big")


def sent_stamp(packet: Packet) -> int:
    return int.from_bytes(packet.options[4:8], "big")


def stamped(config: Config) -> Dialogue:
    d = Dialogue(config)
    d.connection = d.host.connect(THERE, PEER_PORT, d.now, local_port=PORT)
    d.said()
    d.now += 100 * MILLISECOND
    permitted = SACK_PERMITTED if config.sack else b""
    d.hear("SYN,ACK", 0, 1, options=MSS_OPTION + permitted + stamp(d, 0))
    return d


def test_eifel_takes_back_a_timeout() -> None:
    """RFC 3522: the echo is of the original, so nothing was lost and nothing more goes again."""
    d = stamped(replace(PLAIN, timestamps=True, frto=False))
    d.send(bytes(30 * 1448))
    first = sent_stamp(d.packets[0])
    assert d.connection is not None
    window = d.connection.congestion.cwnd
    d.wait(1.1)
    assert d.connection.congestion.cwnd < window
    said = d.hear("ACK", 1, 1 + 1448, options=stamp(d, first))
    assert all(not packet.again for packet in d.packets)
    assert seqs(said)[0] == 1 + 10 * 1448
    assert d.connection.congestion.cwnd >= window
    assert d.connection.recovering == ""


def test_eifel_leaves_a_true_timeout() -> None:
    d = stamped(replace(PLAIN, timestamps=True, frto=False))
    d.send(bytes(30 * 1448))
    d.wait(1.1)
    d.hear("ACK", 1, 1 + 1448, options=stamp(d, sent_stamp(d.packets[0]) if d.packets else d.now // MILLISECOND))
    assert d.connection is not None
    assert d.connection.recovering == "timeout"


def test_dsack_takes_back_a_fast_recovery() -> None:
    """RFC 3708: what was sent again had come already."""
    d = opened(SACKED, sack=True)
    d.send(bytes(20 * MSS))
    assert d.connection is not None
    window = d.connection.congestion.cwnd
    d.now += 100 * MILLISECOND
    assert at(0) in seqs(d.hear("ACK", 1, 1, options=block(d, at(1), at(5))))
    assert d.connection.congestion.cwnd < window
    d.hear("ACK", 1, at(10))
    d.now += 100 * MILLISECOND
    d.hear("ACK", 1, at(10), options=block(d, at(0), at(1)))
    assert d.connection.congestion.cwnd >= window


def test_dsack_of_an_older_repeat_takes_nothing_back() -> None:
    """The network doubled a segment of before; what this recovery sent again is not named."""
    d = opened(SACKED, sack=True)
    d.send(bytes(20 * MSS))
    d.now += 100 * MILLISECOND
    d.hear("ACK", 1, at(4))
    assert at(4) in seqs(d.hear("ACK", 1, at(4), options=block(d, at(5), at(9))))
    assert d.connection is not None
    window = d.connection.congestion.ssthresh
    d.hear("ACK", 1, at(4), options=block(d, at(0), at(2), at(5), at(9)))
    assert d.connection.recovering == "fast"
    assert d.connection.congestion.ssthresh == window


def test_dsack_widens_the_reordering_window_for_sixteen_recoveries() -> None:
    """RFC 8985 6.2 step 4."""
    d = opened(SACKED, sack=True)
    d.send(bytes(10 * MSS))
    assert d.connection is not None
    board = d.connection.board
    d.hear("ACK", 1, at(4), options=block(d, at(0), at(1)))
    d.hear("ACK", 1, at(5), options=block(d, at(0), at(1)))
    assert board.window_mult == 2  # once a round trip
    d.send(bytes(10 * MSS))
    d.hear("ACK", 1, at(12), options=block(d, at(0), at(1)))
    assert board.window_mult == 3
    for _ in range(15):
        board.calm()
    assert board.window_mult == 3
    board.calm()
    assert board.window_mult == 1


def test_the_rate_falls_in_proportion() -> None:
    """RFC 9937: in the round trip of recovery seven segments go for every ten that arrive (CUBIC), evenly."""
    d = opened(SACKED, sack=True)
    assert d.connection is not None
    d.connection.congestion.cwnd = 40 * MSS
    d.connection.snd_wscale, d.connection.snd_wnd = 7, 65535 << 7
    d.send(bytes(100 * MSS))
    d.now += 100 * MILLISECOND
    sent = [len(d.hear("ACK", 1, 1, options=block(d, at(1), at(4))))]
    for n in range(5, 41):
        sent.append(len(d.hear("ACK", 1, 1, options=block(d, at(1), at(n)))))
    assert max(sent) <= 3
    assert 25 <= sum(sent) <= 29  # 0.7 of 39
    assert all(sum(sent[n : n + 6]) >= 3 for n in range(30))
    d.hear("ACK", 1, at(40))
    assert d.connection.congestion.cwnd == d.connection.congestion.ssthresh
