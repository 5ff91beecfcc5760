"""The small parts by themselves: unguessable numbers, the timeout's arithmetic, congestion windows, the scoreboard."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.tcp import Config, Place
from synfin.tcp.chance import COOKIE_MSS, Chance
from synfin.tcp.config import MILLISECOND, MINUTE, SECOND
from synfin.tcp.congestion import Cubic, NewReno
from synfin.tcp.rtt import Rtt
from synfin.tcp.scoreboard import Scoreboard

HERE, THERE = Place(bytes((10, 0, 0, 1)), 80), Place(bytes((10, 0, 0, 2)), 4000)
CHANCE = Chance(b"a secret for chance")
MSS = 1000


def test_initial_numbers_run_with_the_clock_and_differ_between_peers() -> None:
    """RFC 6528 3: one tick in 4 microseconds within a connection's name, an offset nobody knows between names."""
    first = CHANCE.isn(HERE, THERE, 0)
    assert CHANCE.isn(HERE, THERE, 4000) == first + 1 & 0xFFFFFFFF
    assert CHANCE.isn(HERE, THERE._replace(port=4001), 0) != first
    assert Chance(b"another secret!!").isn(HERE, THERE, 0) != first
    assert CHANCE.clock_offset(HERE, THERE) == CHANCE.clock_offset(HERE, THERE._replace(port=1))  # RFC 6191 needs it


def test_ports_are_all_used_before_one_is_used_again() -> None:
    taken: set[int] = set()
    chance = Chance(b"a secret for ports")
    for _ in range(50):
        port = chance.port(HERE.address, THERE, lambda p: p not in taken, 2000, 2049)
        assert port is not None
        assert 2000 <= port <= 2049
        taken.add(port)
    assert len(taken) == 50
    assert chance.port(HERE.address, THERE, lambda p: p not in taken, 2000, 2049) is None
    starts = {Chance(bytes(15) + bytes([n])).port(HERE.address, THERE, lambda p: True, 1024, 65535) for n in range(20)}
    assert len(starts) == 20


@given(st.integers(0, 0xFFFFFFFF), st.integers(1, 9000), st.integers(0, 10**13))
def test_cookies_come_back_for_two_minutes_and_only_whole(irs: int, mss: int, now: int) -> None:
    cookie = CHANCE.cookie(HERE, THERE, irs, mss, now)
    back = CHANCE.open_cookie(HERE, THERE, irs, cookie, now + MINUTE)
    assert back == max((size for size in COOKIE_MSS if size <= mss), default=COOKIE_MSS[0])
    assert CHANCE.open_cookie(HERE, THERE, irs, cookie, now + 3 * MINUTE) is None
    assert CHANCE.open_cookie(HERE, THERE._replace(port=1), irs, cookie, now) is None
    assert CHANCE.open_cookie(HERE, THERE, irs, cookie ^ 1, now) is None


def test_timeout_by_rfc_6298() -> None:
    rtt = Rtt(Config(min_rto=1))
    assert rtt.rto == SECOND
    rtt.sample(100 * MILLISECOND)  # SRTT = R, RTTVAR = R/2
    assert rtt.rto == 300 * MILLISECOND
    rtt.sample(200 * MILLISECOND)  # RTTVAR = 3/4 * 50 + 1/4 * 100, SRTT = 7/8 * 100 + 1/8 * 200
    assert rtt.rto == pytest.approx((112.5 + 4 * 62.5) * MILLISECOND)
    for _ in range(20):
        rtt.expired()
    assert rtt.rto == MINUTE
    rtt.sample(100 * MILLISECOND)
    assert rtt.rto < SECOND
    ordinary = Rtt(Config())
    ordinary.sample(MILLISECOND)
    assert ordinary.rto == SECOND  # (2.4)


def test_newreno_grows_by_a_segment_a_round_trip() -> None:
    window = NewReno(Config(congestion="newreno"), MSS)
    assert window.cwnd == 10 * MSS
    window.on_loss(10 * MSS, 0)
    assert window.cwnd == window.ssthresh == 5 * MSS
    for _ in range(5):
        window.on_ack(MSS, 0, 0)
    assert window.cwnd == 6 * MSS
    saved = window.save()
    window.on_timeout(6 * MSS, 0, True)
    assert (window.cwnd, window.ssthresh) == (MSS, 3 * MSS)
    window.on_timeout(MSS, 0, False)
    assert window.ssthresh == 3 * MSS  # not again for the same loss
    window.undo(saved)
    assert window.cwnd == 6 * MSS


