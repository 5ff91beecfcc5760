"""What a judgement is: findings with proof, and honest silence.

A rule looks at one connection and answers with a ``Finding``, with ``NotJudged`` and why, or with None.  The engine
keeps one root cause per connection and folds the rest under it as symptoms.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from synfin.observe.evidence import Evidence


class Severity(IntEnum):
    """How bad; a healthy connection has nothing of WARNING or above."""

    INFO = 0
    NOTICE = 1
    WARNING = 2
    ERROR = 3


class Actor(StrEnum):
    """Who must act."""

    CLIENT = "client"
    SERVER = "server"
    NETWORK = "network"
    MIDDLEBOX = "middlebox"
    OPERATOR = "operator"
    UNDECIDABLE = "undecidable"


class Confidence(StrEnum):
    """How sure the judge is of the cause."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, with proof and remedy.  Sentences are plain, complete and name packets."""

    code: str
    severity: Severity
    actor: Actor
    title: str  # one line: who did what
    cause: str  # what happened and why that is the cause
    remedy: str  # what the actor does
    evidence: tuple[Evidence, ...]
    confidence: Confidence
    reason: str  # why this confidence
    disproof: str  # what observation would show this finding wrong; may be empty where it is certain
    next_capture: str = ""  # where to capture next when this vantage point cannot decide
    symptoms: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class NotJudged:
    """A rule that could not decide, and why (no keys, one direction only, snap length, start missing)."""

    code: str
    why: str
