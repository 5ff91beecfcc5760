"""Why three and not two, why four and not three: named stories with proved outcomes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synfin.spec.tcp_states import Cause, State
from synfin.tcp import Config, Host
from synfin.tcp.packet import Packet
from tests.tcp.dialogue import HERE, PLAIN, PORT, Dialogue, in_state


def between(one: Host, two: Host, now: int = 0) -> None:
    """Carry packets both ways until nobody has anything to say."""
    quiet = False
    while not quiet:
        quiet = True
        for source, target in ((one, two), (two, one)):
            for packet in source.take_output(now):
                target.receive(packet.write(), now)
                quiet = False


def cross(one: Host, two: Host) -> None:
    """What both have to say passes in flight."""
    there, back = one.take_output(0), two.take_output(0)
    for packet in there:
        two.receive(packet, 0)
    for packet in back:
        one.receive(packet, 0)


def pair(config: Config = PLAIN) -> tuple[Host, Host]:
    return Host(["10.0.0.1"], b"one has a secret", config), Host(["10.0.0.2"], b"two has a secret", config)


# ---------------------------------------------------------------- opening


def test_three_segments_open() -> None:
    one, two = pair()
    listener = two.listen(80)
    connection = one.connect("10.0.0.2", 80, 0)
    between(one, two)
    other = listener.accept()
    assert other is not None
    assert connection.state == other.state == State.ESTABLISHED
    assert [step.cause for step in connection.history] == [Cause.ACTIVE_OPEN, Cause.SYN_ACK]
    assert [step.cause for step in other.history] == [Cause.PASSIVE_OPEN, Cause.SYN, Cause.ACK_OF_SYN]


def test_stale_syn_opens_nothing() -> None:
    """Why three and not two: an old SYN makes the listener answer, and the one who did not ask refuses."""
    one, two = pair()
    listener = two.listen(80)
    connection = one.connect("10.0.0.2", 80, 0)
    (syn,) = one.take_output(0)
    two.receive(syn._replace(seq=syn.seq - 70_000 & 0xFFFFFFFF), 0)  # a SYN of a connection long gone
    (answer,) = two.take_output(0)
    one.receive(answer, 0)
    (refusal,) = one.take_output(0)
    assert refusal.flags == 4  # RST
    assert refusal.seq == answer.ack
    two.receive(refusal, 0)
    assert listener.accept() is None
    assert not listener.half_open  # figure 8: back to LISTEN
    two.receive(syn, 0)
    between(one, two)
    other = listener.accept()
    assert other is not None
    assert connection.state == other.state == State.ESTABLISHED


def test_stale_syn_alone_leaves_nobody_connected() -> None:
    one, two = pair()
    listener = two.listen(80)
    two.receive(Packet(one.addresses[0], two.addresses[0], 4000, 80, 77, 0, 2, 1000), 0)
    between(one, two)
    assert listener.accept() is None
    assert not two.connections


def test_duplicate_syn_ack_is_answered_and_changes_nothing() -> None:
    d = Dialogue().established()
    assert d.send(b"hello") == ["ACK 1 1 len=5"]
    assert d.hear("SYN,ACK", 0, 1) == ["ACK 6 1"]
    assert d.state == State.ESTABLISHED
    assert d.hear("ACK", 1, 6) == []


def test_old_duplicate_of_a_past_connection_is_not_read() -> None:
    """PAWS (RFC 7323 5): the numbers fit, the timestamp is old."""
    d = Dialogue(Config(delayed_ack=0, window_scale=None)).established(
        options=bytes.fromhex("0101080a00000100 00000000")
    )
    stamp = bytes.fromhex("0101080a 00000200 00000000")
    old = bytes.fromhex("0101080a 000000ff 00000000")
    assert d.hear("ACK", 1, 1, payload=b"new", options=stamp) == ["ACK 1 4"]
    assert d.hear("ACK", 4, 1, payload=b"old", options=old) == ["ACK 1 4"]
    assert d.connection is not None
    assert d.connection.recv() == b"new"


def test_simultaneous_open() -> None:
    one, two = pair()
    a = one.connect("10.0.0.2", 7000, 0, local_port=6000)
    b = two.connect("10.0.0.1", 6000, 0, local_port=7000)
    cross(one, two)
    between(one, two)
    assert a.state == b.state == State.ESTABLISHED
    assert Cause.SYN in [step.cause for step in a.history]
    one.send(a, b"to b", 0)
    two.send(b, b"to a", 0)
    between(one, two)
    assert (b.recv(), a.recv()) == (b"to b", b"to a")


def test_bad_ack_in_syn_sent_is_refused_and_the_syn_waits_for_its_timer() -> None:
    d = Dialogue().connect()
    assert d.hear("SYN,ACK", 0, 5) == ["RST 5 -"]
    assert d.wait(0.9) == []
    assert d.wait(0.2) == ["SYN 0 -"]


def test_half_open_is_found_out() -> None:
    """Figure 9: one end has forgotten the connection; its SYN is challenged, and its RST ends the other end's."""
    d = Dialogue().established(active=False)
    assert d.hear("SYN", 400) == ["ACK 1 1"]
    assert d.hear("RST", 1) == []
    assert d.state == State.CLOSED
    assert "reset" in d.events()


