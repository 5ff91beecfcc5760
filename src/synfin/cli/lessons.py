"""The scenes of ``synfin demo --scene``: a classic lesson about TCP, told from its capture, with what it teaches.

What happens is played by ``lab.lessons`` and told by the observer; here are only the sentences beside it, and the truth
of the engines, with which the reader can compare what the capture shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from synfin.judge.engine import Judged
    from synfin.lab.lessons import Lesson
    from synfin.views.paint import Paint


class Words(NamedTuple):
    """What is said of a lesson: its title, what happens, and what it teaches."""

    title: str
    happens: str
    teaches: str


WORDS = {
    "stale-syn": Words(
        "Why three segments open a connection and not two",
        "A SYN that wandered about the network arrives at Bob just before the one Alice means. Bob cannot know that it "
        "is old, and answers.",
        "Alice finds a number acknowledged that she never sent and answers RST: Bob forgets it, and nobody is "
        "connected. With two segments Bob would have been, with nobody. The SYN she means then opens as usual "
        "(RFC 9293 3.5, figure 8).",
    ),
    "duplicate-syn-ack": Words(
        "A SYN-ACK that comes twice",
        "The network delivers Bob's SYN-ACK a second time, when Alice has long gone on.",
        "Its numbers lie before what Alice expects, so it is not acceptable: she repeats her acknowledgment, and "
        "nothing else changes (RFC 9293 3.10.7.4, first and fourth). The ladder shows Bob as a SYN-ACK shows him: a "
        "capture at Alice's host cannot tell a copy made by the network from one that Bob sent again.",
    ),
    "simultaneous-open": Words(
        "Two who call each other at once",
        "Alice and Bob connect to each other at the same moment; nobody listens. Their SYNs cross.",
        "One connection comes of it, not two: each goes from SYN_SENT to SYN_RECEIVED by the other's SYN and says "
        "SYN-ACK (RFC 9293 3.5, figure 7).",
    ),
    "old-duplicate": Words(
        "What sequence numbers are for",
        "A copy of Alice's question wanders about and arrives when Bob has read and answered it.",
        "Its octets have numbers that Bob has read: he does not read them again, says in his acknowledgment which "
        "octets came twice (D-SACK, RFC 2883), and his program hears one question.",
    ),
    "past-connection": Words(
        "Why a connection does not begin at number 0",
        "Alice asks a first question; Bob answers and closes. She calls again from the same port, and a copy of the "
        "first question arrives in the second connection.",
        "Numbers of a new connection begin above those of the last one between the same ports (RFC 6528), and the "
        "timestamp of the copy is older than the last one heard (PAWS, RFC 7323 5). Either shows that it is from "
        "another time: Bob acknowledges what he has, drops it, and his program hears the second question alone. That "
        "Alice may call again so soon, though Bob is in TIME_WAIT, is for the same reasons (RFC 6191).",
    ),
    "lost-segment": Words(
        "A segment is lost in the middle",
        "Bob sends 14,000 octets; the network loses the second segment.",
        "Each segment behind the hole makes Alice repeat her acknowledgment and report what she has (SACK, RFC 2018). "
        "Bob sends the missing one again at once, and nothing else: one round trip, no timeout.",
    ),
    "zero-window": Words(
        "A receiver that does not read",
        "Alice's program reads nothing for three seconds, and her host has room for 4,096 octets only.",
        "The window closes and Bob waits. He probes it, for the segment that opens it again could be lost, and both "
        "would wait for ever (RFC 9293 3.8.6.1). Not the network was slow but Alice's program.",
    ),
    "half-close": Words(
        "Why four segments close a connection and not three",
        "Alice closes as soon as she has asked: she has nothing more to say. Bob has.",
        "Each direction is closed by its own side: after her FIN Alice still hears Bob's answer. Four segments, unless "
        "the second and third happen to be one (RFC 9293 3.6).",
    ),
    "lost-last-ack": Words(
        "What TIME_WAIT is for",
        "All is said and both have closed, but the network loses Alice's last acknowledgment (packet 9).",
        "Bob cannot know whether his FIN arrived and sends it again. Alice is still there to acknowledge it: that is "
        "why who closes first waits for four minutes in TIME_WAIT. Had she forgotten, Bob would have met a RST.",
    ),
    "simultaneous-close": Words(
        "Two who hang up at once",
        "Alice and Bob close at the same moment; their FINs cross.",
        "Each gets a FIN before its own is acknowledged: FIN_WAIT_1, CLOSING, TIME_WAIT, at both ends (RFC 9293 3.6, "
        "figure 13).",
    ),
    "half-open": Words(
        "Bob's host crashes, and Alice does not know",
        "Between packets 6 and 7 Bob's host starts anew: it knows of no connection. To Alice nothing has changed.",
        "What Alice sends belongs to no connection Bob knows, so his host answers RST, and hers learns of the end. "
        "Had she kept silent, she would have believed in it for ever (RFC 9293 3.5.1).",
    ),
}


def listing(width: int, paint: Paint) -> Iterator[str]:
    """The names of all scenes and what each is about, in lines of at most ``width`` cells."""
    from synfin.views.words import wrap

    room = max(map(len, WORDS))
    for name, words in WORDS.items():
        first, *rest = wrap(words.title, max(width - room - 4, 24), 0)
        yield f"  {paint('bold', f'{name:<{room}}')}  {first}"
        yield from (" " * (room + 4) + line for line in rest)


def judged(lesson: Lesson) -> list[Judged]:
    """The connections of a lesson's capture with their judgements, in order."""
    from synfin.judge.engine import Context, judge_each
    from synfin.lab.captures import observe_octets

    return sorted(judge_each(observe_octets(lesson.capture), Context()), key=lambda item: item.connection.id)


