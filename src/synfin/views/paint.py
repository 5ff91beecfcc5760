"""Colour as an option: one object that either wraps text in SGR sequences or leaves it alone.

Views ask for a meaning ("bad", "client"), never for a colour, and always pad before they paint, so widths stay right.
"""

from __future__ import annotations

from synfin.judge.model import Severity

_SGR = {
    "dim": "2",
    "bold": "1",
    "title": "1",
    "client": "36",
    "server": "35",
    "good": "32",
    "note": "34",
    "warn": "33",
    "bad": "1;31",
}


class Paint:
    """``paint("bad", text)``: coloured when ``on``, the same text otherwise."""

    __slots__ = ("on",)

    def __init__(self, on: bool = False) -> None:
        self.on = on

    def __call__(self, meaning: str, text: str) -> str:
        """``text`` in the colour of ``meaning``, or as it is."""
        if not self.on or not text or not meaning:
            return text
        return f"\x1b[{_SGR[meaning]}m{text}\x1b[0m"


#: What a finding's severity looks like.
SEVERITY = {Severity.INFO: "dim", Severity.NOTICE: "note", Severity.WARNING: "warn", Severity.ERROR: "bad"}

#: What a connection's outcome looks like.
OUTCOME = {"closed": "", "open": "dim", "half-closed": "note", "reset": "warn", "refused": "bad", "unanswered": "bad"}

PLAIN = Paint(False)
