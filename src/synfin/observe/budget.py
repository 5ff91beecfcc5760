"""Where a connection's time went: phases in order, and who was waited for in each.

Decides from facts the watchers left: the name look-up, the TCP and TLS handshakes, a proxy's dialogue before them,
then exchanges: request, wait, transfer; the time between them, and the close.  The first exchange is told by itself,
the rest in one phase that says how its time was spent.  Phases follow each other without overlap; pauses shorter
than a millisecond belong to the phase after them.

Of a wait, the share of the network is the round trip from the capture point to the server and back (SYN to SYN-ACK):
it is what the same question costs when nobody thinks.  Behind TLS without keys the exchanges are estimated from the
direction and time of application-data records, and the phases say so.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from synfin.observe.story import A, Connection, Phase
from synfin.observe.story_http import HttpMessage, HttpStory
from synfin.observe.story_tls import TlsStory
from synfin.wire.tcpflags import ACK, RST, SYN
from synfin.wire.tls.registry import is_tls13

#: A pause shorter than this is no phase of its own, ns.
PAUSE = 1_000_000

#: Application-data records of the client up to this size are taken for acknowledgements within HTTP/2, not requests.
_SMALL = 64

#: A TLS 1.3 record of this size is an alert that looks like application data (tags of 16 and of 8 octets).
_ALERTS = (19, 11)

_PROXIES = ("http-connect", "socks4", "socks5", "proxy-protocol")


class _Exchange(NamedTuple):
    """One question and its answer, ns; the answer's times are None when there is none.

    ``whole`` is False for an answer whose end never came.
    """

    start: int
    asked: int
    answered: int | None
    end: int | None
    what: str
    whole: bool = True


class _Line:
    """The phases so far and the time they reach to."""

    __slots__ = ("at", "phases", "rtt")

    def __init__(self, start: int, rtt: int | None) -> None:
        self.at = start
        self.rtt = rtt
        self.phases: list[Phase] = []

    def add(self, name: str, start: int, end: int, waited_for: str, detail: str = "", idle: str = "client") -> None:
        """Add a phase; a pause before it becomes an idle phase in which ``idle`` was waited for.

        What took no time and has nothing to tell (a transfer within one packet) is left out.
        """
        at = self.at
        if start - at > PAUSE:
            self._put("idle", at, start, idle, "")
            self.at = at = start
        self.at = max(end, at)
        if self.at > at or detail:
            self._put(name, at, self.at, waited_for, detail)

    def _put(self, name: str, start: int, end: int, waited_for: str, detail: str) -> None:
        rtt = self.rtt
        self.phases.append(Phase(name, start, end, (end - start) / rtt if rtt else None, waited_for, detail))


def budget(connection: Connection) -> tuple[Phase, ...]:
    """The phases of ``connection`` in order; times in ns on the capture's clock."""
    rows, tcp = connection.rows, connection.tcp
    if not len(rows):
        return ()
    start, last = min(rows.time[0], rows.time[-1]), max(rows.time)
    rtt = tcp.initial_rtt or _running(connection)
    if rtt is not None and rtt <= 0:  # packets that are not in the order of their times
        rtt = None
    line = _Line(start, rtt)
    if tcp.handshake != "none":
        _handshake(connection, line)
    tls, http = connection.tls, connection.http
    for preamble in connection.preambles:
        name = "proxy" if preamble.protocol in _PROXIES else "starttls"
        target = f" to {preamble.target}" if preamble.target else ""
        line.add(name, preamble.start, preamble.end, "server", f"{preamble.protocol}{target}: {preamble.status}")
    client = A
    if tls is not None:
        client = tls.client
        _tls(connection, tls, line, last)
    closing, closer = _closing(connection, last)
    exchanges: list[_Exchange] = []
    if tls is not None and (http is None or not http.tls):
        if tls.handshake_done_time is not None:
            exchanges = _estimated(tls, tls.handshake_done_time)
        elif tls.client_hello is None:  # the capture began later
            exchanges = _estimated(tls, start)
    elif http is not None:
        exchanges = _exchanges(http)
        client = next((message.sender for message in http.messages if message.kind == "request"), client)
    elif tls is None:
        _other(connection, line)
    share = max(tcp.syn_to_synack or rtt or 0, 0)
    if exchanges:
        _first(connection, line, client, exchanges[0], share, closing)
        if len(exchanges) > 1:
            _rest(line, exchanges[1:], share, closing)
    _after(connection, line, closing)
    if closing is not None:
        who = "client" if closer == client else "server"
        line.add("close", closing, last, "", _close_detail(connection, who), who)
    return (*_dns(connection, start), *line.phases)


