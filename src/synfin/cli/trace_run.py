"""How ``synfin trace`` runs: the request with its capture, every step told as it happens, then the judgement.

The capture goes to a file of its own (a temporary one unless ``-w`` keeps it) and is read back by the observer like
any other; what is printed after the steps is said by the same views as ``synfin read`` and ``synfin check``.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from synfin.cli import inputs, terminal
from synfin.cli.trace_end import Done, Told, judged_lines, probe_ports, refused_lines, said_as_json
from synfin.cli.trace_tell import Page, Teller
from synfin.drive import trace_steps as t
from synfin.drive.capture import LiveCapture, PduCapture, may_capture
from synfin.drive.capture_file import key_log_file, private_file
from synfin.drive.own_setup import OwnConnector, OwnPlace
from synfin.drive.trace import Run, wanted
from synfin.drive.trace_ask import Ask, parse_url
from synfin.drive.trace_trust import Trust
from synfin.errors import UsageError
from synfin.judge.engine import HEALTHY, Judgement
from synfin.judge.model import Severity
from synfin.observe import observe
from synfin.tls import Credential
from synfin.views.words import clean

# ---------------------------------------------------------------- the commands


def traced(
    ask: Ask,
    page: Page,
    trust: Trust | None,
    credentials: tuple[Credential, ...],
    *,
    write: Path | None,
    keylog: Path | None,
    fail: bool,
    own: OwnPlace | None = None,
) -> int:
    """One trace; the exit code."""
    done = run(ask, page, trust, credentials, write=write, keylog=keylog, fail=fail, own=own)
    cause = done.hops[-1].cause if done.hops else None
    if page.json:
        page.say(said_as_json(done, str(write) if write is not None else ""))
    else:
        page.say(judged_lines(done, page, write))
    head = done.hops[-1].head if done.hops else None
    if cause is not None and cause.step == "dns":
        return terminal.complain(cause.words)
    worst = max((j.worst for _, j, _ in done.told if j.worst is not None), default=Severity.INFO)
    refused = head.status if fail and head is not None and head.status >= 400 else 0
    if refused and not page.json:
        page.say(refused_lines(refused, page))
    return 1 if cause is not None or refused or worst >= Severity.WARNING else 0


def compared(
    ask: Ask,
    page: Page,
    trust: Trust | None,
    credentials: tuple[Credential, ...],
    http_url: str,
    *,
    write: Path | None,
    keylog: Path | None,
    own: OwnPlace | None = None,
) -> int:
    """http and https side by side; the exit code."""
    from synfin.cli.trace_compare import both_json, both_urls, comparison, side_by_side

    if keylog is not None or page.body:
        raise UsageError("--compare keeps its captures only: leave out --keylog and -o")
    plain, secure = both_urls(ask.url, parse_url(http_url) if http_url else None)
    quiet = replace(page, silent=True)
    sides, names = [], []
    for url in (plain, secure):
        page.say(() if page.json else [f"{clean(str(url))} ..."])
        with _unkept() as kept:
            if write is not None:
                kept = write.with_name(f"{write.stem}-{url.scheme}{write.suffix}")
                names.append(clean(str(kept)))
            done = run(replace(ask, url=url, follow=0), quiet, trust, credentials, write=kept, keylog=None, own=own)
            sides.append(comparison(url, done, kept))
    page.say([both_json(sides)] if page.json else side_by_side(sides, page.room, page.paint))
    if names and not page.json:
        page.say(["", f"kept in {names[0]} and, with the TLS secrets, {names[1]}"])
    return 1 if any(side.cause for side in sides) else 0


# ---------------------------------------------------------------- one run with its capture


@contextmanager
def _unkept() -> Iterator[Path]:
    """Where a capture goes that nobody keeps: where it can be, a file without a name.

    It has secrets in it, and we may end by any signal: nothing must stay behind.
    """
    handles = Path("/proc/self/fd")
    if handles.is_dir():
        with tempfile.TemporaryFile(prefix="synfin-trace-") as file:
            yield handles / str(file.fileno())
    else:
        with tempfile.TemporaryDirectory(prefix="synfin-trace-") as folder:
            yield Path(folder) / "trace.pcapng"


def run(
    ask: Ask,
    page: Page,
    trust: Trust | None,
    credentials: tuple[Credential, ...],
    *,
    write: Path | None,
    keylog: Path | None,
    fail: bool = False,
    own: OwnPlace | None = None,
) -> Done:
    """Do the run, and observe and judge its capture."""
    with ExitStack() as stack:
        path = write
        if path is None:
            path = stack.enter_context(_unkept())
        elif str(path) == "-" or (path.exists() and not path.is_file()):
            raise UsageError(f"-w {path}: is no file; the capture is read again at the end")
        logs = [stack.enter_context(key_log_file(keylog, _refuse))] if keylog is not None else []
        sink = Body(page.body) if page.body else None
        why = may_capture()
        file = private_file(path, "-w ")
        capture = LiveCapture(file) if not why else PduCapture(file)
        teller = Teller(page, lambda head: wanted(ask, head, fail=fail))
        trace = Run(
            ask=ask,
            told=teller,
            body=sink,
            trust=trust,
            credentials=credentials,
            capture=capture,
            key_logs=tuple(logs),
            fail=fail,
        )
        try:
            capture.start()
            asyncio.run(_over(trace, own))
        finally:
            capture.close(linger=_linger(trace.hops or []))
        hops = trace.hops or []
        if sink is not None:
            if hops and hops[-1].head is not None and wanted(ask, hops[-1].head, fail=fail):
                sink(b"")
            sink.close()
        return Done(
            hops,
            _observed(path, hops),
            capture.kind,
            why,
            capture.packets,
            capture.dropped,
            capture.sink.broken,
        )


def _refuse(why: str) -> None:
    raise UsageError(why)


async def _over(trace: Run, own: OwnPlace | None) -> None:
    """The run over the kernel's TCP, or over ours."""
    if own is None:
        await trace.run()
        return
    stack = own.stack()
    try:
        trace.connect = OwnConnector(stack)
        await trace.run()
    finally:
        await stack.close()


