"""What only a live run knows, as JSON: the key ``trace`` of an object of ``synfin trace --json``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from synfin.drive import trace_steps as t

Json = dict[str, Any]


def hop_json(hop: t.Hop, capture: Json) -> Json:
    """One hop: what was asked, names, attempts, the kernel's view, the verdict, the answer, and why it failed."""
    said: Json = {
        "hop": hop.number,
        "url": str(hop.url),
        "method": hop.method,
        "capture": capture,
        "lookups": [],
        "attempts": [],
        "connect_ns": None,
        "handshake_ns": None,
        "tcp_info": None,
        "tickets": 0,
        "certificate": None,
        "status": None,
        "answer_ns": None,
        "body": None,
        "closed_cleanly": None,
        "location": None,
        "followed": False,
        "failed": None,
        "short_hello_answered": None,
        "tls_answered": None,
    }
    for step in hop.steps:
        _add(said, step)
    return said


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def _add(said: Json, step: t.Step) -> None:
    match step:
        case t.LookedUp():
            said["lookups"] = [
                {
                    "name": answer.name,
                    "family": answer.family,
                    "addresses": list(answer.addresses),
                    "duration_ns": _ns(answer.seconds),
                    "source": answer.source,
                    "error": answer.error or None,
                }
                for answer in step.answers
            ]
        case t.Attempted(attempt):
            said["attempts"].append(
                {
                    "ip": attempt.address,
                    "port": attempt.port,
                    "fate": attempt.fate,
                    "duration_ns": _ns(attempt.seconds),
                    "error": attempt.why or None,
                }
            )
        case t.Connected():
            said["connect_ns"] = _ns(step.seconds)
            said["tcp_info"] = asdict(step.info) if step.info is not None else None
        case t.Shook():
            said["handshake_ns"] = _ns(step.seconds)
        case t.Certified():
            said["certificate"] = _certificate(step)
        case t.Answered(head, seconds):
            said["status"], said["answer_ns"] = head.status, _ns(seconds)
        case t.Received():
            said["body"] = {
                "octets": step.octets,
                "duration_ns": _ns(step.seconds),
                "complete": step.complete,
                "stopped": step.stopped,
            }
        case t.Ended():
            said["closed_cleanly"], said["tickets"] = step.clean, step.tickets
            said["tcp_info"] = asdict(step.info) if step.info is not None else said["tcp_info"]
        case t.Pointed():
            said["location"], said["followed"] = step.location, step.followed
        case t.Probed():
            said["tls_answered" if step.clear else "short_hello_answered"] = step.answered
        case t.Failed(cause):
            said["failed"] = {
                "step": cause.step,
                "words": cause.words,
                "violation": cause.violation or None,
                "rule": cause.rule or None,
                "expected": cause.expected or None,
                "got": cause.got or None,
            }
        case _:
            return


def _certificate(step: t.Certified) -> Json:
    leaf = step.verdict.certificates[0] if step.verdict.certificates else None
    end = leaf.not_after if leaf is not None else None
    return {
        "name": step.name,
        "trusted": not step.violation,
        "accepted": step.accepted,
        "violation": step.violation or None,
        "why": step.why or None,
        "roots": step.source,
        "anchor": step.verdict.anchor or None,
        "path": [step.verdict.certificates[index].label for index in step.verdict.path],
        "days_left": (end - int(step.now * 1e9)) // 86_400_000_000_000 if end is not None else None,
        "problems": [{"name": one.name, "sentence": one.sentence} for one in step.verdict.problems],
    }