def test_cubic_is_back_at_its_window_after_k_seconds() -> None:
    """RFC 9438 equations 1 and 2: K = cbrt((W_max - cwnd) / C); W(K) = W_max, then slowly, then fast beyond."""
    window = Cubic(Config(), MSS)
    window.cwnd = 1000 * MSS
    window.on_loss(1000 * MSS, 0)
    assert window.cwnd == 700 * MSS
    k = (300 / 0.4) ** (1 / 3)
    rtt = 200 * MILLISECOND
    sizes = {}
    now = SECOND
    while now < SECOND + 2 * k * SECOND:
        for _ in range(10):
            window.on_ack(window.cwnd // 10, now, rtt)
        sizes[(now - SECOND) / SECOND] = window.cwnd / MSS
        now += rtt
    at_k = min(sizes, key=lambda t: abs(t - k))
    assert sizes[at_k] == pytest.approx(1000, rel=0.01)
    near = min(sizes, key=lambda t: abs(t - k - 1))
    assert sizes[near] - sizes[at_k] < 3
    assert max(sizes.values()) == pytest.approx(1300, rel=0.05)


def test_cubic_is_never_slower_than_reno_on_short_paths() -> None:
    """RFC 9438 4.3."""
    window = Cubic(Config(), MSS)
    window.cwnd = 20 * MSS
    window.on_loss(20 * MSS, 0)
    for trip in range(100):
        for _ in range(10):
            window.on_ack(window.cwnd // 10, SECOND + trip * MILLISECOND, MILLISECOND)
    assert window.cwnd > 14 * MSS + 40 * MSS  # about half a segment a round trip, then one


def test_fast_convergence() -> None:
    window = Cubic(Config(), MSS)
    window.cwnd = 100 * MSS
    window.on_loss(100 * MSS, 0)
    assert window.w_max == 100
    window.on_loss(70 * MSS, 0)
    assert window.w_max == pytest.approx(70 * 0.85)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(["send", "ack", "sack", "lose", "resend"]), st.integers(0, 39),
                          st.integers(1, 9)), max_size=60))  # fmt: skip
def test_the_scoreboard_counts_what_a_naive_one_counts(steps: list[tuple[str, int, int]]) -> None:
    board = Scoreboard()
    nxt = una = 0
    sacked: set[int] = set()
    lost: set[int] = set()
    for now, (what, place, size) in enumerate(steps, 1):
        if what == "send":
            board.sent(nxt, nxt + size, now)
            nxt += size
        elif what == "ack" and una < place <= nxt:
            delivered, _, _ = board.ack(place, now)
            assert delivered == len(set(range(una, place)) - sacked)
            una = place
        elif what == "sack" and una < place < nxt:
            end = min(place + size, nxt)
            fresh, _ = board.sack([(place, end)], una, nxt, now)
            new = set(range(place, end)) - sacked
            assert fresh <= len(new)  # a block that only grew is walked where it grew
            marked = {
                n for flight in board._list[board._head :] if flight.sacked for n in range(flight.start, flight.end)
            }
            assert marked - {n for n in sacked if n >= una} <= new
            sacked |= marked
        elif what == "lose" and len(board) and not board.first.sacked:
            board.mark_lost(board.first)
        elif what == "resend" and (flight := board.next_lost()) is not None:
            assert flight.start == min(f.start for f in board._list[board._head :] if f.lost)
            board.resent(flight, now)
        flights = board._list[board._head :]
        assert [f.start for f in flights] == sorted(f.start for f in flights)
        assert sum(f.end - f.start for f in flights) == nxt - una
        lost = {n for f in flights if f.lost for n in range(f.start, f.end)}
        assert board.sacked == sum(f.end - f.start for f in flights if f.sacked)
        assert board.pipe == sum(f.end - f.start for f in flights if not f.sacked and not f.lost)
        assert not any(f.sacked and f.lost for f in flights)
    assert len(lost) <= nxt - una


def test_a_transfer_that_never_rests_leaves_nothing_behind() -> None:
    board = Scoreboard()
    for n in range(10_000):
        board.sent(n, n + 1, n)
        if n >= 50:
            if n % 7 == 0:
                board.sack([(n - 20, n - 19)], n - 50, n, n)
                board.detect(n, 5)
                flight = board.next_lost()
                if flight is not None:
                    board.resent(flight, n)
            board.ack(n - 49, n)
    assert len(board) == 50
    assert len(board._order) < 500
    assert len(board._list) < 500
    assert len(board._lost) < 500