def lesson_lines(lesson: Lesson, file: Path, width: int, paint: Paint) -> Iterator[str]:
    """The whole lesson."""
    from synfin.views.lesson import commands, headline, packet_ladder
    from synfin.views.words import clean, wrap

    words = WORDS[lesson.name]
    yield paint("title", words.title)
    yield from wrap(f"  {words.happens}", width, 0)
    items = judged(lesson)
    for item in items:
        connection = item.connection
        yield ""
        number = f"Connection {connection.id}: " if len(items) > 1 else ""
        ends = f"{number}Alice {connection.a} → Bob {connection.b}, captured at {lesson.at}'s host"
        yield from (paint("dim", line) for line in wrap(ends, width))
        yield from packet_ladder(connection, width, paint)
        for finding in item.judgement.findings:
            yield from wrap(f"synfin check: {finding.severity.name.lower()} {finding.code}: {finding.title}", width)
    yield ""
    yield from wrap(f"  {words.teaches}", width, 0)
    yield ""
    yield from headline("What really happened", "from the engines, not from the capture", width, paint)
    for who, seen, got in zip(("Alice", "Bob"), lesson.states, lesson.got, strict=True):
        yield from wrap(f"  {who:<6}{' → '.join(seen)}", width, 6)
        yield f"        read {_read(got)}"
    names = list(WORDS)
    following = names[(names.index(lesson.name) + 1) % len(names)]
    yield ""
    name = clean(str(file))
    yield paint("title", f"Wrote {name}")
    pairs = (
        (f"synfin read {name} -c 0", "every field of it"),
        (f"synfin demo --scene {following}", "the next lesson; --list names all"),
    )
    yield from commands(pairs, width, paint)


def _read(got: bytes) -> str:
    from synfin.views.words import count

    text = got.decode(errors="replace")
    return f"“{text}”" if text and text.isprintable() else count(len(got), "octet")


def lesson_json(lesson: Lesson, file: Path) -> dict[str, Any]:
    """The same for programs."""
    from synfin.views.json import SCHEMA, connection_json

    words = WORDS[lesson.name]
    return {
        "synfin": {"schema": SCHEMA},
        "file": str(file),
        "seed": lesson.seed,
        "scene": lesson.name,
        "title": words.title,
        "happens": words.happens,
        "teaches": words.teaches,
        "captured_at": lesson.at,
        "truth": [
            {"name": who, "states": list(seen), "read_octets": len(got)}
            for who, seen, got in zip(("Alice", "Bob"), lesson.states, lesson.got, strict=True)
        ],
        "connections": [
            connection_json(item.connection, item.judgement.findings, (), str(file)) for item in judged(lesson)
        ],
    }
