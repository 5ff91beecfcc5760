"""The ladder: one connection from top to bottom, time on the left, arrows between two ends, words on the right.

Both ends' TCP states stand beside the arrows and are written where one of them changes; a state in parentheses is
assumed, no packet shows it (RFC 9293 states are known only from evidence).  Where it is narrow they go on a line of
their own.  ``brief`` tells only events, joined to flights: about a dozen lines for an ordinary connection.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from synfin.observe.story_tcp import EndState, Knowledge
from synfin.views.outcome import SIDES
from synfin.views.paint import PLAIN, Paint
from synfin.views.timeline import Step, fold
from synfin.views.told import EVENT, ROUTINE, TURN, Item
from synfin.views.words import count, duration, moment, pad, wrap

#: Cells from which states have columns, and from which gaps have one.
WIDE, GAPS = 110, 72
#: Cells of a state: "(ESTABLISHED)" and one between.
_STATE = 14
_ARROWS = {0: "──▶", 1: "◀──", None: " ● "}
#: Lines of a brief ladder, at most; more flights than that are counted.
BRIEF = 16


def ladder(
    steps: Sequence[Step], origin: int, width: int = 100, paint: Paint = PLAIN, *, brief: bool = False
) -> Iterator[str]:
    """The lines of the ladder over ``steps``; times count from ``origin``, ``width`` in cells."""
    page = _Page(steps, origin, width, paint)
    yield from page.heading()
    if brief:
        yield from page.brief(steps)
        return
    for step in fold(list(steps)):
        yield from page.step(step)
    yield from page.legend(steps)


class _Page:
    """The columns of one ladder."""

    def __init__(self, steps: Sequence[Step], origin: int, width: int, paint: Paint) -> None:
        self.origin = origin
        self.paint = paint
        self.width = width
        stated = any(step.states is not None for step in steps)
        self.columns = stated and width >= WIDE
        self.below = stated and not self.columns
        self.gaps = width >= GAPS
        last = steps[-1] if steps else None
        self.time_width = max((len(moment(step.time - origin)) for step in steps), default=8)
        self.packet_width = max(len(f"{last.packets[-1]}") if last else 0, 3)
        self.notable = _notable(steps)

    def heading(self) -> Iterator[str]:
        line = f"{'time':>{self.time_width}} {'+gap' if self.gaps else '':>8} {'pkt':>{self.packet_width}}  "
        if self.columns:
            line += f"{pad('client', _STATE)}     {pad('server', _STATE)} "
        else:
            line += "c     s "
        yield self.paint("dim", line.rstrip())

    def step(self, step: Step) -> Iterator[str]:
        items = [item for item in step.items if item.text] or [Item("nothing", (), ROUTINE, "dim")]
        left = self._left(step)
        room = max(self.width - len(left[1]), 24)
        lines: list[tuple[str, str]] = []
        for item in items:
            tone = item.tone or ("bold" if item.weight == EVENT else "")
            text = item.text
            if step.folded and len(step.packets) > 1:
                text = f"{count(len(step.packets), 'packet')} ({step.packets[0]} to {step.packets[-1]}): {text}"
            lines += [(tone, line) for line in wrap(text, room)]
            for detail in item.details:
                lines += [("", line) for line in wrap("  " + detail, room)]
        if self.below and step.changed and step.states is not None:
            lines += (
                ("dim", line)
                for line in wrap(f"client {_state(step.states[0])}, server {_state(step.states[1])}", room)
            )
        first, *rest = lines
        yield f"{left[0]}{self.paint(*first)}".rstrip()
        blank = self._blank()
        for line in rest:
            yield f"{blank}{self.paint(*line)}".rstrip()

    def _left(self, step: Step) -> tuple[str, str]:
        """What stands before the words: painted, and plain (for its width)."""
        gap = f"+{duration(step.gap)}" if self.gaps and step.gap >= self.notable else ""
        time = f"{moment(step.time - self.origin):>{self.time_width}}"
        number = f"{step.packets[0]:>{self.packet_width}}"
        arrow = _ARROWS[step.sender] if not step.folded or step.sender is not None else "◀─▶"
        side = SIDES[step.sender] if step.sender is not None else "dim"
        parts = [("", f"{time} "), ("dim", f"{gap:>8} " if self.gaps else " "), ("dim", f"{number}  ")]
        if self.columns:
            a, b = self._states(step)
            parts += [("client", pad(a, _STATE)), ("", " "), (side, arrow), ("", " ")]
            parts += [("server", pad(b, _STATE)), ("", " ")]
        else:
            parts += [("", "│"), (side, arrow), ("", "│  ")]
        return "".join(self.paint(*part) for part in parts), "".join(text for _, text in parts)

    def _states(self, step: Step) -> tuple[str, str]:
        if step.states is None or not step.changed:
            return "│".center(_STATE), "│".center(_STATE)
        return _state(step.states[0]), _state(step.states[1])

    def _blank(self) -> str:
        blank = " " * (self.time_width + 1 + (9 if self.gaps else 1) + self.packet_width + 2)
        if self.columns:
            bar = "│".center(_STATE)
            return f"{blank}{bar}     {bar} "
        return f"{blank}│   │  "

    def legend(self, steps: Sequence[Step]) -> Iterator[str]:
        states = [state for step in steps if step.states is not None for state in step.states]
        if any(state.knowledge is Knowledge.ASSUMED for state in states):
            yield self.paint("dim", "(STATE) is assumed: no packet shows it.")

    def brief(self, steps: Sequence[Step]) -> Iterator[str]:
        """Flights: neighbouring events of one sender on one line, without their details."""
        flights: list[Step] = []
        for step in steps:
            events = [item for item in step.items if item.weight >= TURN]
            if not events:
                continue
            last = flights[-1] if flights else None
            if last is not None and last.sender == step.sender and step.sender is not None:
                last.items += events
                last.packets += step.packets
                last.states, last.end, last.changed = step.states, step.end, last.changed or step.changed
            else:
                flights.append(
                    Step(
                        step.time, step.gap, step.sender, step.packets, events, step.states, step.changed, end=step.end
                    )
                )
        left_out = len(flights) - BRIEF
        if left_out > 1:
            middle = flights[BRIEF // 2 : -(BRIEF // 2)]
            numbers = [number for flight in middle for number in flight.packets]
            told = f"… {count(len(middle), 'more flight')} in packets {min(numbers)} to {max(numbers)}"
            joined = Step(middle[0].time, 0, None, tuple(numbers), [Item(told, (), ROUTINE, "dim")], folded=True)
            flights = [*flights[: BRIEF // 2], joined, *flights[-(BRIEF // 2) :]]
        for flight in flights:
            said = Counter(item.brief for item in flight.items)
            text = ", ".join(f"{words} (×{number})" if number > 1 else words for words, number in said.items())
            tone = next((item.tone for item in flight.items if item.tone not in ("", "dim")), flight.items[0].tone)
            flight.items = [Item(text, (), EVENT, tone)]
            yield from self.step(flight)
        shown = {packet for flight in flights for packet in flight.packets}
        silent = sum(packet not in shown for step in steps for packet in step.packets)
        if silent:
            told = f"{count(silent, 'packet')} more: acknowledgements, repetitions, parts of the above."
            yield from (self.paint("dim", line) for line in wrap(told, self.width, 0))


def _state(state: EndState) -> str:
    return f"({state.state})" if state.knowledge is Knowledge.ASSUMED else state.state


def _notable(steps: Sequence[Step]) -> int:
    """Gaps shorter than this go without saying: a millisecond, or a thousandth of a long story."""
    total = steps[-1].end - steps[0].time if steps else 0
    return max(1_000_000, total // 1000)
