"""The story for a lesson: every packet in one line with both ends' states, and the path of certificates as a tree.

Between the two depths of ``views.connection``: the whole story has every field, the brief one leaves packets out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from synfin.observe.story import Connection
from synfin.views.ladder import ladder
from synfin.views.paint import PLAIN, Paint
from synfin.views.timeline import timeline
from synfin.views.told import Item
from synfin.views.words import clean, count, pad, width_of, wrap


def packet_ladder(connection: Connection, width: int = 100, paint: Paint = PLAIN) -> Iterator[str]:
    """One line for each packet of ``connection``, with both ends' states after it; long runs are folded."""
    steps = timeline(connection)
    for step in steps:
        said = [item for item in step.items if item.text]
        if len(said) > 1:
            tone = next((item.tone for item in said if item.tone not in ("", "dim")), "")
            text = ", ".join(_short(item) for item in said)
            step.items = [Item(text, (), max(item.weight for item in said), tone)]
        elif said:
            step.items = [said[0]._replace(details=())]
    yield from ladder(steps, connection.start, width, paint)


def _short(item: Item) -> str:
    text = item.brief.replace(" (decrypted)", "")
    for end in (" (says nothing", ": has nothing", ": HEADER_TABLE_SIZE"):
        text = text.partition(end)[0]
    return text


def headline(text: str, more: str, width: int = 100, paint: Paint = PLAIN) -> Iterator[str]:
    """A title and, beside it or, where it is narrow, below, what it is about."""
    if width_of(text) + 2 + width_of(more) <= width:
        yield f"{paint('title', text)}  {paint('dim', more)}"
        return
    yield paint("title", text)
    yield from (paint("dim", line) for line in wrap(f"  {more}", width, 0))


def commands(pairs: Sequence[tuple[str, str]], width: int = 100, paint: Paint = PLAIN) -> Iterator[str]:
    """Commands to go on with, and beside each or, where it is narrow, below, what it brings."""
    room = max(width_of(command) for command, _ in pairs)
    beside = width - room - 4
    for command, what in pairs:
        if beside >= 24:
            first, *rest = wrap(what, beside, 0)
            yield f"  {pad(command, room)}  {paint('dim', first)}"
            yield from (" " * (room + 4) + paint("dim", line) for line in rest)
        else:
            yield f"  {command}"
            yield from (paint("dim", line) for line in wrap(f"    {what}", width, 0))


def path_tree(names: Sequence[str], why: Sequence[str], width: int = 100, paint: Paint = PLAIN) -> Iterator[str]:
    """A path from the root down: each of ``names`` a step further in, with what speaks for it."""
    for depth, (name, reason) in enumerate(zip(names, why, strict=True)):
        lead = "  " + "   " * depth + ("└▶ " if depth else "")
        first, *rest = wrap(f"{clean(name)}: {clean(reason)}", max(width - len(lead), 24), 0)
        title, colon, words = first.partition(":")
        yield f"{lead}{paint('bold', title)}{colon}{words}"
        yield from (" " * len(lead) + line for line in rest)


def quoted(text: str, word: str, paint: Paint = PLAIN) -> str:
    """``text`` without its markup and line ends, in quotation marks, with ``word`` in the colour of what is bad."""
    plain = clean(" ".join(_without_tags(text).split()))
    return "“" + plain.replace(word, paint("bad", word)) + "”"


def _without_tags(text: str) -> str:
    out, inside = [], False
    for char in text:
        if char in "<>":
            inside = char == "<"
            out.append(" " if inside else "")
        elif not inside:
            out.append(char)
    return "".join(out)


def covered(octets: int, algorithm: str, signer: str) -> str:
    """What one signature of a path says: who made it, over how much, with what."""
    return f"signed by {clean(signer)} ({clean(algorithm)} over {count(octets, 'octet')})"
