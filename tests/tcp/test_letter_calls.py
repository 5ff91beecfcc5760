"""The calls of a socket in every state (RFC 9293 3.9.1, 3.10.1 to 3.10.6), ports, the backlog and cookies."""

from __future__ import annotations

import pytest

from synfin.errors import UsageError
from synfin.tcp import Config, Host, Packet, Socket
from tests.tcp.letter import BARE, NUMBERS, V4, WAY, Player, play

#: Call and state: octets taken, segments, state after.  RFC 9293's errors ("connection does not exist", "connection
#: closing") are calls that take nothing, and ``.state`` and ``.error`` say why.
CALLS = """
    # 3.10.2 SEND
    SYN_SENT            send 5              .                   .
    SYN_RECEIVED active send 5              .                   .
    ESTABLISHED         send 5              ACK 1 1 len=5       .
    CLOSE_WAIT          send 5              ACK 1 2 len=5       .
    FIN_WAIT_1          send 5 takes 0      .                   .
    FIN_WAIT_2          send 5 takes 0      .                   .
    CLOSING             send 5 takes 0      .                   .
    LAST_ACK            send 5 takes 0      .                   .
    TIME_WAIT           send 5 takes 0      .                   .
    ESTABLISHED         send 0              .                   .
    # 3.10.3 RECEIVE
    SYN_SENT            recv 0              .                   .
    SYN_RECEIVED active recv 0              .                   .
    ESTABLISHED         recv 0              .                   .
    FIN_WAIT_1          recv 0              .                   .
    FIN_WAIT_2          recv 0              .                   .
    CLOSE_WAIT          recv 0              .                   .
    CLOSING             recv 0              .                   .
    LAST_ACK            recv 0              .                   .
    TIME_WAIT           recv 0              .                   .
    # 3.10.4 CLOSE
    SYN_SENT            shutdown            .                   CLOSED
    SYN_RECEIVED active shutdown            FIN,ACK 1 1         FIN_WAIT_1
    ESTABLISHED         shutdown            FIN,ACK 1 1         FIN_WAIT_1
    FIN_WAIT_1          shutdown            .                   .
    FIN_WAIT_2          shutdown            .                   .
    CLOSE_WAIT          shutdown            FIN,ACK 1 2         LAST_ACK
    CLOSING             shutdown            .                   .
    LAST_ACK            shutdown            .                   .
    TIME_WAIT           shutdown            .                   .
    SYN_SENT            close               .                   CLOSED
    SYN_RECEIVED active close               FIN,ACK 1 1         FIN_WAIT_1
    ESTABLISHED         close               FIN,ACK 1 1         FIN_WAIT_1
    FIN_WAIT_1          close               .                   .
    FIN_WAIT_2          close               .                   .
    CLOSE_WAIT          close               FIN,ACK 1 2         LAST_ACK
    CLOSING             close               .                   .
    LAST_ACK            close               .                   .
    TIME_WAIT           close               .                   .
    LISTEN              close               .                   CLOSED
    # a socket without a connection
    CLOSED              no send 5           .                   .
    CLOSED              no recv 0           .                   .
    CLOSED              no shutdown         .                   .
    CLOSED              no abort            .                   .
    CLOSED              close               .                   .
    LISTEN              no send 5           .                   .
    LISTEN              no recv 0           .                   .
    LISTEN              no shutdown         .                   .
    LISTEN              abort               .                   CLOSED
    LISTEN              no listen           .                   .
    # 3.10.1 OPEN
    ESTABLISHED         no listen           .                   .
    LISTEN              connect             SYN 0               SYN_SENT
    SYN_SENT            no connect          .                   .
    ESTABLISHED         no connect          .                   .
    TIME_WAIT           no connect          .                   .
    CLOSED              connect             SYN 0               SYN_SENT
    # options at any time
    CLOSED              set nodelay=1       .                   .
    LISTEN              set nodelay=1       .                   .
    SYN_SENT            set nodelay=1       .                   .
    ESTABLISHED         set nodelay=1       .                   .
    ESTABLISHED         set keepalive=10    .                   .
    FIN_WAIT_2          set user_timeout=9  .                   .
    TIME_WAIT           set nodelay=1       .                   .
    ESTABLISHED         no set nodelai=1    .                   .
    CLOSED              no set nodelai=1    .                   .
"""


