"""The one code table: every code the judge can give, in order of cause.

A row stands before the rows it can explain: a refused SYN explains everything, an expired certificate explains the
alert that the client sent about it, an alert explains the close.  The engine keeps the first finding in this order
as the root cause and folds the others under it.  Pages, the SARIF rule list, ``--select`` and the reference document
are all generated from here.  A code is never used again for something else.

``signs`` say which first-glance signs of trouble (``judge.signs``) make the engine call the rule at all, so that a
healthy connection costs next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from synfin.judge.model import Actor, Severity
from synfin.judge.signs import Sign


@dataclass(frozen=True, slots=True)
class Code:
    """One row: the code, its short name, what it says, its usual severity and actor, and where the rule is."""

    code: str
    slug: str
    title: str
    severity: Severity
    actor: Actor
    keys: str  # "no", "TLS 1.3" or "yes": are TLS secrets needed for proof
    signs: Sign  # any of these makes the engine call the rule; none: a fact about the whole capture

    @property
    def module(self) -> str:
        """Name of the module that holds the page (its docstring) and the check."""
        return "synfin.judge.rules." + self.slug.replace("-", "_")

    def load(self) -> ModuleType:
        """The rule's module, imported when first wanted."""
        return import_module(self.module)

    @property
    def page(self) -> str:
        """The rule's page: the docstring of its module."""
        return (self.load().__doc__ or "").strip()


_E, _W, _N, _I = Severity.ERROR, Severity.WARNING, Severity.NOTICE, Severity.INFO
_CLIENT, _SERVER, _NETWORK, _BOX = Actor.CLIENT, Actor.SERVER, Actor.NETWORK, Actor.MIDDLEBOX
_OPERATOR, _OPEN = Actor.OPERATOR, Actor.UNDECIDABLE
_NEW, _HELLO, _RST, _HTTP = Sign.NO_HANDSHAKE, Sign.TLS_UNFINISHED, Sign.RESET, Sign.HTTP

