"""The JSON view says what docs/reference/json.md documents, no more and no less, and cannot harm a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synfin.judge.model import Actor, Confidence, Finding, NotJudged, Severity
from synfin.observe.evidence import Evidence
from synfin.views.json import SCHEMA, connection_json, dumps
from tests.support.shared import captures, needs_shared
from tests.views.everything import everything
from tests.views.support import stories, story_of

DOC = Path(__file__).resolve().parents[2] / "docs" / "reference" / "json.md"

PROOF = Evidence((4, 5), 1, 10, 20, "client_hello.random")
FINDING = Finding(
    "TLS999",
    Severity.ERROR,
    Actor.SERVER,
    "title",
    "cause",
    "remedy",
    (PROOF,),
    Confidence.LIKELY,
    "why",
    "how",
    "there",
)

_SIDES = re.compile(
    r"^(tcp|tcp\.final|streams|tls\.(?:start|close_notify|records|decryption|decrypted))\.(?:client|server)\b"
)


def normal(path: str) -> str:
    path = path.replace("client_hello_2", "client_hello").replace("outer_http", "http")
    path = re.sub(r"(?:\.symptoms\[\])+", "", path)
    path = _SIDES.sub(r"\1.SIDE", path)
    path = re.sub(r"marks\.\w+$", "marks.NAME", path)
    return re.sub(r"^.*\.evidence(?:\[\])?\.", "evidence.", path)


def leaves(value: Any, path: str = "") -> set[str]:
    """The paths of everything that is not an object and not a list of objects."""
    if isinstance(value, dict):
        return {leaf for key, inner in value.items() for leaf in leaves(inner, f"{path}.{key}" if path else key)}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {leaf for inner in value for leaf in leaves(inner, path + "[]")}
    return {normal(path)}


def documented() -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", DOC.read_text(encoding="utf-8"), re.MULTILINE)


def types() -> dict[str, str]:
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", DOC.read_text(encoding="utf-8"), re.MULTILINE))


def values(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every object's members with their normal paths, down to what has a documented type."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from values(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for inner in value:
            yield from values(inner, path + "[]")
    else:
        yield normal(path), value


def fits(value: Any, kind: str) -> bool:
    """Whether ``value`` is of the documented type ``kind``."""
    if kind.endswith("?"):
        return value is None or fits(value, kind[:-1])
    if kind.startswith("["):
        return isinstance(value, list) and all(fits(item, kind[1:-1]) for item in value)
    if kind in ("int", "float"):
        return type(value) in ((int,) if kind == "int" else (int, float))
    if kind == "bool":
        return isinstance(value, bool)
    return isinstance(value, str) and {
        "str": True,
        "time": bool(re.fullmatch(r"-?\d+\.\d{9}", value)),
        "hex": bool(re.fullmatch(r"-?[0-9a-f]*", value)),
        "side": value in ("client", "server"),
    }.get(kind, False)


def assert_types(value: Any) -> None:
    known = types()
    for path, inner in values(value):
        kind = known.get(path)
        if kind is not None and inner != []:
            assert fits(inner, kind), f"{path} should be {kind}, is {inner!r}"


def test_values_are_of_their_documented_types() -> None:
    assert_types(connection_json(everything(), [FINDING], [NotJudged("TCP999", "no reason")], "file.pcap"))


#: Paths of objects that may be null or empty: there as a leaf then.
def branches() -> set[str]:
    found = set()
    for path in documented():
        parts = path.split(".")
        for length in range(1, len(parts)):
            found.add(".".join(parts[:length]).removesuffix("[]"))
            found.add(".".join(parts[:length]))
    return found | {"tls.client_hello", "http"}


def test_every_key_is_documented_once_and_every_documented_key_exists() -> None:
    finding = FINDING.__class__(**{**_fields(FINDING), "symptoms": (FINDING,)})
    value = connection_json(everything(), [finding], [NotJudged("TCP999", "no reason")], "file.pcap")
    found = leaves(value)
    keys = documented()
    assert len(keys) == len(set(keys))
    containers = {"findings[].evidence", "findings[].symptoms", "tls.problems[].evidence", "http.problems[].evidence"}
    assert found - set(keys) - branches() == set()
    assert set(keys) - found - containers == set()


def _fields(finding: Finding) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in Finding.__slots__}


def test_schema_number_is_the_documented_one() -> None:
    assert f"version of this schema: {SCHEMA} " in DOC.read_text(encoding="utf-8")
    assert connection_json(everything())["synfin"] == {"schema": SCHEMA}


def test_one_line_of_ascii_that_reads_back() -> None:
    value = connection_json(everything(), [FINDING], [], "odd\x1b[31m\u202e name\n")
    line = dumps(value)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == json.loads(json.dumps(value))


def test_times_keep_their_nanoseconds() -> None:
    value = connection_json(story_of("0.000000001 a > b SYN\n0.5 b > a RST,ACK"))
    assert value["start"] == "1700000000.000000001"
    assert value["end"] == "1700000000.500000000"
    assert value["duration_ns"] == 499_999_999


def test_a_refused_connection() -> None:
    value = connection_json(story_of("0.0 a > b SYN\n0.001 b > a RST,ACK"))
    assert value["outcome"] == {"kind": "refused", "words": "server refused (RST)", "failed": True}
    assert value["tls"] is None
    assert value["http"] is None
    assert value["tcp"]["rst_first_by"] == "server"


@needs_shared
@pytest.mark.parametrize("path", captures(), ids=lambda path: path.name)
def test_real_captures_use_documented_keys_only(path: Path) -> None:
    known = set(documented()) | branches()
    for connection in stories(path):
        value = connection_json(connection)
        assert leaves(value) - known == set()
        assert_types(value)
        assert json.loads(dumps(value))["id"] == connection.id