def _dns(connection: Connection, start: int) -> tuple[Phase, ...]:
    """The look-up before the connection."""
    dns = connection.dns
    if dns is None or dns.end is None:
        return ()
    again = f", asked {dns.queries} times" if dns.queries > 1 else ""
    detail = f"{dns.qtype} of {dns.name} from {dns.server}{again}"
    end = min(dns.end, start)
    look_up = Phase("dns", min(dns.start, end), end, None, "server", detail)
    if start - end > PAUSE:
        return (look_up, Phase("idle", end, start, None, "", "between the look-up and the first packet"))
    return (look_up,)


def _handshake(connection: Connection, line: _Line) -> None:
    """SYN to the ACK that ends the handshake, with retries; where it never ended, to the last packet.

    A client that goes on without a SYN-ACK in the capture got one: what is missing is our sight of it.
    """
    rows = connection.rows
    syns = answers = 0
    end = max(rows.time)
    detail = "no answer"
    for sender, flags, time in zip(rows.sender, rows.flags, rows.time, strict=True):
        if flags & SYN:
            if flags & ACK:
                answers += 1
                detail = ""
            elif sender == A:
                syns += 1
            continue
        if flags & RST:
            end = time
            detail = "given up" if sender == A else "reset" if answers else "refused"
            break
        if flags & ACK and (sender == A or not answers):
            end = time
            if not answers:
                detail = "the answer was not captured"
            break
    retries = ""
    if syns > 1 or answers > 1:
        retries = f"SYN sent {syns} times" if syns > 1 else f"SYN-ACK sent {answers} times"
    told = ", ".join(part for part in (detail, retries) if part)
    waited_for = "network" if answers or "captured" in detail else "server"
    line.add("tcp", line.at, end, waited_for, told)


def _tls(connection: Connection, tls: TlsStory, line: _Line, last: int) -> None:
    """ClientHello to the last Finished (or to where the handshake stopped)."""
    hello = tls.client_hello
    if hello is None:
        return
    begin = min(_time_of(connection, hello.packets[0]) if hello.packets else hello.time, hello.time)
    end = tls.handshake_done_time
    if end is None:
        stop, _ = _closing(connection, last)
        line.add("tls", begin, last if stop is None else stop, "both", "not finished")
        return
    new = is_tls13(tls.version)
    if tls.early_data == "accepted":
        trips, why = 0, "early data"
    elif tls.hello_retry is not None:
        trips, why = 2, "HelloRetryRequest"
    elif new:
        trips, why = 1, f"resumed by {tls.resumed}" if tls.resumed else ""
    elif tls.resumed:
        trips, why = 1, f"resumed by {tls.resumed.replace('_', ' ')}"
    else:
        trips, why = 2, ""
    detail = f"{trips}-RTT handshake" + (f", {why}" if why else "")
    line.add("tls", begin, end, "both", detail)


def _exchanges(http: HttpStory) -> list[_Exchange]:
    """Requests with their final responses, in the order of the requests."""
    answers: dict[int, HttpMessage] = {}
    for message in http.messages:
        if message.kind == "response" and (message.status is None or message.status >= 200 or message.status == 101):
            answers.setdefault(message.stream, message)
    found = []
    for message in http.messages:
        if message.kind == "request":
            answer = answers.pop(message.stream, None)
            what = f"{message.method or '?'} {(message.target or '?')[:60]}"
            if answer is None:
                found.append(_Exchange(message.start, message.end, None, None, what))
            else:
                told = f"{what}: {answer.status}" if answer.status else what
                found.append(_Exchange(message.start, message.end, answer.start, answer.end, told, answer.complete))
    return found