def rows() -> list[list[str]]:
    cut = (20, 40, 60)
    lines = [line[4:] for line in CALLS.strip("\n").splitlines() if line.strip() and not line.strip().startswith("#")]
    return [[line[a:b].strip() for a, b in zip((0, *cut), (*cut, None), strict=True)] for line in lines]


@pytest.mark.parametrize(("state", "call", "said", "after"), rows())
def test_every_call_in_every_state(state: str, call: str, said: str, after: str) -> None:
    answer = "" if said == "." else f"> {said}"
    end = state.split()[0] if after == "." else after
    play(f"@{state}\n{call}\n{answer}\n= {end}", BARE, numbers=NUMBERS[1:3])


#: What the user is told of each end, and what ``error`` is then.
ENDS = {
    "refused": ("@SYN_SENT\n< RST,ACK 0 1", "refused", "refused"),
    "reset": ("@ESTABLISHED\n! connected\n< RST 1", "reset", "reset"),
    "no answer": ("@SYN_SENT\n+0\nset r1=99\n" + "\n".join(
        f"> in={s} SYN 0" for s in (1, 2, 4, 8, 16, 32, 60)) + "\n+60", "timed out", "timed out"),
    "unreachable": ("@SYN_SENT\n% 3 3 seq=0", "unreachable", "unreachable"),
    "in order": ("@LAST_ACK\n! connected, peer closed\n< ACK 2 2", "closed", "None"),
    "TIME_WAIT over": ("@TIME_WAIT\n! connected, peer closed\n+240", "closed", "None"),
    "abort": ("@ESTABLISHED\n! connected\nabort\n> RST,ACK 1 1", "-", "None"),
}  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
def test_events_and_errors_at_the_end(end: str) -> None:
    script, told, error = ENDS[end]
    player = play(f"{script}\n! {told}\n= CLOSED\nrecv 0\nsend 1 takes 0", BARE, numbers=NUMBERS[1:2])
    assert str(player.socket.error) == error


@pytest.mark.parametrize("end", ["< RST 6", "abort\n> RST,ACK 1 6"])
def test_what_came_before_a_reset_can_be_read(end: str) -> None:
    play(f"@ESTABLISHED\n< ACK 1 1 len=5\n> ACK 1 6\n{end}\n= CLOSED\nrecv 5\nrecv 0", BARE)


def test_unread_data_after_a_fin_can_be_read_until_the_end() -> None:
    player = play(
        f"{WAY['ESTABLISHED']}\n< FIN,ACK 1 1 len=5\n> ACK 1 7\nshutdown\n> FIN,ACK 1 7\n< ACK 7 2\n= CLOSED\nrecv 5",
        BARE,
    )
    assert player.socket.ended


def make(**choices: object) -> Host:
    return Host([V4[0], bytes((192, 0, 2, 9))], b"letters in packets", Config(delayed_ack=0, **choices))  # type: ignore[arg-type]


