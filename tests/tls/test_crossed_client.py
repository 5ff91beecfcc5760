"""A client against a server made from the RFCs, in all crossings of what can be negotiated, and against its faults.

Tables have each value of each dimension with each other (``crossed_both.table``): versions' suites, groups with a share
or by retry, keys, sessions, early data, client certificates, how records and segments are cut, and so on.  What the
client says is held against the RFCs octet for octet; for each fault the alert is what they name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from synfin.errors import UsageError
from synfin.tls import Closed, Failed
from tests.tls import crossed_12, crossed_13, crossed_faults
from tests.tls.crossed_12 import Crossed12
from tests.tls.crossed_13 import Crossed13
from tests.tls.crossed_both import Case, Edit, table
from tests.tls.crossed_faults import DECODE, ILLEGAL, UNEXPECTED
from tests.tls.crossed_forms import MalformedError, read
from tests.tls.crossed_keys import SUITES_12, Keys13, bare, block, message, u16, vec
from tests.tls.crossed_peer import ALERT, CCS, DATA, HANDSHAKE, AlertError, SilenceError
from tests.tls.ends import NOW

Run = Crossed13 | Crossed12
ROWS_13 = table(crossed_13.DIMENSIONS, 60, crossed_13.lawful)
ROWS_12 = table(crossed_12.DIMENSIONS, 60, crossed_12.lawful)
ROWS: list[tuple[type[Run], Case]] = [(Crossed13, case) for case in ROWS_13]
ROWS += [(Crossed12, case) for case in ROWS_12]
SIZE = 24
BATCHES = range(0, len(ROWS), SIZE)


@pytest.mark.parametrize("start", BATCHES)
def test_handshakes(start: int) -> None:
    """All that is lawful comes to its end."""
    for kind, case in ROWS[start : start + SIZE]:
        run = kind(case)
        run.meet()
        run.told(run.shake())
        run.after()
        run.end()


# ---------------------------------------------------------------- crossings with something wrong

LATE = {"ku": "keys", "nst": "ticket", "late": "ask_late"}
FAULTY = {True: tuple(crossed_faults.NEW), False: tuple(crossed_faults.OLD)}
#: Hellos have most that can be wrong, and are refused soonest.
WEIGHTED = {
    True: ("hrr", "sh", "ee", "sh", "hrr", "cert", "hrr", "cr", "sh", "ee", "hrr", "sh", *FAULTY[True]),
    False: ("sh", "sh", "ske", "sh", "cert", "sh", "ske", "sh", "sh", *FAULTY[False]),
}


def fitting(case: Case, label: str, new: bool) -> Case:
    """The case with what it needs to have such a message."""
    case = dict(case)
    if label == "cr":
        case["ask"] = case["ask"] or "fits"
    if not new:
        if label in ("cert", "status", "ske", "cr", "shd"):
            case["session"] = None
        if label == "status":
            case["staple"] = "sent"
        if label == "nst":
            case |= {"given": "ticket", "tickets": True}
        if label == "ske" and SUITES_12[case["suite"]][0] == "rsa":
            case["suite"] = 0xC02F
        return case
    if label in LATE:
        case["after"] = LATE[label]
    if label in ("cr", "cert", "cc", "cv"):
        case |= {"psk": None, "early": "no"}
    if label == "hrr":
        case["retry"] = case["retry"] or "both"
    if label in ("cert", "cc"):
        case["compress"] = 0 if label == "cert" else case["compress"] or 2
    return crossed_13.lawful(case)


def crossings(
    start: int, names: dict[bool, tuple[str, ...]], each: int = 3
) -> Iterator[tuple[type[Run], Case, str, Random]]:
    """A batch of rows, each with some of the messages that its version has; cut in large pieces, which is quick."""
    for number, (kind, case) in enumerate(ROWS[start : start + SIZE], start):
        labels, rng = names[kind.new], Random(number)
        quick = {"cut": 100 * (number % 2), "step": -(number % 2), "pad": number % 2}
        for turn in range(each):
            label = labels[(number * each + turn) % len(labels)]
            yield kind, fitting(case | quick, label, kind.new), label, rng


class Change:
    """An edit of the first message of a name to what ``make`` makes of its body; ``done`` says whether it did."""

    def __init__(self, label: str, make: Callable[[Any, bytes], bytes | None]) -> None:
        self.label, self.make = label, make
        self.done = False

    def __call__(self, run: Any, label: str, raw: bytes) -> bytes:
        """See ``Edit``."""
        if label != self.label or self.done:
            return raw
        changed = self.make(run, raw[4:])
        if changed is None:
            return raw
        self.done = True
        return raw[:1] + vec(changed, 3)


def outcome(run: Run) -> int | str | None:
    """The alert with which a connection ended that was edited; None where all went well, else what did not."""
    run.meet()
    error = ""
    try:
        run.told(run.shake())
        run.after()
    except (AlertError, SilenceError, AssertionError, InvalidTag, UsageError) as found:  # of what does not go well
        error = repr(found)
    failed = run.taken(Failed)
    if not failed:
        return error or None
    assert [alert for alert in run.client.told if alert != (1, 100)] == [(2, failed[0].alert)]
    assert [type(event) for event in run.taken(Closed)] == [Closed]
    run.client.take_output(NOW)
    run.client.receive(b"\x16\3\3\0\4\0\0\0\0", NOW)
    assert not run.client.take_output(NOW)
    return int(failed[0].alert)


class Faulty(Change):
    """A fault drawn by ``rng``; ``wanted`` are the alerts for it."""

    def __init__(self, new: bool, label: str, rng: Random) -> None:
        self.rng = rng
        self.makers = (crossed_faults.NEW if new else crossed_faults.OLD)[label]
        self.wanted: set[int | None] = set()
        self.what = ""
        super().__init__(label, self._make)

    def _make(self, run: Any, body: bytes) -> bytes | None:
        fault = self.rng.choice(self.makers)(run, self.label, body, self.rng)
        if fault is None:
            return None
        changed, self.wanted, self.what = fault
        return changed


@pytest.mark.parametrize("start", BATCHES)
def test_faults(start: int) -> None:
    """Each has the alert that the RFCs name, whatever else was negotiated."""
    for kind, case, label, rng in crossings(start, WEIGHTED, 9):
        fault = Faulty(kind.new, label, rng)
        alert = outcome(kind(case, fault))
        assert not fault.done or alert in fault.wanted, (label, fault.what, fault.wanted, alert, case)


@pytest.mark.parametrize("start", BATCHES[::2])
def test_cuts_change_nothing(start: int) -> None:
    """A fault is the same fault however messages are put into records, and records into segments."""
    for kind, case, label, rng in crossings(start, FAULTY, 1):
        seed, found = rng.randrange(1 << 30), []
        for cut, joined, step in ((0, False, -1), (1, True, 0), (7, True, 3)):
            case |= {"cut": cut, "joined": joined, "step": step, "pad": 0}
            alert = outcome(kind(case, Faulty(kind.new, label, Random(seed))))
            found.append(alert if isinstance(alert, int) else None)
        assert len(set(found)) == 1, (label, found, case)


def off_by_one(label: str, rng: Random) -> Change:
    """A length that is one more or one less than what it counts, so that the message has not its form any more."""

    def make(run: Any, body: bytes) -> bytes | None:
        exchange = getattr(run, "exchange", "")
        lengths = read(label, body, run.new, exchange)
        if not lengths:
            return None
        at, size = rng.choice(lengths)
        value = int.from_bytes(body[at : at + size], "big") + rng.choice([-1, 1])
        if not 0 <= value < 1 << 8 * size:
            return None
        changed = body[:at] + value.to_bytes(size, "big") + body[at + size :]
        try:
            read(label, changed, run.new, exchange)
        except MalformedError:
            return changed
        return None

    return Change(label, make)


@pytest.mark.parametrize("start", BATCHES)
def test_lengths(start: int) -> None:
    """decode_error, at any level of any message."""
    names = {new: tuple(label for label in FAULTY[new] if label not in ("fin", "ku", "shd")) for new in FAULTY}
    for kind, case, label, rng in crossings(start, names):
        change = off_by_one(label, rng)
        alert = outcome(kind(case, change))
        assert not change.done or alert == DECODE, (label, alert, case)


# ---------------------------------------------------------------- order and records

#: Bodies of messages that have the form of their kind, more or less.
MESSAGES = {
    0: b"", 1: b"\3\3" + bytes(40), 2: b"\3\3" + bytes(36), 4: bytes(20), 5: b"", 8: b"\0\0", 11: bytes(4),
    12: b"\3\0\x1d\1a\4\3\0\1a", 13: b"\0\0\x08\0\x0d\0\4\0\2\4\3", 14: b"", 15: b"\4\3\0\1a", 16: b"\1a",
    20: bytes(12), 21: b"x", 22: b"\1\0\0\1a", 24: b"\0", 25: b"\0\1\0\0\1\0\0\1a", 67: b"\0\0", 99: b"", 254: b"",
}  # fmt: skip
_CERTIFICATE, _DONE = {13, 11, 25}, {13, 14, 0}
#: What may come where a message is.
ALLOWED: dict[bool, dict[str, set[int]]] = {
    True: {
        "sh": {2}, "hrr": {2}, "ee": {8}, "cr": _CERTIFICATE, "cert": _CERTIFICATE, "cc": _CERTIFICATE, "cv": {15},
        "fin": {20},
    },
    False: {
        "sh": {2, 0}, "cert": {11, 0}, "status": {22, 12, 13, 14, 0}, "ske": {12, 22, 0}, "cr": _DONE, "shd": _DONE,
        "nst": {4, 0}, "fin": {20, 0},
    },
}  # fmt: skip
FLIGHTS = {new: tuple(ALLOWED[new]) for new in ALLOWED}


class Once:
    """An edit of the first message of a name as a whole."""

    def __init__(self, label: str, act: Callable[[Any, bytes], bytes]) -> None:
        self.label, self.act = label, act
        self.done = False

    def __call__(self, run: Any, label: str, raw: bytes) -> bytes:
        """See ``Edit``."""
        if label != self.label or self.done:
            return raw
        self.done = True
        return self.act(run, raw)


def intrusion(label: str, number: int, instead: bool) -> Once:
    """A message of another type before this one, or instead."""
    other = message(number, MESSAGES[number])
    return Once(label, lambda run, raw: other if instead else other + raw)


@pytest.mark.parametrize("start", BATCHES)
def test_messages_out_of_order(start: int) -> None:
    """unexpected_message, whichever comes in whose place."""
    for kind, case, label, rng in crossings(start, FLIGHTS):
        number = rng.choice([n for n in MESSAGES if n not in ALLOWED[kind.new][label]])
        edit = intrusion(label, number, rng.random() < 0.5)
        alert = outcome(kind(case, edit))
        assert not edit.done or alert == UNEXPECTED, (label, number, alert, case)


def strikes(run: Any, whole: bool, rng: Random) -> list[tuple[int, Callable[[], None]]]:
    """Records that have no place before a message, or in the midst of one, with the alert for each."""
    peer, new, keys = run.peer, run.new, run.peer.out
    over = (1 << 14) + (1 if keys is None else 257 if new else 2049)

    def put(kind: int, content: bytes) -> Callable[[], None]:
        return lambda: peer.put(kind, content)

    def raw(kind: int, content: bytes) -> Callable[[], None]:
        return lambda: peer.deliver(bytes([kind]) + b"\3\3" + vec(content))

    found = [(10, put(HANDSHAKE, b"")), (10, put(DATA, b"")), (10, put(DATA, b"data")), (10, put(ALERT, b""))]
    found.append((10, put(rng.choice([24, 26, 255]), b"xx") if new or keys is None else raw(24, bytes(32))))
    found.append((22, raw(DATA if new and keys is not None else HANDSHAKE, bytes(over))))
    if keys is not None:
        found.append((20, raw(DATA if new else HANDSHAKE, os.urandom(64))))
        found.append((10 if new else 20, raw(HANDSHAKE, bytes(64))))
    if isinstance(keys, Keys13):
        found += [(10, put(CCS, b"\1")), (10, put(0, b"")), (10, raw(ALERT, b"\2\x28"))]
        if whole:
            found += [(50, put(ALERT, b"\1")), (50, put(ALERT, b"\1\x5a\1")), (47, put(ALERT, b"\3\x28"))]
        limit = run.case["limit"] if run.case["told"] else None
        if limit is not None and limit < 1 << 14 and run.edit.label != "ee":  # else it does not hold yet
            found.append((22, lambda: peer.deliver(keys.seal(HANDSHAKE, bytes(limit + 1)))))
    if keys is None or new:
        found += [(10, raw(CCS, body)) for body in (b"\2", b"", b"\1\1")]
        if not whole or not new:
            found.append((10, raw(CCS, b"\1")))
    return found


def strike(label: str, rng: Random, wanted: list[int]) -> Once:
    """A record that has no place there; ``wanted`` gets its alert."""

    def act(run: Any, raw: bytes) -> bytes:
        at = rng.choice([0, rng.randrange(1, min(len(raw), 60))])
        alert, done = rng.choice(strikes(run, not at, rng))
        run.peer.intruder = raw, at, done
        wanted.append(alert)
        return raw

    return Once(label, act)


@pytest.mark.parametrize("start", BATCHES)
def test_records_out_of_place(start: int) -> None:
    """Before a message, and in the midst of it."""
    for kind, case, label, rng in crossings(start, FLIGHTS):
        wanted: list[int] = []
        edit: Edit = strike(label, rng, wanted)
        alert = outcome(kind(case, edit))
        assert not wanted or alert == wanted[0], (label, wanted, alert, case)


def test_data_between_the_pieces_of_a_message() -> None:
    """After a handshake of TLS 1.3 too (RFC 8446 5.1)."""
    for case in ROWS_13[::6]:
        run = Crossed13(dict(case, cut=0, step=-1, pad=0))
        run.meet()
        run.told(run.shake())
        run.peer.put(HANDSHAKE, b"\4\0")
        run.peer.put(DATA, b"data")
        assert run.client.told == [(2, UNEXPECTED)]


@pytest.mark.parametrize(
    ("psk", "retry", "label", "alert", "clear"),
    [
        ("taken", "group", "hrr", ILLEGAL, True),
        ("taken", "group", "hrr", DECODE, True),
        ("ignored", None, "sh", ILLEGAL, True),
        ("taken", None, "sh", ILLEGAL, False),
    ],
)
def test_alerts_beside_early_data_can_be_read(psk: str, retry: str | None, label: str, alert: int, clear: bool) -> None:
    """Who has refused early data throws away what is under its keys (RFC 8446 4.2.10), and would an alert there."""

    def compressing(run: Any, body: bytes) -> bytes:
        at = 37 + body[34]
        return body[:at] + b"\1" + body[at + 1 :] + (b"x" if alert == DECODE else b"")

    for case in ROWS_13[:8]:
        told = {"psk": psk, "retry": retry, "early": "refused", "cut": 0, "step": -1, "ccs": ()}
        run = Crossed13(crossed_13.lawful({**case, **told}), Change(label, compressing))
        run.meet()
        with pytest.raises((AlertError, InvalidTag, SilenceError)):
            run.shake()
        assert run.client.told == [(2, alert)]
        assert (run.peer.last == b"\x15\3\3\0\2\2" + bytes([alert])) == clear


def _staple_of_another_kind(run: Any, body: bytes) -> bytes:
    return b"\0" + vec(vec(bare(run.case["kind"])[0], 3) + block([(5, b"\2\0\0\1a")]), 3)


def _octets_after_the_leaf(run: Any, body: bytes) -> bytes:
    return b"\0" + vec(vec(bare(run.case["kind"])[0] + b"\0", 3) + b"\0\0", 3)


def _filter_without_identifier(run: Any, body: bytes) -> bytes:
    return b"\0" + block([(13, vec(u16(0x0403))), (48, vec(b"\0\0\0"))])


@pytest.mark.parametrize("row", range(0, len(ROWS_13), 12))
@pytest.mark.parametrize(
    ("label", "make", "alert"),
    [
        ("cert", _staple_of_another_kind, DECODE),
        ("cert", _octets_after_the_leaf, crossed_faults.BAD_CERTIFICATE),
        ("cr", _filter_without_identifier, DECODE),
    ],
)
def test_what_was_once_let_by(label: str, make: Callable[[Any, bytes], bytes], alert: int, row: int) -> None:
    """Even by a client that takes any certificate, and has none."""
    assert outcome(Crossed13({**fitting(ROWS_13[row], label, True), "late": False}, Change(label, make))) == alert