def _estimated(tls: TlsStory, done: int) -> list[_Exchange]:
    """Exchanges by direction and time of encrypted records after the handshake."""
    client = tls.client
    new = skip = is_tls13(tls.version)
    found: list[_Exchange] = []
    start = asked = answered = end = None
    for record in tls.records:
        if record.type != 23 or record.inner_type not in (None, 23) or record.time < done:
            continue
        time = record.time
        if record.sender == client:
            if skip and time == done:  # the client's Finished of TLS 1.3 looks like application data
                skip = False
                continue
            if start is None and new and record.length in _ALERTS:
                continue
            if answered is not None and start is not None and asked is not None:
                if record.length <= _SMALL:
                    continue
                found.append(_Exchange(start, asked, answered, end, "estimated from encrypted records"))
                start = answered = end = None
            if start is None:
                start = time
            asked = time
        elif start is not None:
            answered = time if answered is None else answered
            end = time
    if start is not None and asked is not None:
        found.append(_Exchange(start, asked, answered, end, "estimated from encrypted records"))
    return found


def _first(
    connection: Connection, line: _Line, client: int, exchange: _Exchange, share: int, closing: int | None
) -> None:
    """Request, wait and transfer of one exchange."""
    held, why = _held(connection, client, exchange.start, exchange.asked, "client", "server")
    line.add("request", exchange.start, exchange.asked, held, f"{exchange.what}, {why}" if why else exchange.what)
    if exchange.answered is None or exchange.end is None:
        stop = closing if closing is not None else max(connection.rows.time)
        missed = bool(connection.streams[1 - client].holes)
        line.add("wait", line.at, stop, "server", "the answer was not captured" if missed else "no answer")
        return
    took = max(exchange.answered - line.at, 0)
    thinking = max(took - share, 0)
    detail = f"server {_ms(thinking)}, network {_ms(min(share, took))}"
    line.add("wait", line.at, exchange.answered, "server" if thinking > share else "network", detail)
    held, why = _held(connection, 1 - client, exchange.answered, exchange.end, "network", "client")
    stop = closing if closing is not None else max(connection.rows.time)
    if not exchange.whole and stop - exchange.end > PAUSE:
        line.add("transfer", line.at, stop, "server", f"not finished, {_ms(stop - exchange.end)} of it silence")
    else:
        line.add("transfer", line.at, exchange.end, held, why)


def _rest(line: _Line, exchanges: list[_Exchange], share: int, closing: int | None) -> None:
    """All further exchanges as one phase that says how its time was spent."""
    waiting = moving = longest = unanswered = 0
    start, reached = exchanges[0].start, exchanges[0].start
    idle = 0
    for exchange in exchanges:
        idle += max(exchange.start - reached, 0)
        reached = max(reached, exchange.asked)
        if exchange.answered is None or exchange.end is None:
            unanswered += 1
            continue
        wait = max(exchange.answered - max(exchange.asked, reached), 0)
        longest = max(longest, wait)
        waiting += wait
        moving += max(exchange.end - max(exchange.answered, reached), 0)
        reached = max(reached, exchange.end)
    if unanswered and closing is not None and exchanges[-1].answered is None:
        waiting += max(closing - reached, 0)
        reached = max(reached, closing)
    count = len(exchanges)
    detail = (
        f"{count} more exchange{'s' if count > 1 else ''}: waiting {_ms(waiting)} (longest {_ms(longest)}), "
        f"transferring {_ms(moving)}, idle {_ms(idle)}"
    )
    if unanswered:
        detail += f", {unanswered} without answer"
    thinking = max(waiting - count * share, 0)
    most = max((idle, "client"), (thinking, "server"), (reached - start - idle - thinking, "network"))
    line.add("exchanges", start, reached, most[1], detail)


