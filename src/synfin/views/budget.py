"""Where the time went: each phase in milliseconds and in round trips, and who waited for whom."""

from __future__ import annotations

from collections.abc import Iterator

from synfin.observe.budget import budget as phases_of
from synfin.observe.story import Connection
from synfin.views.paint import PLAIN, Paint
from synfin.views.words import clean, count, duration, pad, wrap

_BAR = " ▏▎▍▌▋▊▉█"
_WHAT = {
    "dns": "name look-up",
    "tcp": "TCP handshake",
    "tls": "TLS handshake",
    "request": "request sent",
    "wait": "wait for answer",
    "transfer": "transfer",
    "idle": "idle",
    "close": "close",
}
_WAITED = {
    "client": "server waited for client",
    "server": "client waited for server",
    "network": "both waited for the network",
    "both": "each waited for the other",
}


def budget(connection: Connection, width: int = 100, paint: Paint = PLAIN) -> Iterator[str]:
    """The lines of the time budget, nothing where there is none; ``width`` in cells."""
    phases = phases_of(connection)
    total = sum(phase.end - phase.start for phase in phases)
    if not total:
        return
    rtt = connection.tcp.initial_rtt
    told = f", round trip {duration(rtt)}" if rtt else ""
    yield paint("title", f"Time  {duration(total)} in {count(len(phases), 'phase')}{told}")
    bar = max(min(24, width - 64), 0)
    for phase in phases:
        took = phase.end - phase.start
        trips = "" if phase.round_trips is None else f"{_trips(phase.round_trips)} RTT"
        if not took:
            trips = ""
        long = duration(took) if took else "at once"
        part = f"{100 * took / total:.0f} %" if took else ""
        line = f"  {pad(_WHAT.get(phase.name, phase.name), 15)} {long:>9} {trips:>11} {part:>5}"
        if bar:
            line += f"  {pad(_bar(took / total, bar), bar)}"
        words = _WAITED.get(phase.waited_for, "") if took else ""
        if phase.detail:
            words = f"{words}; {clean(phase.detail)}" if words else clean(phase.detail)
        room = width - len(line) - 2
        if words and room >= 24:
            first, *rest = wrap(words, room, 0)
            yield f"{line}  {first}"
            for more in rest:
                yield " " * (len(line) + 2) + more
        else:
            yield line.rstrip()
            if words:
                yield from ("      " + more for more in wrap(words, width - 6, 0))


def _trips(number: float) -> str:
    return f"{number:.1f}" if number < 100 else f"{number:,.0f}"


def budget_line(connection: Connection) -> str:
    """The time budget in one line, empty where there is none."""
    phases = [phase for phase in phases_of(connection) if phase.end > phase.start]
    return ", ".join(f"{_WHAT.get(phase.name, phase.name)} {duration(phase.end - phase.start)}" for phase in phases)


def _bar(share: float, cells: int) -> str:
    eighths = round(share * cells * 8)
    if eighths == 0:
        return "▏" if share > 0 else ""
    return "█" * (eighths // 8) + _BAR[eighths % 8].strip()