def test_loopback() -> None:
    host = Host(["10.0.0.1", "::1"], b"0123456789abcdef", PLAIN)
    listener = host.listen(80)
    a = host.connect("::1", 80, 0)
    assert host.take_output(0) == []
    b = listener.accept()
    assert b is not None
    host.send(a, b"to myself", 0)
    host.take_output(0)
    assert host.recv(b, 0) == b"to myself"


# ---------------------------------------------------------------- closing


def test_four_segments_close_because_each_direction_is_closed_by_its_own() -> None:
    d = Dialogue().established()
    assert d.shutdown() == ["FIN,ACK 1 1"]
    assert d.hear("ACK", 1, 2) == []
    assert d.state == State.FIN_WAIT_2
    assert d.hear("ACK", 1, 2, payload=b"still talking") == ["ACK 2 14"]  # half-close: why not three
    assert d.connection is not None
    assert d.connection.recv() == b"still talking"
    assert d.hear("FIN,ACK", 14, 2) == ["ACK 2 15"]
    assert d.state == State.TIME_WAIT


def test_lost_last_ack_is_given_again_and_time_wait_begins_anew() -> None:
    d = in_state("TIME_WAIT")
    assert d.wait(200) == []
    assert d.hear("FIN,ACK", 1, 2) == ["ACK 2 2"]
    assert d.wait(239) == []
    assert d.state == State.TIME_WAIT
    d.wait(2)
    assert d.state == State.CLOSED


def test_without_time_wait_the_lost_ack_would_meet_a_reset() -> None:
    d = in_state("TIME_WAIT")
    d.wait(241)
    assert not d.host.connections
    assert d.hear("FIN,ACK", 1, 2) == ["RST 2 -"]


def test_simultaneous_close() -> None:
    one, two = pair()
    listener = two.listen(80)
    a = one.connect("10.0.0.2", 80, 0)
    between(one, two)
    b = listener.accept()
    assert b is not None
    one.shutdown(a, 0)
    two.shutdown(b, 0)
    cross(one, two)
    assert (str(a.state), str(b.state)) == ("CLOSING", "CLOSING")
    between(one, two)
    assert (str(a.state), str(b.state)) == ("TIME_WAIT", "TIME_WAIT")


def test_close_with_unread_data_resets() -> None:
    d = Dialogue().established()
    d.hear("ACK", 1, 1, payload=b"unread")
    assert d.connection is not None
    d.host.close(d.connection, d.now)
    assert d.said() == ["RST,ACK 1 7"]
    assert d.state == State.CLOSED


def test_data_after_close_is_refused() -> None:
    d = Dialogue().established()
    assert d.connection is not None
    d.host.close(d.connection, d.now)
    assert d.said() == ["FIN,ACK 1 1"]
    assert d.hear("ACK", 1, 2, payload=b"late") == ["RST,ACK 2 1"]
    assert d.state == State.CLOSED


