"""``synfin wire``: real programs on a link whose every fault can be chosen.

The client's program and the server's each get a network of their own, and between them a link of ours.  The exit code
is the client's; 2 also stands for what cannot be done, with one line that begins with "synfin:".
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synfin.errors import UsageError

if TYPE_CHECKING:
    from synfin.drive.wire import Outcome
    from synfin.drive.wire_link import Direction, Link
    from synfin.sim import Conditions

_TIMES = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_RATES = {"bit": 1, "kbit": 1_000, "mbit": 1_000_000, "gbit": 1_000_000_000}
_SIZES = {"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20}
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z%/]*)\Z")


def wire(
    command: Annotated[
        list[str],
        typer.Argument(metavar="COMMAND...", help="The client's program; the name 'server' is the far end."),
    ],
    server: Annotated[
        list[str], typer.Option("--server", metavar="COMMAND", help="A program for the far end; repeatable.")
    ] = [],  # noqa: B006  typer copies defaults
    name: Annotated[
        list[str],
        typer.Option("--name", metavar="HOST", help="One more name for the server (www.example.com); repeatable."),
    ] = [],  # noqa: B006
    six: Annotated[bool, typer.Option("-6", "--ipv6", help="The name 'server' is an IPv6 address.")] = False,
    delay: Annotated[
        str,
        typer.Option(metavar="TIME", help="One way: 50ms, 0.2s, 300us. UP:DOWN for different ways, here and below."),
    ] = "0ms",
    jitter: Annotated[
        str, typer.Option(metavar="TIME", help="Up to so much more delay; packets keep their order.")
    ] = "0ms",
    loss: Annotated[
        str, typer.Option(metavar="PERCENT", help="Packets lost: 5%; 5%:0% loses only what the client sends.")
    ] = "0%",
    reorder: Annotated[
        str, typer.Option(metavar="PERCENT", help="Packets held back so that others overtake them.")
    ] = "0%",
    reorder_by: Annotated[str, typer.Option(metavar="TIME", help="How long they are held back.")] = "20ms",
    duplicate: Annotated[str, typer.Option(metavar="PERCENT", help="Packets that arrive twice.")] = "0%",
    corrupt: Annotated[str, typer.Option(metavar="PERCENT", help="Packets in which a bit is turned.")] = "0%",
    rate: Annotated[str, typer.Option(metavar="RATE", help="10mbit, 500kbit; without it there is no limit.")] = "",
    queue: Annotated[
        str, typer.Option(metavar="SIZE", help="What may wait for the rate: 64k, 1m; more is dropped.")
    ] = "1m",
    mtu: Annotated[
        str, typer.Option(metavar="OCTETS", help="Longest packet of the path; the senders' devices have 1500.")
    ] = "1500",
    black_hole: Annotated[
        bool, typer.Option("--black-hole", help="Longer packets vanish in silence: no ICMP goes back.")
    ] = False,
    rst_at: Annotated[
        str,
        typer.Option(
            metavar="BYTE", help="Forge a RST when this byte of the server's stream passes; up:BYTE, of the client's."
        ),
    ] = "",
    cut_at: Annotated[str, typer.Option(metavar="BYTE", help="Silence from this byte of a connection on.")] = "",
    cut_after: Annotated[str, typer.Option(metavar="TIME", help="Silence so long after a connection began.")] = "",
    drop_syn: Annotated[int, typer.Option(metavar="N", min=0, help="Lose the first N SYNs of each connection.")] = 0,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="The same chance again; without it, a new one (it is printed)."),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            "-w", "--write", metavar="FILE", help="Capture what passes (pcapng, with the client's TLS secrets)."
        ),
    ] = None,
    at: Annotated[
        str, typer.Option(metavar="client|server|both", help="Where the capture is made; both: two files.")
    ] = "client",
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to wait until the server listens.")
    ] = 10.0,
    json: Annotated[
        bool, typer.Option("--json", help="The summary as one JSON object, on stderr as the text would be.")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No summary at the end.")] = False,
) -> int:
    """Put two programs on a link whose faults you choose.

    \b
    synfin wire --loss 5% --server 'nginx -c FILE' -- curl http://server/

    Both programs run in networks of their own, without a way to any other. There the names 'server' and 'client' mean
    the two ends, as {server} and {client} do in both commands. TCP, UDP and ICMP pass, IPv4 and IPv6. Everything ends
    when the client's program does, and its exit code is passed on. Needs root, or user namespaces.
    """
    import secrets

    from synfin.drive.wire import Plan, Wire
    from synfin.drive.wire_link import Aimed, Link

    if at not in ("client", "server", "both"):
        raise UsageError(f"--at {at}: choose client, server or both")
    if not server:
        raise UsageError("nothing runs at the far end: add --server 'COMMAND'")
    words = {
        "--delay": delay,
        "--jitter": jitter,
        "--loss": loss,
        "--reorder": reorder,
        "--reorder-by": reorder_by,
        "--duplicate": duplicate,
        "--corrupt": corrupt,
        "--rate": rate,
        "--queue": queue,
        "--mtu": mtu,
    }
    up, down = (_conditions(words, way, black_hole) for way in (0, 1))
    aimed = Aimed(
        reset_at=_octet("--rst-at", rst_at),
        cut_at=_octet("--cut-at", cut_at),
        cut_after=_time("--cut-after", cut_after) if cut_after else None,
        drop_syns=drop_syn,
    )
    chosen = secrets.randbelow(1 << 32) if seed is None else seed
    link = Link(up, down, chosen, aimed)
    taps = _taps(write, at)
    plan = Plan(client=command, servers=server, names=name, six=six, wait=wait)
    outcome = Wire(link, taps).run(plan)
    files = [path for path in taps if path is not None]
    if json:
        _object(link, outcome, chosen, files)
    elif not quiet:
        _summary(link, outcome, chosen, files)
    return outcome.code


def _conditions(words: dict[str, str], way: int, black_hole: bool) -> Conditions:
    """One direction's conditions, 0 towards the server and 1 back; ``words`` are the options as they were written."""
    from synfin.sim import Conditions

    def time(option: str) -> int:
        return _time(option, _side(option, words[option], way))

    def share(option: str) -> float:
        return _share(option, _side(option, words[option], way))

    def amount(option: str, units: dict[str, int], example: str) -> int:
        return _amount(option, _side(option, words[option], way), units, example)

    return Conditions(
        delay=time("--delay"),
        jitter=time("--jitter"),
        loss=share("--loss"),
        reorder=share("--reorder"),
        reorder_by=time("--reorder-by"),
        duplicate=share("--duplicate"),
        corrupt=share("--corrupt"),
        rate=amount("--rate", _RATES, "10mbit") if words["--rate"] else 0,
        queue=amount("--queue", _SIZES, "64k"),
        mtu=_mtu(_side("--mtu", words["--mtu"], way)),
        black_hole=black_hole,
    )