TABLE: tuple[Code, ...] = (
    # What the capture itself lacks.
    Code("CAP101", "cut-packets", "packets are cut by the snap length", _N, _OPERATOR, "no", Sign(0)),
    Code("CAP102", "one-direction", "only one direction was captured", _N, _OPERATOR, "no", Sign(0)),
    Code("CAP103", "starts-late", "the capture starts after the connections", _I, _OPERATOR, "no", Sign(0)),
    Code("CAP104", "damaged-file", "the capture file is damaged", _N, _OPERATOR, "no", Sign(0)),
    Code("CAP105", "time-backwards", "packets are not in time order", _I, _OPERATOR, "no", Sign(0)),
    Code("CAP106", "unread-packets", "packets that were not understood", _I, _OPERATOR, "no", Sign(0)),
    Code("CAP107", "quic-not-judged", "QUIC was seen and not judged", _I, _OPERATOR, "no", Sign(0)),
    # No TCP connection.
    Code("TCP101", "refused", "connection refused", _E, _SERVER, "no", _NEW),
    Code("TCP105", "unreachable", "unreachable, says ICMP", _E, _NETWORK, "no", _NEW),
    Code("TCP103", "accept-queue", "the server never accepted the connection", _E, _SERVER, "no", _NEW | Sign.LOSS),
    Code("TCP102", "syn-unanswered", "SYN never answered", _E, _OPEN, "no", _NEW),
    # A proxy in between.
    Code("PRX101", "connect-refused", "the proxy refused CONNECT", _E, _OPERATOR, "no", Sign.PROXY | _HTTP),
    # Not TLS at all.
    Code("TLS101", "plain-server", "the server does not speak TLS here", _E, _CLIENT, "no", _HELLO),
    Code("TLS102", "plain-client", "the client sent plain text to a TLS port", _E, _CLIENT, "no", Sign.NOT_TLS | _HTTP),
    # Packets that do not pass.
    Code("TCP302", "large-hello-dropped", "a large ClientHello does not pass", _E, _NETWORK, "no", _HELLO | Sign.LOSS),
    Code("TCP301", "mtu-black-hole", "large packets do not pass", _E, _NETWORK, "no", Sign.HOLE | Sign.LOSS),
    Code("TLS113", "hello-dropped", "the ClientHello never arrives", _E, _BOX, "no", _HELLO),
    # Too old, before anything else is looked at.
    Code("TLS205", "legacy-server", "the server is too old for the client", _E, _SERVER, "no", Sign.ALERT | _HELLO),
    # Certificates.
    Code("CRT201", "certificate-expired", "a certificate has expired", _E, _SERVER, "TLS 1.3", Sign.CHAIN | Sign.ALERT),
    Code("CRT202", "not-yet-valid", "a certificate is not valid yet", _E, _SERVER, "TLS 1.3", Sign.CHAIN | Sign.ALERT),
    Code("CRT101", "missing-intermediate", "an intermediate is missing", _E, _SERVER, "TLS 1.3", Sign.CHAIN),
    Code("CRT102", "untrusted", "the client does not trust the issuer", _E, _OPEN, "TLS 1.3", Sign.CHAIN | Sign.ALERT),
    Code(
        "CRT401",
        "unusable-certificate",
        "the certificate is not fit for use",
        _E,
        _SERVER,
        "TLS 1.3",
        Sign.CHAIN | Sign.ALERT,
    ),
    Code("CRT301", "name-mismatch", "the certificate is for another name", _E, _SERVER, "TLS 1.3", Sign.CHAIN),
    # Who may come in.
    Code(
        "TLS301",
        "client-certificate-missing",
        "client certificate missing",
        _E,
        _CLIENT,
        "TLS 1.3",
        Sign.ALERT | Sign.UNANSWERED | _HTTP | _HELLO,
    ),
    Code(
        "TLS302",
        "client-certificate-rejected",
        "client certificate rejected",
        _E,
        _CLIENT,
        "TLS 1.3",
        Sign.ALERT | Sign.UNANSWERED | _HTTP | _HELLO,
    ),
    # Nothing in common.
    Code("TLS201", "no-common-version", "no common TLS version", _E, _OPERATOR, "no", Sign.ALERT),
    Code("TLS203", "unrecognized-name", "the server does not know the name", _E, _OPERATOR, "no", Sign.ALERT),
    Code("TLS206", "alpn-mismatch", "no common application protocol", _E, _OPERATOR, "no", Sign.ALERT),
    Code("TLS202", "no-common-cipher", "no common cipher, group or signature", _E, _OPERATOR, "no", Sign.ALERT),
    Code("TLS501", "bad-record-mac", "a record did not authenticate", _E, _NETWORK, "TLS 1.3", Sign.ALERT),
    Code("TLS210", "fatal-alert", "fatal alert", _E, _OPERATOR, "no", Sign.ALERT),
    Code(
        "TLS211",
        "silent-rejection",
        "rejected without a readable reason",
        _E,
        _OPERATOR,
        "TLS 1.3",
        Sign.UNANSWERED | _HELLO,
    ),
    # The handshake ends without a word.
    Code("TLS204", "large-hello-refused", "a large ClientHello is not understood", _E, _SERVER, "no", _HELLO),
    Code(
        "TLS110",
        "handshake-reset",
        "reset during the TLS handshake",
        _E,
        _OPEN,
        "no",
        _HELLO | Sign.NOT_TLS,
    ),
    Code("TLS111", "handshake-closed", "closed during the TLS handshake", _E, _SERVER, "no", _HELLO),
    Code("TLS112", "hello-unanswered", "ClientHello received, never answered", _E, _SERVER, "no", _HELLO),
    Code("CRT302", "left-after-handshake", "left right after the handshake", _N, _OPEN, "TLS 1.3", Sign.QUIT),
    # After the handshake.
    Code("HTP101", "keep-alive-race", "a request met a closing connection", _E, _CLIENT, "no", Sign.RESET | _HTTP),
    Code("TCP401", "idle-black-hole", "an idle connection was forgotten", _E, _BOX, "no", Sign.LOSS),
    Code("TCP220", "zero-window", "the receiver stopped reading", _W, _OPEN, "no", Sign.STALL),
    Code("TCP501", "reset-mid-response", "reset before the response was complete", _E, _SERVER, "TLS 1.3", _RST),
    Code(
        "HTP103", "empty-reply", "the server closed without answering", _E, _SERVER, "TLS 1.3", _HTTP | Sign.UNANSWERED
    ),
    Code(
        "HTP201",
        "short-body",
        "the response is shorter than it said",
        _E,
        _SERVER,
        "yes",
        _HTTP | Sign.UNCLEAN,
    ),
    Code(
        "HTP104",
        "answer-stops",
        "the answer stops in the middle",
        _E,
        _OPEN,
        "yes",
        _HTTP | Sign.LOSS | Sign.UNCLEAN,
    ),
    Code("HTP202", "malformed-http", "the HTTP framing is broken", _E, _SERVER, "yes", _HTTP),
    Code("HTP301", "h2-error", "HTTP/2 stream or connection error", _E, _OPEN, "yes", _HTTP),
    Code("HTP102", "slow-answer", "the application is slow", _N, _SERVER, "TLS 1.3", Sign.SLOW | _HTTP),
    # Slow but working.
    Code("TLS401", "no-close-notify", "the end of the data is not proved", _N, _SERVER, "yes", Sign.UNCLEAN),
    Code("TCP201", "loss", "packets are lost, and it costs time", _N, _NETWORK, "no", Sign.LOSS | Sign.STALL),
    Code("TCP210", "delayed-ack", "a small write waited for a delayed acknowledgment", _N, _SERVER, "no", Sign.PAUSE),
    Code("TCP230", "no-window-scaling", "window scaling in one direction only", _N, _BOX, "no", Sign.WINDOW),
    Code("SLO101", "syn-retry", "the first SYN was lost", _N, _NETWORK, "no", Sign.LOSS),
    Code("SLO202", "two-round-trips", "TLS 1.2 took two round trips", _I, _SERVER, "no", Sign.ROUNDS),
    Code("SLO203", "large-flight", "the certificates exceed the initial window", _I, _SERVER, "no", Sign.FLIGHT),
    Code("SLO201", "hello-retry", "one round trip more than needed", _I, _SERVER, "no", Sign.RETRY),
)

#: Code -> row.
CODES: dict[str, Code] = {row.code: row for row in TABLE}

#: Code -> place in the order of cause.
ORDER: dict[str, int] = {row.code: place for place, row in enumerate(TABLE)}


def matches(code: str, prefixes: tuple[str, ...]) -> bool:
    """Whether ``code`` begins with any of ``prefixes`` (``TLS``, ``CRT2``, ``TCP101``)."""
    return code.startswith(prefixes)
