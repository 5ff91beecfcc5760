"""Findings as GitHub workflow commands: one line each, which the service shows as annotations of the run."""

from __future__ import annotations

from synfin.judge.codes import CODES
from synfin.judge.model import Finding, Severity
from synfin.observe.story import Connection

_COMMANDS = {
    Severity.INFO: "notice",
    Severity.NOTICE: "notice",
    Severity.WARNING: "warning",
    Severity.ERROR: "error",
}


def annotation(file: str, connection: Connection | None, finding: Finding) -> str:
    """``::error file=...,title=...::message``, with the characters escaped that would end a part of it."""
    where = f"connection {connection.id}: " if connection is not None else ""
    message = f"{where}{finding.title}. {finding.cause} {finding.remedy}"
    command = _COMMANDS[finding.severity]
    title = f"{finding.code} {CODES[finding.code].title}"
    return f"::{command} file={_property(file)},title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