def _after(connection: Connection, line: _Line, closing: int | None) -> None:
    """Octets after the last exchange that no message explains: an upgraded protocol, a tunnel."""
    http = connection.http
    if http is None or http.switched is None or (connection.tls is not None and not http.tls):
        return
    rows = connection.rows
    end = line.at
    for size, time in zip(rows.load_len, rows.time, strict=True):
        if size and time > end and (closing is None or time <= closing):
            end = time
    if end > line.at:
        line.add("transfer", line.at, end, "both", http.switched)


def _other(connection: Connection, line: _Line) -> None:
    """A connection whose protocol is not read: from the first to the last octet."""
    rows = connection.rows
    times = [time for size, time in zip(rows.load_len, rows.time, strict=True) if size]
    if times and max(times) > min(times):
        one, other = (side.unique_payload for side in connection.tcp.sides)
        line.add("transfer", min(times), max(times), "both", f"{one} octets sent, {other} received by the opener")


def _held(connection: Connection, sender: int, start: int, end: int, usual: str, receiver: str) -> tuple[str, str]:
    """Who held up what ``sender`` sent from ``start`` to ``end``: ``receiver`` by a closed window, the network, or
    (``usual``) nobody in particular.  Only what took longer than a pause is told."""
    closed = lost = 0
    for stall in connection.tcp.stalls:
        if stall.sender == sender and stall.start < end and stall.end > start:
            took = min(stall.end, end) - max(stall.start, start)
            closed += took if stall.kind == "zero_window" else 0
            lost += took if stall.kind == "retransmission_timeout" else 0
    used = 0
    for event in connection.http.h2 if connection.http is not None else ():
        if event.what == "window_stall" and event.sender == sender and event.time < end and event.until > start:
            used = max(used, min(event.until, end) - max(event.time, start))
    most, who, why = max(
        (closed, receiver, "window closed for"),
        (used, receiver, "HTTP/2 window used up for"),
        (lost, "network", "retransmission timeouts of"),
    )
    return (who, f"{why} {_ms(most)}") if most > PAUSE else (usual, "")


def _closing(connection: Connection, last: int) -> tuple[int | None, int]:
    """When the close began (first FIN or RST, or a close_notify shortly before) and by whom."""
    tcp = connection.tcp
    rows = connection.rows
    at: int | None = None
    who = A
    for side in (0, 1):
        facts = tcp.sides[side]
        for packet in (facts.fin_packet, facts.rst_packet):
            if packet is not None:
                time = _time_of(connection, packet)
                if at is None or time < at:
                    at, who = time, side
    if at is None:
        return None, who
    tls = connection.tls
    if tls is not None:
        for side in (0, 1):
            packet = tls.close_notify[side]
            if packet is not None:
                time = _time_of(connection, packet)
                if at - PAUSE <= time < at:
                    at, who = time, side
    return min(max(at, rows.time[0]), last), who


def _close_detail(connection: Connection, who: str) -> str:
    tcp = connection.tcp
    if tcp.close == "rst":
        by = "" if tcp.rst_first_by is None else (" by the opener" if tcp.rst_first_by == A else " by the other side")
        return f"reset{by}" + (" after both had closed" if tcp.rst_after_fin else "")
    if tcp.close in ("half_a", "half_b"):
        return f"only the {who} closed"
    return f"{who} closed first" if tcp.close == "fin" else ""


def _running(connection: Connection) -> int | None:
    """The round trip from the running samples of both sides, where the handshake gave none."""
    one, other = (side.rtt for side in connection.tcp.sides)
    if one is None and other is None:
        return None
    return (one[0] if one else 0) + (other[0] if other else 0) or None


def _time_of(connection: Connection, packet: int) -> int:
    rows = connection.rows
    at = bisect_left(rows.number, packet)
    return rows.time[min(at, len(rows.time) - 1)]


def _ms(time: int) -> str:
    if time < 1_000_000:
        return f"{time / 1e3:.0f} µs"
    return f"{time / 1e6:.1f} ms" if time < 1_000_000_000 else f"{time / 1e9:.2f} s"
