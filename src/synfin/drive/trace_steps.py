"""What a trace tells while it runs, step by step, as data; how it reads for people is in ``views.trace``."""

from __future__ import annotations

from dataclasses import dataclass, field

from synfin.drive.eyeballs import Attempt
from synfin.drive.lookup import Lookup
from synfin.drive.streams import TcpInfo
from synfin.drive.trace_ask import Url
from synfin.http.client import Fields, Head
from synfin.spec.certcheck import ChainVerdict
from synfin.spec.violations import VIOLATIONS
from synfin.tls import Facts

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a trace could not go on.  ``step`` is where: dns, tcp, tls, certificate, http or redirect.

    ``violation`` is a name of ``spec.violations``, or "" where it is none; ``rule`` is the judge's code for it, or "".
    ``ours`` says that it was decided here, whatever the capture shows; ``remedy`` what can be done, or "".
    """

    step: str
    words: str
    violation: str = ""
    expected: str = ""
    got: str = ""
    remedy: str = ""
    ours: bool = False

    @property
    def rule(self) -> str:
        """The judge's code."""
        if self.violation == "certificate_refused":  # of a server here
            return "CRT401"
        return VIOLATIONS[self.violation].rule if self.violation in VIOLATIONS else ""


@dataclass(frozen=True, slots=True)
class Asking:
    """A hop begins."""

    number: int
    method: str
    url: Url


@dataclass(frozen=True, slots=True)
class LookedUp:
    """The resolver's answers, a family each."""

    host: str
    answers: tuple[Lookup, ...]


@dataclass(frozen=True, slots=True)
class Attempted:
    """An attempt to connect has ended."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Connected:
    """TCP is there; seconds of the whole race."""

    local: Address
    remote: Address
    seconds: float
    info: TcpInfo | None


@dataclass(frozen=True, slots=True)
class Spoke:
    """A TLS message passed, ``after`` seconds from the ClientHello; ``kind`` and ``raw`` as in ``trace_talk``."""

    sent: bool
    kind: str
    raw: bytes
    after: float


@dataclass(frozen=True, slots=True)
class Shook:
    """The TLS handshake is done.  ``client`` is whether our certificate was shown, None where we have none."""

    facts: Facts
    seconds: float
    client: bool | None = None


@dataclass(frozen=True, slots=True)
class Certified:
    """What the server presented, and whether it holds: ``violation`` "" says it does; ``now`` in seconds since 1970."""

    name: str
    verdict: ChainVerdict
    now: float
    source: str  # whose roots
    violation: str = ""
    why: str = ""
    accepted: bool = True  # False: the connection ended here


@dataclass(frozen=True, slots=True)
class Sent:
    """The request is on its way."""

    method: str
    target: str
    version: str
    fields: Fields
    body: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A head came, ``seconds`` after the request had been sent."""

    head: Head
    seconds: float


@dataclass(frozen=True, slots=True)
class Received:
    """The body: its octets, how long they took, its beginning.  ``stopped`` says that we had enough."""

    octets: int
    seconds: float
    start: bytes
    complete: bool
    stopped: bool = False
    trailers: Fields = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection is closed.  ``clean`` is None over plain TCP, else whether the server said close_notify."""

    clean: bool | None
    seconds: float
    info: TcpInfo | None
    tickets: int = 0


@dataclass(frozen=True, slots=True)
class Pointed:
    """The answer points elsewhere; ``followed`` is False where nobody asked to."""

    location: str
    followed: bool


@dataclass(frozen=True, slots=True)
class Probed:
    """The server went without a word: whether it ``answered`` a short ClientHello on another connection from ``port``.

    What it had not answered was a long ClientHello, or with ``clear`` a request in clear.  None: nobody took that
    connection any more.
    """

    answered: bool | None
    port: int
    clear: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The hop could not be finished."""

    cause: Cause


Step = (
    Asking
    | LookedUp
    | Attempted
    | Connected
    | Spoke
    | Shook
    | Certified
    | Sent
    | Answered
    | Received
    | Ended
    | Pointed
    | Probed
    | Failed
)


@dataclass(slots=True)
class Hop:
    """One URL that was asked: its steps, and the connections that were tried (server, port, our port)."""

    number: int
    url: Url
    method: str
    steps: list[Step] = field(default_factory=list)
    tried: list[tuple[str, int, int]] = field(default_factory=list)

    @property
    def port(self) -> int | None:
        """Our port of the connection that was made, None where none was."""
        return next((step.local[1] for step in self.steps if isinstance(step, Connected)), None)

    @property
    def cause(self) -> Cause | None:
        """Why it failed, None where it did not."""
        return next((step.cause for step in self.steps if isinstance(step, Failed)), None)

    @property
    def head(self) -> Head | None:
        """The final answer's head."""
        heads = [step.head for step in self.steps if isinstance(step, Answered) and not step.head.informational]
        return heads[-1] if heads else None