def _linger(hops: list[t.Hop]) -> float:
    """Seconds until the last acknowledgement should have come: two round trips and a little."""
    rtts = [step.info.rtt for hop in hops for step in hop.steps if isinstance(step, t.Connected) and step.info]
    return min(0.02 + 2 * max(rtts, default=0.0), 0.5)


class Body:
    """Where a body goes: a file that is opened when an answer has come, or stdout for "-".

    UsageError at once for what cannot be written as far as that shows before, and later for what is refused then.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._file: IO[bytes] | None = sys.stdout.buffer if name == "-" else None
        path = Path(name)
        why = ""
        if name != "-" and path.is_dir():
            why = os.strerror(errno.EISDIR)
        elif name != "-" and not path.parent.is_dir():
            why = os.strerror(errno.ENOENT)
        elif name != "-" and not os.access(path if path.exists() else path.parent, os.W_OK):
            why = os.strerror(errno.EACCES)
        if why:
            raise UsageError(f"-o {name}: {why}")

    def __call__(self, data: bytes) -> None:
        """Write ``data``; b"" only makes the file."""
        try:
            if self._file is None:
                self._file = Path(self._name).open("wb")  # noqa: SIM115  closed below
            self._file.write(data)
        except OSError as error:
            raise UsageError(f"-o {self._name}: {error.strerror}") from None

    def close(self) -> None:
        """Flush, and close what was opened."""
        if self._file is None:
            return
        try:
            self._file.flush()
            if self._name != "-":
                self._file.close()
        except OSError as error:
            raise UsageError(f"-o {self._name}: {error.strerror}") from None


def _observed(path: Path, hops: list[t.Hop]) -> Told:
    """The connections of the capture with their judgement and the hop they belong to."""
    owner = {place: hop for hop in hops for place in hop.tried}
    probes = probe_ports(hops)
    with observe(path) as seen:
        found = []
        for connection, judgement in inputs.judged(seen):
            a, b = connection.a, connection.b
            if a.port in probes:  # its outcome is told with the connection it explains
                judgement = HEALTHY
            hop = owner.get((b.ip, b.port, a.port))
            if hop is not None and hop.port not in (None, a.port):
                judgement = _outdone(judgement)
            found.append((connection, judgement, hop))
    return sorted(found, key=lambda one: one[0].id)


def _outdone(judgement: Judgement) -> Judgement:
    """What was found about an address that failed where another one answered: a warning at most."""
    milder = [replace(one, severity=min(one.severity, Severity.WARNING)) for one in judgement.findings]
    return replace(judgement, findings=tuple(milder))
