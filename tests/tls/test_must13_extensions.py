"""Each extension in each message of a TLS 1.3 server, asked for or not: RFC 8446 4.2 and its table, as RFC 9846 has it.

The table below is the RFC's, without those that no test needs to tell apart.  Bodies are empty, so where an extension
may stand it is decode_error or fine; elsewhere the RFC's two rules decide: what was not asked for is
unsupported_extension, what this engine knows and stands in the wrong place is illegal_parameter.
"""

from __future__ import annotations

from typing import Any

import pytest

from synfin.tls import Failed
from tests.support.tlsoctets import DECODE, ILLEGAL, NEW, UNSUPPORTED, block
from tests.tls.bad_server import RETRY, ends
from tests.tls.edits import Edit, hello
from tests.tls.ends import NOW, client, client_config, events, of, pump, verifier
from tests.tls.hello_reader import read
from tests.tls.test_letter_client13 import SCHEMES, chain, cr, ee, ticket

PLACES = {
    0: "EE", 5: "CR CT", 10: "EE", 13: "CR", 14: "EE", 15: "EE", 16: "EE", 18: "CR CT", 19: "EE", 20: "EE", 21: "",
    27: "CR", 28: "EE", 41: "SH", 42: "EE NST", 43: "SH HRR", 44: "HRR", 45: "", 47: "CR", 48: "CR", 49: "", 50: "CR",
    51: "SH HRR",
}  # fmt: skip
#: What the table does not have: this engine knows the first ones from TLS 1.2, nobody here knows the others.
OLD, STRANGE = (1, 11, 22, 23, 35, 0xFF01), (2, 17, 34, 52, 57, 58, 65037, 0x2A2A, 0x1234)
MESSAGES = ("SH", "HRR", "EE", "CR", "CT", "NST")


def said(message: str, number: int) -> int | None:
    """The alert that answers an empty extension in this message."""
    body = b""
    edits: dict[str, dict[int, Edit]] = {
        "SH": {2: hello((number, body))},
        "HRR": {RETRY: hello((number, body))},
        "EE": {8: ee((number, body))},
        "CR": {13: lambda bad, raw: cr((number, body)) if number == 13 else cr(SCHEMES, (number, body))},
        "CT": {11: chain((number, body))},
        "NST": {},
    }
    servers: dict[str, dict[str, Any]] = {
        "HRR": {"groups": (24,)},
        "CR": {"client_auth": "optional", "verify": verifier()},
        "CT": {"certificate_compression": ()},
    }
    one, bad = ends(NEW, edits[message], server=servers.get(message))
    pump(one, bad)
    if message == "NST":
        bad.seal(22, ticket(tail=block((number, body))))
        one.receive(bad.take_output(NOW), NOW)
    failed = of(events(one), Failed)
    return failed[0].alert if failed else None


def expected(message: str, number: int, offered: frozenset[int]) -> set[int | None]:
    here, known = message in PLACES.get(number, ""), number in PLACES or number in OLD
    if message in ("CR", "NST"):
        return {DECODE, None} if here else {ILLEGAL if known else None}
    if message == "EE" and number in PLACES and not here and number != 27:
        return {ILLEGAL}
    if number not in offered and (message, number) != ("HRR", 44):
        return {UNSUPPORTED}
    return {DECODE, None} if here else {ILLEGAL}


@pytest.mark.parametrize("message", MESSAGES)
def test_extensions_in_their_places_and_out_of_them(message: str) -> None:
    asked = read(bytes(client(client_config(grease=False)).take_output(NOW)))
    offered = frozenset(number for number, _ in asked.extensions)
    for number in (*PLACES, *OLD, *STRANGE):
        assert said(message, number) in expected(message, number, offered), number