def _side(option: str, text: str, way: int) -> str:
    """The part of UP:DOWN for one direction."""
    parts = text.split(":")
    if len(parts) > 2 or not all(parts):
        raise UsageError(f"{option} {text}: write one value, or UP:DOWN")
    return parts[way] if len(parts) == 2 else parts[0]


def _amount(option: str, text: str, units: dict[str, int], example: str) -> int:
    found = _NUMBER.match(text)
    unit = found[2].lower() if found else ""
    if found is None or unit not in units:
        raise UsageError(f"{option} {text}: write it like {example}")
    return int(float(found[1]) * units[unit])


def _time(option: str, text: str) -> int:
    """Nanoseconds."""
    return 0 if text == "0" else _amount(option, text, _TIMES, "50ms, 300us or 1.5s")


def _share(option: str, text: str) -> float:
    """A probability, from a percentage or a number up to 1."""
    found = _NUMBER.match(text)
    value = float(found[1]) / (100 if found[2] == "%" else 1) if found and found[2] in ("", "%") else 2.0
    if not 0 <= value <= 1:
        raise UsageError(f"{option} {text}: write it like 5% (0% to 100%), or 0.05")
    return value


def _mtu(text: str) -> int:
    if not text.isdigit() or not 68 <= int(text) <= 1500:
        raise UsageError(f"--mtu {text}: a number from 68 to 1500")
    return int(text)


def _octet(option: str, text: str) -> tuple[bool, int] | None:
    """(towards the server?, octet)."""
    if not text:
        return None
    side, _, number = text.rpartition(":")
    if side not in ("", "up", "down"):
        raise UsageError(f"{option} {text}: write a byte, or up:BYTE for what the client sends")
    return side == "up", _amount(option, number, _SIZES, "5000 or 64k")


def _taps(write: Path | None, at: str) -> tuple[Path | None, Path | None]:
    """Where the client's and the server's end are captured."""
    if write is None:
        return None, None
    if at == "both":
        stem, suffix = write.stem, write.suffix or ".pcapng"
        return write.with_name(f"{stem}-client{suffix}"), write.with_name(f"{stem}-server{suffix}")
    return (write, None) if at == "client" else (None, write)


def _summary(link: Link, outcome: Outcome, seed: int, files: list[Path]) -> None:
    """What really happened, on stderr."""
    import sys

    from synfin.cli.terminal import one_line
    from synfin.views.words import count

    lines = [f"the client ended after {outcome.seconds:.2f} s with exit code {outcome.code}; seed {seed}"]
    lines += [one_line(text) for text in outcome.notes]
    lines += [f"to the {end}: {_counts(way)}" for end, way in (("server", link.up), ("client", link.down))]
    if link.forged:
        lines.append(f"{count(link.forged, 'RST')} forged")
    for path in files:
        lines.append(f"captured in {path}: see it with `synfin read {path}`, judge it with `synfin check {path}`")
    sys.stdout.flush()
    sys.stderr.write("".join(f"synfin wire: {line}\n" for line in lines))


def _object(link: Link, outcome: Outcome, seed: int, files: list[Path]) -> None:
    """The same for programs."""
    import sys

    from synfin.views.json import SCHEMA, dumps

    said = {
        "synfin": {"schema": SCHEMA},
        "exit_code": outcome.code,
        "seconds": round(outcome.seconds, 6),
        "seed": seed,
        "notes": outcome.notes,
        "forged_resets": link.forged,
        "captures": [str(path) for path in files],
    }
    for end, way in (("to_server", link.up), ("to_client", link.down)):
        fates = {str(fate).replace(" ", "_"): number for fate, number in way.counts.items()}
        said[end] = {"packets": way.packets, "octets": way.octets, "delivered": 0, **fates}
    sys.stdout.flush()
    sys.stderr.write(dumps(said) + "\n")


def _counts(way: Direction) -> str:
    """One direction's packets and fates in words."""
    from synfin.views.words import count

    parts = [count(way.packets, "packet"), count(way.octets, "octet")]
    for fate, number in way.counts.items():
        if fate != "delivered":
            parts.append(f"{number:,} {fate}")
    if way.packets and way.counts["delivered"] == way.packets:
        parts.append("all delivered")
    return ", ".join(parts)
