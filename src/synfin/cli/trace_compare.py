"""``synfin trace --compare``: the same question over http and over https, what each costs, and who else can read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synfin.drive.trace_ask import Url
from synfin.drive.trace_steps import Answered, Cause, Connected, LookedUp, Received, Shook
from synfin.errors import UsageError
from synfin.observe import observe
from synfin.observe.story import Connection
from synfin.views.paint import Paint
from synfin.views.sniffer import sniffer_json, sniffer_lines
from synfin.views.words import clean, duration, pad

if TYPE_CHECKING:
    from synfin.cli.trace_end import Done

#: Octets that the capture puts before each IP packet (Linux cooked v2), which are not on the wire.
COOKED = 20
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: costs as rows of (what, value), and its connection as somebody without keys saw it."""

    url: Url
    cause: Cause | None
    status: int | None
    costs: dict[str, int | float | None]
    sniffed: Connection | None


def both_urls(url: Url, plain: Url | None) -> tuple[Url, Url]:
    """The http and the https URL that are compared.  UsageError where one cannot be told."""
    if plain is not None:
        if plain.scheme != "http" or url.scheme != "https":
            raise UsageError("--compare wants an https URL, and --http-url an http one")
        return plain, url
    if url.port != _PORTS[url.scheme]:
        if url.scheme == "http":
            raise UsageError(f"--compare: where is https for {url}? Give that URL, and this one with --http-url")
        raise UsageError(f"--compare: where is the http side of {url}? Give it with --http-url")
    return tuple(replace(url, scheme=one, port=_PORTS[one]) for one in ("http", "https"))  # type: ignore[return-value]


def comparison(url: Url, done: Done, capture: Path) -> Side:
    """What ``done`` cost, from its capture; and the capture looked at again without its secrets."""
    hop = done.hops[-1]
    seconds: dict[str, float] = {}
    for step in hop.steps:
        match step:
            case LookedUp():
                seconds["dns"] = max((answer.seconds for answer in step.answers), default=0.0)
            case Connected():
                seconds["tcp"] = step.seconds
            case Shook():
                seconds["tls"] = step.seconds
            case Answered(head, after) if not head.informational:
                seconds["answer"] = after
            case Received():
                seconds["body"] = step.seconds
    mine = next((c for c, _, owner in done.told if owner is hop and c.tcp.handshake in ("complete", "none")), None)
    costs: dict[str, int | float | None] = {
        **{f"{name}_ns": round(seconds[name] * 1e9) if name in seconds else None for name in
           ("dns", "tcp", "tls", "answer", "body")},
        "total_ns": round(sum(seconds.values()) * 1e9),
        "round_trips": _round_trips(mine) if mine is not None else None,
        "packets": len(mine.rows) if mine is not None and mine.tcp.source == "packets" else None,
        "octets": sum(side.wire_bytes for side in mine.tcp.sides) - COOKED * len(mine.rows)
        if mine is not None and mine.tcp.source == "packets"
        else None,
        **_streams(mine),
    }  # fmt: skip
    last = hop.head
    return Side(url, hop.cause, last.status if last is not None else None, costs, _sniffed(capture, mine))


def _streams(connection: Connection | None) -> dict[str, int | float | None]:
    """The octets of both streams, and what they are: HTTP, TLS handshake messages, and what TLS puts around them."""
    if connection is None:
        return dict.fromkeys(("stream_octets", "http_octets", "handshake_octets", "sealing_octets"))
    tls, every = connection.tls, sum(stream.end for stream in connection.streams)
    if tls is None:
        return {"stream_octets": every, "http_octets": every, "handshake_octets": None, "sealing_octets": None}
    shaken = sum(message.length for message in tls.messages)
    inside = sum(stream.end for stream in tls.data) if tls.data is not None else None
    return {
        "stream_octets": every,
        "http_octets": inside,
        "handshake_octets": shaken,
        "sealing_octets": every - shaken - inside if inside is not None else None,
    }


def _round_trips(connection: Connection) -> int:
    """Until the first octet of the answer: one for TCP, those of the TLS handshake, one for the question."""
    tls = connection.tls
    rounds = 1 if connection.tcp.source == "packets" else 0
    if tls is not None and tls.server_hello is not None:
        rounds += (1 if tls.version == 0x0304 or tls.resumed else 2) + (tls.hello_retry is not None)
    return rounds + (connection.http is not None)


def _sniffed(capture: Path, mine: Connection | None) -> Connection | None:
    if mine is None:
        return None
    with observe(capture, embedded=False) as seen:
        return next((one for one in seen if one.id == mine.id), None)


_ROWS = (
    ("name looked up", "dns_ns"),
    ("TCP handshake", "tcp_ns"),
    ("TLS handshake", "tls_ns"),
    ("wait for the answer", "answer_ns"),
    ("transfer", "body_ns"),
    ("altogether", "total_ns"),
    ("round trips to the first octet", "round_trips"),
    ("packets", "packets"),
    ("octets with IP and TCP headers", "octets"),
    ("octets of the streams", "stream_octets"),
    ("  HTTP", "http_octets"),
    ("  TLS handshake messages", "handshake_octets"),
    ("  TLS records, tags, alerts", "sealing_octets"),
)


def side_by_side(sides: Sequence[Side], room: int, paint: Paint) -> Iterator[str]:
    """The table of costs, then what a sniffer reads of each."""
    yield ""
    yield paint("title", pad("", 32) + "".join(pad(side.url.scheme, 14) for side in sides) + "difference")
    for words, key in _ROWS:
        values = [side.costs[key] for side in sides]
        if all(value is None for value in values):
            continue
        yield (pad(words, 32) + "".join(pad(_value(key, value), 14) for value in values) + _more(key, values)).rstrip()
    for side in sides:
        yield ""
        yield paint("title", f"What a sniffer reads of {clean(str(side.url))}")
        if side.cause is not None:
            yield f"  the request failed: {clean(side.cause.words)}"
        if side.sniffed is None:
            yield "  nothing: there was no connection"
        else:
            yield from (f"  {line}" for line in sniffer_lines(side.sniffed, room - 2, paint))


def _value(key: str, value: int | float | None) -> str:
    if value is None:
        return "-"
    return duration(int(value)) if key.endswith("_ns") else f"{value:,}"


def _more(key: str, values: Sequence[int | float | None]) -> str:
    one, two = values[0] or 0, values[1] or 0
    if one == two:
        return ""
    sign = "+" if two > one else "-"
    return f"{sign}{_value(key, abs(two - one))}"


def both_json(sides: Sequence[Side]) -> str:
    """The comparison as one JSON object."""
    from synfin.views.json import SCHEMA, dumps

    said: dict[str, Any] = {"synfin": {"schema": SCHEMA}}
    for side in sides:
        said[side.url.scheme] = {
            "url": str(side.url),
            "status": side.status,
            "failed": side.cause.words if side.cause is not None else None,
            "costs": side.costs,
            "sniffer": sniffer_json(side.sniffed) if side.sniffed is not None else None,
        }
    return dumps({"compare": said})