def test_ports() -> None:
    host = make()
    one, two = Socket(host), Socket(host)
    one.bind(80)
    one.listen()
    two.bind(80)
    with pytest.raises(UsageError, match="listened on already"):
        two.listen()
    two.bind(80, V4[0])  # a more precise place is another one, and comes first
    two.listen()
    one.close(0)
    assert str(one.state) == "CLOSED"
    one.listen()
    with pytest.raises(UsageError):
        Socket(host).bind(70000)
    with pytest.raises(UsageError):
        Socket(host).bind(-1)
    with pytest.raises(UsageError):
        Socket(host).bind(80, "10.9.9.9")
    with pytest.raises(UsageError):
        Socket(host).bind(80, "not an address")
    with pytest.raises(UsageError):
        Socket(host).connect(V4[1], 0, 0)
    with pytest.raises(UsageError):
        Socket(host).connect(V4[1], 65536, 0)
    with pytest.raises(UsageError):
        Socket(host).connect(bytes((224, 0, 0, 1)), 80, 0)
    with pytest.raises(UsageError):
        Socket(host).connect(bytes((255, 255, 255, 255)), 80, 0)
    with pytest.raises(UsageError):
        Socket(host, nodelai=True)
    any_port = Socket(host)
    any_port.bind(0)
    any_port.connect(V4[1], 80, 0)
    assert 1024 <= any_port.port <= 65535
    with pytest.raises(UsageError):
        any_port.connect(bytes((192, 0, 2, 3)), 80, 0)  # connected already
    with pytest.raises(UsageError):
        any_port.bind(99)
    with pytest.raises(UsageError):
        any_port.listen()
    with pytest.raises(UsageError):
        Socket(host).connect("2001:db8::1", 80, 0)
    with pytest.raises(UsageError):
        Socket(host).connect(b"abc", 80, 0)


def shake(host: Host, number: int, *, now: int = 0) -> int:
    """A whole handshake from port 1000 + number; how many segments the last ACK was answered with."""
    host.receive(Packet(V4[1], V4[0], 1000 + number, 80, 5, 0, 2, 5000), now)
    answers = host.take_output(now)
    if not answers:
        return -1
    (answer,) = answers
    assert answer.flags == 18
    host.receive(Packet(V4[1], V4[0], 1000 + number, 80, 6, answer.seq + 1 & 0xFFFFFFFF, 16, 5000), now)
    return len(host.take_output(now))


@pytest.mark.parametrize("backlog", [1, 2, 5])
def test_the_backlog_bounds_what_waits(backlog: int) -> None:
    host = make()
    listener = host.listen(80, backlog=backlog)
    for number in range(50):
        shake(host, number)
    assert len(listener.queue) <= backlog
    assert len(host.connections) <= 2 * backlog
    taken = 0
    while listener.accept() is not None:
        taken += 1
    assert taken == backlog
    before = len(listener.queue)
    shake(host, 100)
    assert len(listener.queue) == before + 1


def test_cookies_serve_who_answers() -> None:
    host = make()
    listener = host.listen(80, backlog=4)
    for number in range(20):
        host.receive(Packet(V4[1], V4[0], 2000 + number, 80, 5, 0, 2, 5000), 0)
        assert len(host.take_output(0)) == 1
    assert len(host.connections) == 4
    assert shake(host, 1) == 0
    assert len(listener.queue) == 1
    # a wrong cookie, and a right one for another port
    host.receive(Packet(V4[1], V4[0], 999, 80, 6, 12345, 16, 5000), 0)
    (answer,) = host.take_output(0)
    assert answer.flags == 4
    assert len(listener.queue) == 1


def test_a_connection_is_found_by_all_four() -> None:
    """Two connections that differ in one of address and port do not mix."""
    host = make()
    listener = host.listen(80)
    host.listen(81)
    for src, sport, dst, dport in (
        (V4[1], 5000, V4[0], 80), (V4[1], 5001, V4[0], 80), (bytes((192, 0, 2, 3)), 5000, V4[0], 80),
        (V4[1], 5000, bytes((192, 0, 2, 9)), 80), (V4[1], 5000, V4[0], 81),
    ):  # fmt: skip
        host.receive(Packet(src, dst, sport, dport, 5, 0, 2, 5000), 0)
    answers = host.take_output(0)
    assert len({(p.src, p.sport, p.dst, p.dport) for p in answers}) == 5
    assert len({p.seq for p in answers}) == 5
    assert len(listener.half_open) == 4


def test_a_player_chooses_the_initial_number() -> None:
    for iss, irs in NUMBERS:
        player = Player(BARE, iss, irs)
        player.play("connect\n> SYN 0")
        assert player.socket.connection is not None
        assert player.socket.connection.iss & 0xFFFFFFFF == iss
