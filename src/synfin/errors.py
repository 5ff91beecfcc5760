"""The three kinds of error, never mixed.

``WireError`` says bytes cannot be read as what they claim to be; ``PeerError`` says a peer broke a protocol;
``UsageError`` says the person at the keyboard asked for something that cannot be done.  Bytes from a peer or a
file raise only the first two.  ``UsageError`` becomes one line on stderr and exit code 2.
"""

from __future__ import annotations


class WireError(ValueError):
    """Bytes that cannot be read: where (``offset`` from the start of what was parsed), which field, and why."""

    def __init__(self, offset: int, path: str, why: str) -> None:
        super().__init__(f"{path} at byte {offset}: {why}" if path else f"byte {offset}: {why}")
        self.offset = offset
        self.path = path
        self.why = why


class PeerError(Exception):
    """A peer broke a protocol.  ``violation`` names the entry of ``spec.violations`` that it committed."""

    def __init__(self, violation: str, expected: str = "", got: str = "") -> None:
        told = f": expected {expected}, got {got}" if expected or got else ""
        super().__init__(f"{violation}{told}")
        self.violation = violation
        self.expected = expected
        self.got = got


class UsageError(Exception):
    """What the user asked cannot be done: the message says what, where and what to do instead, in one line."""