def test_close_does_not_wait_for_ever_in_fin_wait_2() -> None:
    d = Dialogue().established()
    assert d.connection is not None
    d.host.close(d.connection, d.now)
    d.said()
    d.hear("ACK", 1, 2)
    assert d.state == State.FIN_WAIT_2
    d.wait(61)
    assert d.state == State.CLOSED


@pytest.mark.parametrize("state", ["SYN_RECEIVED active", "ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT"])
def test_abort_tells_the_peer(state: str) -> None:
    d = in_state(state)
    assert d.connection is not None
    nxt = d.connection.snd_nxt - d.connection.iss
    d.host.abort(d.connection, d.now)
    (said,) = d.said()
    assert said.startswith(f"RST,ACK {nxt} ")
    assert d.state == State.CLOSED
    assert not d.host.connections


def test_close_before_the_syn_ack_is_answered() -> None:
    """3.10.4, SYN-RECEIVED: a FIN goes out at once; a lost SYN-ACK still is sent again."""
    d = in_state("SYN_RECEIVED active")
    assert d.shutdown() == ["FIN,ACK 1 1"]
    assert d.state == State.FIN_WAIT_1
    assert d.wait(1.1) == ["SYN,ACK 0 1", "FIN,ACK 1 1"]
    assert d.hear("ACK", 1, 2) == []
    assert d.state == State.FIN_WAIT_2


# ---------------------------------------------------------------- TIME_WAIT and its reuse


@pytest.mark.parametrize(
    ("before", "stamp", "seq", "welcome"),
    [
        (None, None, 10, True),  # no timestamps: by sequence number
        (None, None, 0, False),
        (None, 1, 0, True),  # timestamps are new: they will tell old from new from now on
        (100, 101, 0, True),
        (100, 100, 10, True),
        (100, 100, 0, False),
        (100, 99, 10, False),
        (100, None, 10, True),
        (100, None, 0, False),
    ],
)
def test_reuse_of_time_wait(before: int | None, stamp: int | None, seq: int, welcome: bool) -> None:
    """RFC 6191 2, all its cases."""
    d = Dialogue(replace(PLAIN, timestamps=True))
    own = b"" if before is None else bytes.fromhex("0101080a") + before.to_bytes(4, "big") + bytes(4)
    d.established(active=False, options=own)
    assert d.shutdown() == ["FIN,ACK 1 1"]
    d.hear("ACK", 1, 2, options=own)
    d.hear("FIN,ACK", 1, 2, options=own)
    assert d.state == State.TIME_WAIT
    old = d.connection
    raw = b"" if stamp is None else bytes.fromhex("0101080a") + stamp.to_bytes(4, "big") + bytes(4)
    d.hear("SYN", seq, options=raw)
    if welcome:
        assert d.connection is not old
        assert d.state == State.SYN_RECEIVED
    else:
        assert d.connection is old
        assert d.state == State.TIME_WAIT


def test_the_new_connection_numbers_above_the_old() -> None:
    d = Dialogue().established(active=False)
    d.shutdown()
    d.hear("FIN,ACK", 1, 2)
    old = d.connection
    assert old is not None
    d.hear("SYN", 10)
    assert d.connection is not None
    assert (d.connection.iss - old.snd_nxt) & 0xFFFFFFFF < 1 << 31


# ---------------------------------------------------------------- limits


def test_challenges_are_limited() -> None:
    d = Dialogue().established()
    answers = [d.hear("RST", 100 + number) for number in range(100)]
    assert sum(map(len, answers)) == 10
    d.wait(5)
    assert d.hear("RST", 300) == ["ACK 1 1"]


def test_refusals_are_limited() -> None:
    d = Dialogue()
    assert sum(len(d.hear("SYN", number)) for number in range(1000)) == 200


def test_two_who_disagree_do_not_talk_for_ever() -> None:
    """Each finds the other's acknowledgments outside of its window and answers them."""
    one, two = pair()
    listener = two.listen(80)
    a = one.connect("10.0.0.2", 80, 0)
    between(one, two)
    b = listener.accept()
    assert b is not None
    a.rcv_nxt += 1_000_000
    a.rcv_adv += 1_000_000
    b.rcv_nxt += 2_000_000
    b.rcv_adv += 2_000_000
    one.send(a, b"x", 0)
    between(one, two)  # ends: that is the test
    assert a.challenges <= PLAIN.invalid_limit + 2


