"""What ``synfin trace`` prints while it runs: a step as soon as it is told, in the words of ``views.trace``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass

from synfin.cli import terminal
from synfin.drive import trace_steps as t
from synfin.drive.trace_talk import MOST_TOLD
from synfin.errors import UsageError
from synfin.http.client import Head
from synfin.spec.certnames import u_label
from synfin.views import trace as say
from synfin.views.paint import Paint
from synfin.views.trace_tls import Talk, talk_heading, talk_line
from synfin.views.words import clean, count

#: First lines of a body that are shown.
_LINES = 4


@dataclass(frozen=True, slots=True)
class Page:
    """Where things go and how much of them."""

    room: int
    paint: Paint
    verbose: bool
    silent: bool
    json: bool
    body: str  # "", a file, or "-"

    @classmethod
    def of(cls, width: int | None, *, no_color: bool, verbose: bool, silent: bool, json: bool, body: str) -> Page:
        """From the options."""
        if json and verbose:
            raise UsageError("choose one of --json and -v")
        if json and body == "-":
            raise UsageError("--json and -o - both want stdout: give -o a file")
        room = terminal.columns(width) or 110
        return cls(room, Paint(terminal.colour(no_color)), verbose, silent, json, body)

    @property
    def quiet(self) -> bool:
        """Whether the steps are kept to ourselves."""
        return self.silent or self.json

    def say(self, lines: Iterable[str]) -> None:
        """Print now; to stderr where the body has stdout.  UsageError where that cannot be (a full disk)."""
        aside = self.body == "-"
        try:
            with redirect_stdout(sys.stderr if aside else sys.stdout):
                terminal.write_lines(lines)
                sys.stdout.flush()
        except OSError as error:
            raise UsageError(f"standard {'error' if aside else 'output'}: {error.strerror}") from None


class Teller:
    """Prints every step as it is told."""

    def __init__(self, page: Page, wanted: Callable[[Head], bool]) -> None:
        """``wanted``: whether the body after a head goes where the page says."""
        self._page = page
        self._wanted = wanted
        self._elsewhere = ""
        self._media = self._coding = ""
        self._talk = Talk()
        self._spoken = 0  # messages of the connection
        self._heading = True  # above the first TLS message of a connection
        self._label = ""  # of the lines before
        self._secure = False
        self._refused = False  # the lines of Cert said that it ended there

    def __call__(self, step: t.Step) -> None:
        """One more step."""
        if not self._page.quiet:
            self._page.say(self._lines(step))

    def _put(self, label: str, lines: Iterable[str], tone: str = "") -> Iterator[str]:
        """Lines behind ``label``; "" goes on below the label before."""
        self._label = label or self._label
        return say.labelled(label, lines, self._page.room, self._page.paint, tone)

    def _more(self, label: str, lines: Iterable[str], tone: str = "") -> Iterator[str]:
        """Lines that belong to what ``label`` began, where nothing else came between."""
        return self._put("" if self._label == label else label, lines, tone)

    def _spoke(self, step: t.Spoke) -> Iterator[str]:
        """One TLS message, in one line."""
        page, room = self._page, self._page.room - say.LABEL - 2
        lines = [talk_line(step.sent, step.after, self._talk.said(step.kind, step.raw), room, page.paint)]
        self._spoken += 1
        if self._spoken == MOST_TOLD:
            lines.append(page.paint("dim", "what follows is not told here; -w FILE keeps it"))
        if self._heading:
            lines.insert(0, page.paint("dim", talk_heading(room)))
            self._heading = False
        for line in lines:
            label = "" if self._label == "TLS" else "TLS"
            self._label = "TLS"
            yield f"  {page.paint('bold', label.ljust(say.LABEL))}{line}"

    def _lines(self, step: t.Step) -> Iterator[str]:
        match step:
            case t.Asking():
                yield from [""] if step.number else []
                self._spoken = 0
                self._talk, self._heading, self._label, self._refused = Talk(), True, "", False
                self._secure = step.url.scheme == "https"
                read = u_label(step.url.host)
                aside = f" ({read})" if read != step.url.host else ""
                yield self._page.paint("title", clean(f"{step.method} {step.url}{aside}"))
            case t.Spoke():
                yield from self._spoke(step)
            case t.LookedUp():
                yield from self._put("DNS", self._names(step))
            case t.Attempted():
                attempt = step.attempt
                if attempt.fate != "connected":
                    where = say.where(attempt.address, attempt.port)
                    why = f" ({attempt.why.lower()})" if attempt.fate in ("unreachable", "failed") else ""
                    took = say.spent(attempt.seconds)
                    told = f"{attempt.fate}{why} after {took}"
                    if attempt.fate == "given up":
                        told = f"had not answered after {took}, when another address did"
                    yield from self._more("TCP", [f"{where} {told}"])
            case t.Connected():
                yield from self._more("TCP", [self._connected(step)])
            case t.Shook():
                facts = step.facts
                line = say.shook(
                    facts.version,
                    facts.suite,
                    facts.group,
                    facts.signature,
                    facts.alpn,
                    step.seconds,
                    resumed=facts.resumed,
                    retried=facts.retried,
                )
                about = [line]
                if step.client is not None:
                    about.append(say.CLIENT_SHOWN if step.client else say.CLIENT_KEPT)
                yield from self._more("TLS", about)
            case t.Certified():
                yield from self._certified(step)
            case t.Sent():
                lines = say.sent_lines(step.method, step.target, step.version, step.fields, step.body)
                yield from self._put("HTTP", lines)
            case t.Answered():
                head = step.head
                yield from self._more(
                    "HTTP", say.head_lines(head.status, head.reason, head.version, head.fields, step.seconds)
                )
                names = {name.lower(): value for name, value in head.fields}
                place = "stdout" if self._page.body == "-" else self._page.body
                self._elsewhere = place if self._wanted(head) else ""
                self._media, self._coding = names.get("content-type", ""), names.get("content-encoding", "")
            case t.Received():
                lines = say.body_lines(
                    step.octets,
                    step.seconds,
                    step.start,
                    self._media,
                    self._coding,
                    _LINES,
                    complete=step.complete,
                    stopped=step.stopped,
                    elsewhere=self._elsewhere,
                )
                yield from self._put("Body", lines)
                yield from self._put(
                    "", [f"< {clean(name)}: {clean(value)} (trailer)" for name, value in step.trailers]
                )
            case t.Ended():
                info = step.info
                line = say.ended_line(
                    step.clean, step.tickets, info.retransmits if info else None, info.rtt if info else None
                )
                yield from self._put("Close", [line])
            case t.Pointed():
                on = "" if step.followed else " (-L follows)"
                if self._secure and step.location.lower().startswith("http:"):
                    on += "; out of TLS: whoever is on the path reads what is asked there, and can change the answer"
                yield from self._put("Goes to", [f"{clean(step.location)}{on}"])
            case t.Probed():
                said = (say.SHORT_ALIKE, say.SHORT_ANSWERED, say.TLS_ALIKE, say.TLS_ANSWERED)
                told = say.GONE if step.answered is None else said[2 * step.clear + step.answered]
                yield from self._put("Again", [told])
            case t.Failed():
                cause = step.cause
                if cause.step != "dns" and not self._refused:  # told by complaint, and by the lines of Cert
                    yield from self._put(
                        "", [say.failed_line(cause.step, cause.words, cause.expected, cause.got)], "bad"
                    )

    def _names(self, step: t.LookedUp) -> Iterator[str]:
        answers = [answer for answer in step.answers if answer.addresses]
        if not answers:
            failed = [answer.error for answer in step.answers]
            seconds = max(answer.seconds for answer in step.answers)
            yield say.looked_up(step.host, (), seconds, step.answers[0].source, failed)
        for answer in answers:
            yield say.looked_up(step.host, answer.addresses, answer.seconds, answer.source, ())

    def _connected(self, step: t.Connected) -> str:
        info = step.info
        more = f"; RTT {say.spent(info.rtt)}, MSS {info.mss:,}" if info is not None else ""
        if info is not None and info.retransmits:
            more += f", {count(info.retransmits, 'retransmission')}"
        return f"{say.where(*step.remote)} connected from port {step.local[1]} in {say.spent(step.seconds)}{more}"

    def _certified(self, step: t.Certified) -> Iterator[str]:
        now = int(step.now * 1e9)
        self._refused = bool(step.violation) and not step.accepted
        if step.violation:
            lines = say.untrusted_lines(step.verdict, now, step.name, step.violation, step.why, accepted=step.accepted)
            yield from self._put("Cert", lines, "bad")
        else:
            yield from self._put("Cert", say.trusted_lines(step.verdict, now, step.source, step.name))
