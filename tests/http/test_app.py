"""Conditions of RFC 9110, the echo, and pages that nothing can be smuggled into."""

from __future__ import annotations

import json

import pytest

from synfin.http.app import (
    Request,
    Row,
    Validators,
    clean,
    condition,
    listing,
    not_allowed,
)
from synfin.http.app_echo import echo

NOW = Validators('"tag"', 1_700_000_000)  # Tue, 14 Nov 2023 22:13:20 GMT
THEN, LATER = "Tue, 14 Nov 2023 22:13:19 GMT", "Tue, 14 Nov 2023 22:13:20 GMT"


def asked(method: str = "GET", body: bytes = b"", path: str = "/", **headers: str) -> Request:
    fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Request(method, path, path, "", "1.1", fields, body)


@pytest.mark.parametrize(
    ("headers", "method", "status"),
    [
        ({}, "GET", 200),
        ({"if_none_match": '"tag"'}, "GET", 304),
        ({"if_none_match": 'W/"tag"'}, "HEAD", 304),
        ({"if_none_match": '"x", "tag"'}, "PUT", 412),
        ({"if_none_match": "*"}, "GET", 304),
        ({"if_none_match": '"x"', "if_modified_since": LATER}, "GET", 200),
        ({"if_modified_since": LATER}, "GET", 304),
        ({"if_modified_since": THEN}, "GET", 200),
        ({"if_modified_since": "yesterday"}, "GET", 200),
        ({"if_match": '"x"'}, "GET", 412),
        ({"if_match": 'W/"tag"'}, "GET", 412),
        ({"if_match": '"tag"', "if_unmodified_since": THEN}, "GET", 200),
        ({"if_unmodified_since": THEN}, "GET", 412),
        ({"if_unmodified_since": LATER}, "GET", 200),
    ],
    ids=lambda value: "-".join(value) or "none" if isinstance(value, dict) else str(value),
)
def test_conditions_in_the_order_of_the_rfc(headers: dict[str, str], method: str, status: int) -> None:
    assert condition(asked(method, b"", "/", **headers), NOW) == status


def test_echo() -> None:
    back = echo(asked("POST", b"\0body", content_type="image/png"))
    assert back.body == b"\0body" and ("content-type", "image/png") in back.headers
    told = echo(asked("DELETE", path="/\xc3\xbc"))
    assert isinstance(told.body, bytes) and json.loads(told.body)["path"] == "/ü"
    whole = echo(asked("POST", b"\xff", path="/json"))
    assert isinstance(whole.body, bytes) and json.loads(whole.body)["body_base64"] == "/w=="
    assert echo(asked("OPTIONS")).status == 204
    assert echo(asked("TRACE")).status == 405
    assert not_allowed(asked("BREW"), ("GET",)).status == 501


def test_pages_and_lines_cannot_be_written_by_names() -> None:
    page = listing("/<script>", [Row("<b>&\"'", "./%22", 1, "")]).decode()
    assert "<script>" not in page and "<b>" not in page
    assert clean("a\x1b[31m\r\nb") == "a\\x1b[31m\\x0d\\x0ab"