def test_syn_backlog_is_bounded_and_cookies_serve_the_honest() -> None:
    host = Host([HERE], b"0123456789abcdef")
    listener = host.listen(PORT, backlog=16)
    for number in range(5000):
        source = bytes((192, 0, 2, number & 255))
        host.receive(Packet(source, HERE, 1024 + number, PORT, number, 0, 2, 1000), 0)
        host.take_output(0)
    assert len(host.connections) == 16
    client = Host(["10.0.0.9"], b"fedcba9876543210")
    connection = client.connect(HERE, PORT, 0)
    between(client, host)
    other = listener.accept()
    assert other is not None
    assert connection.state == other.state == State.ESTABLISHED
    assert other.sack_on
    assert other.ts_on
    assert (other.snd_wscale, other.rcv_wscale) == (7, 7)
    client.send(connection, b"let me in", 0)
    between(client, host)
    host.timer_fired(10**9)
    assert other.recv() == b"let me in"


def test_a_cookie_is_good_after_the_flood_is_over() -> None:
    host = Host([HERE], b"0123456789abcdef")
    listener = host.listen(PORT, backlog=1)
    noise = Packet(bytes((192, 0, 2, 1)), HERE, 1024, PORT, 5, 0, 2, 1000)
    host.receive(noise, 0)
    host.take_output(0)
    client = Host(["10.0.0.9"], b"fedcba9876543210")
    client.connect(HERE, PORT, 0)
    (syn,) = client.take_output(0)
    host.receive(syn, 0)
    (syn_ack,) = host.take_output(0)
    host.receive(noise._replace(seq=6, flags=4), 0)  # the half-open connection goes
    assert not listener.half_open
    client.receive(syn_ack, 0)
    between(client, host)
    assert listener.accept() is not None


def test_a_forged_cookie_is_refused() -> None:
    host = Host([HERE], b"0123456789abcdef")
    host.listen(PORT, backlog=1)
    host.receive(Packet(bytes((192, 0, 2, 1)), HERE, 1024, PORT, 0, 0, 2, 1000), 0)
    host.take_output(0)
    host.receive(Packet(bytes((192, 0, 2, 2)), HERE, 1024, PORT, 8, 77, 16, 1000), 0)
    (answer,) = host.take_output(0)
    assert answer.flags == 4


def test_nobody_accepts() -> None:
    """A full accept queue: the third segment is not taken, so the peer stays in doubt and SYN-ACK comes again."""
    one, two = pair()
    listener = two.listen(80, backlog=1)
    one.connect("10.0.0.2", 80, 0)
    between(one, two)
    one.connect("10.0.0.2", 80, 0)
    between(one, two)
    assert len(listener.queue) == 1
    assert len(listener.half_open) == 1
    assert listener.accept() is not None
    two.timer_fired(10**9)
    between(one, two, 10**9)
    assert len(listener.queue) == 1


@pytest.mark.parametrize(("acknowledged", "event"), [(False, "reset"), (True, "closed")])
def test_a_reset_while_closing_is_a_failure_when_data_was_outstanding(acknowledged: bool, event: str) -> None:
    d = Dialogue().established()
    d.send(b"important")
    d.shutdown()
    d.hear("FIN,ACK", 1, 10 if acknowledged else 1)
    assert d.state == State.CLOSING
    d.events()
    d.hear("RST", 2)
    assert d.events() == [event]


def test_the_window_beside_a_syn_is_not_scaled() -> None:
    scaled = bytes.fromhex("01030307")
    d = Dialogue(replace(PLAIN, window_scale=7))
    d.connect()
    d.hear("SYN", 0, options=scaled, window=1000)
    d.hear("SYN,ACK", 0, 1, options=scaled, window=1000)
    assert d.state == State.ESTABLISHED
    assert d.connection is not None
    assert d.connection.snd_wnd == 1000
    d.hear("ACK", 1, 1, window=1000)
    assert d.connection.snd_wnd == 128_000
