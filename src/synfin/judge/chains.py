"""What a server's certificates show, and what the client made of them.

``judged_chain`` is the chain as it was sent with every fault that ``spec.certcheck`` finds.  ``verdict`` reads the
client's conduct: an alert, a departure, or application data.  ``blame`` brings both together: which fault is it that
the client turned down?  A judge has no trust store, so "untrusted" is only said when the client said or showed it; a
fault that the client accepted is a note at most.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from synfin.judge.alerts import alert_name
from synfin.judge.facts import Close, deciding_alert, first_close, missed, server_chain, was_asked
from synfin.judge.model import Severity
from synfin.judge.offers import hello_of
from synfin.judge.records import asked_anything, protected
from synfin.judge.telling import SECOND, at, end
from synfin.observe.story import Connection
from synfin.observe.story_tls import ChainFact, TlsStory
from synfin.spec.certcheck import ChainVerdict, Problem, check_chain
from synfin.spec.certificates import CertificateFacts
from synfin.wire.tcpflags import ACK
from synfin.wire.tls.registry import is_tls13


@dataclass(frozen=True, slots=True)
class Shape:
    """The server's chain as sent, and everything ``spec.certcheck`` finds wrong with it (trust aside)."""

    sent: ChainFact
    checked: ChainVerdict

    @property
    def leaf(self) -> CertificateFacts:
        """The server's own certificate."""
        return self.checked.certificates[0]

    @property
    def packet(self) -> int | None:
        """The first packet of the Certificate message."""
        return self.sent.packets[0] if self.sent.packets else None

    @property
    def top(self) -> CertificateFacts:
        """The last certificate of the path from the leaf upwards."""
        return self.checked.certificates[self.checked.path[-1]]

    @property
    def self_signed_leaf(self) -> bool:
        """The server's certificate vouches for itself."""
        return self.leaf.self_issued

    @property
    def root_sent(self) -> bool:
        """The path ends in a self-signed certificate."""
        return self.top.self_issued

    @property
    def missing(self) -> str:
        """The issuer whose certificate was not sent, as text; "" where the path ends in itself."""
        return "" if self.root_sent else self.top.issuer_text

    @property
    def leaf_only(self) -> bool:
        """Only the leaf was usable, and it is not its own issuer."""
        return len(self.checked.path) == 1 and not self.self_signed_leaf

    @property
    def issuer_is_root(self) -> bool | None:
        """Whether the issuer that was not sent is a root itself; None where nothing shows it."""
        if self.top.ca_issuers:
            return False if len(self.checked.path) == 1 else None
        if re.search(r"\broot\b", self.missing, re.IGNORECASE):
            return True
        if re.search(r"intermediate|issuing|\bsub[ -]?ca\b", self.missing, re.IGNORECASE):
            return False
        return None

    def first(self, *names: str) -> Problem | None:
        """The first problem of these names."""
        return next((problem for problem in self.checked.problems if problem.name in names), None)


def judged_chain(connection: Connection) -> Shape | None:
    """The server's chain with its faults, or None where it was not seen or its leaf cannot be read."""
    tls = connection.tls
    chain = server_chain(tls) if tls is not None else None
    if chain is None:
        return None
    second = chain.time // SECOND * SECOND  # dates in certificates are whole seconds
    checked = _checked(chain.der, wanted(connection), second)
    return Shape(chain, checked) if checked.certificates[0].parsed else None


@lru_cache(maxsize=2048)
def _checked(der: tuple[bytes, ...], name: str, when: int) -> ChainVerdict:
    return check_chain(der, name=name or None, when_ns=when)


def wanted(connection: Connection) -> str:
    """The name or address the client must have wanted: SNI, a proxy's target, else the server's address."""
    tls = connection.tls
    if tls is not None and tls.sni:
        return tls.sni
    for preamble in connection.preambles:
        if preamble.target is not None:
            return preamble.target.ip
    return "" if connection.preambles else connection.b.ip


# ---------------------------------------------------------------- the client's verdict


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the client made of the certificates.

    ``kind``: "alert" (readable), "hidden" (an alert that cannot be read in place of its Finished), "left" (it closed
    in the handshake), "quit" (it finished and asked for nothing), "accepted", "open".
    """

    kind: str
    text: str
    packet: int | None = None
    alert: int | None = None
    rude: bool = False  # it closed without close_notify
    time: int = 0  # when it left, ns; 0 where it did not

    @property
    def sentence(self) -> str:
        """``text`` as a sentence of its own."""
        return f"{self.text[:1].upper()}{self.text[1:]}."


#: A client that leaves because of what it saw leaves at once; later it has changed its mind or is done.
AT_ONCE = SECOND

#: In the middle of the handshake nothing else is left to wait for, and a cold Java takes its time over a chain.
IN_HANDSHAKE = 3 * SECOND


def verdict(connection: Connection) -> Verdict:
    """The client's verdict on what the server sent."""
    tls = connection.tls
    if tls is None:
        return Verdict("open", "no TLS was seen")
    who = end(connection, tls.client)
    alert = deciding_alert(connection, tls.client)
    if alert is not None and alert.description is not None:
        said = alert_name(alert.description)
        text = f"{at(connection, alert.time)} {who} sent the alert {said} (packet {alert.packet})"
        return Verdict("alert", text, alert.packet, alert.description)
    if tls.server_hello is None:
        return Verdict("open", "the server sent no certificate")
    if connection.tcp.source == "packets" and connection.tcp.handshake != "complete":
        return Verdict("open", "the start of the connection was not captured")
    close = first_close(connection)
    mine = [record for record in protected(tls) if record.sender == tls.client]
    if mine and mine[0].what == "alert" and mine[0].guess:
        text = f"{who} sent a record of an alert's size in place of its Finished (packet {mine[0].packet})"
        return Verdict("hidden", text, mine[0].packet)
    if asked_anything(tls):
        return Verdict("accepted", f"{who} accepted it and sent its request")
    bye = next((record for record in mine if record.what == "alert"), None)
    if bye is not None and (close is None or bye.time <= close.time):
        left, packet, how = bye.time, bye.packet, "said good-bye"
    elif close is not None and close.side == tls.client and not _unknown_there(connection, close):
        left, packet, how = close.time, close.packet, "closed"
    else:
        return Verdict("open", "the client's verdict was not seen")
    ended = f"{at(connection, left)} {who} {how} (packet {packet})"
    since = max((m.time for m in tls.messages if m.time <= left), default=left)
    patience = AT_ONCE if tls.handshake_done or mine else IN_HANDSHAKE
    if left - since > max(patience, 4 * (connection.tcp.initial_rtt or 0)):
        return Verdict("open", f"{ended}, without having asked for anything")
    if missed(connection):
        return Verdict("open", f"{ended}; what it had sent before was not all captured")
    if _before_finished(tls, left):
        return Verdict("left", f"{ended} without waiting for the end of the handshake", packet, time=left)
    if tls.handshake_done or len(mine) > (bye is not None):
        asked = f"{ended} right after the handshake, without asking for anything"
        return Verdict("quit", asked, packet, rude=bye is None, time=left)
    if connection.tcp.sides[1 - tls.client].payload:
        return Verdict("left", f"{ended} in the middle of the handshake", packet, time=left)
    return Verdict("open", "the client's verdict was not seen")


def _before_finished(tls: TlsStory, left: int) -> bool:
    """Whether the client, having sent its own Finished first (TLS 1.2, no resumption), did not wait for the server's.

    NSS does so when it turns a certificate down; nobody who only looks whether the server is there leaves then.
    """
    if tls.version is None or is_tls13(tls.version) or tls.resumed is not None:
        return False
    began = [next((r.time for r in tls.records if r.sender == side and r.type == 20), None) for side in (0, 1)]
    mine, theirs = began[tls.client], began[1 - tls.client]
    return mine is not None and mine <= left and (theirs is None or left < theirs)


def _unknown_there(connection: Connection, close: Close) -> bool:
    """Whether the client's RST only says that it knows no such connection: no ACK, in answer to a segment.

    A client that closes by itself sends RST,ACK; without ACK the connection was gone before (RFC 9293 3.5.2).
    """
    rows = connection.rows
    return close.reset and not rows.flags[close.place] & ACK and connection.tcp.sides[close.side].fins == 0


# ---------------------------------------------------------------- which fault it is about


@dataclass(frozen=True, slots=True)
class Blame:
    """The fault that the client's verdict is about, as far as it can be seen.

    ``fault``: expired, early, name, missing, untrusted, unusable, or "" (none that is visible).  ``form`` is None
    where the certificates could not be read and the alert alone speaks.
    """

    fault: str
    verdict: Verdict
    form: Shape | None = None

    @property
    def severity(self) -> Severity | None:
        """None: the rule's own.  A client that finished, asked nothing and left may be a health check: a note, unless
        it left without close_notify, as Node does when it rejects a certificate."""
        if self.verdict.kind != "quit":
            return None
        return Severity.WARNING if self.verdict.rude else Severity.NOTICE


#: Which faults an alert may mean, most telling first (OpenSSL's mapping, measured; GnuTLS uses 42 for all, Java and
#: browsers use 46 for most).
_MEANS: dict[int, tuple[str, ...]] = {
    45: ("expired", "early", "clock"),
    48: ("self-signed", "missing", "authority", "untrusted"),
    42: ("early", "name", "cn-only", "weak", "expired", "usage", "self-signed", "missing", "unusable"),
    43: ("usage", "weak", "unusable"),
    44: ("unusable",),
    46: ("expired", "early", "name", "cn-only", "self-signed", "usage", "weak", "missing", "untrusted"),
    49: ("unusable",),
    113: ("unusable",),
}

#: Alerts that name no certificate and are yet some stacks' word for one (Erlang says handshake_failure for a wrong name
#: or use, OpenSSL decrypt_error for a damaged signature of a CA): only a fault that can be read in the chain makes them
#: so.
_LOOSE: dict[int, tuple[str, ...]] = {
    40: ("expired", "early", "name", "cn-only", "usage", "weak"),
    51: ("signature",),
}

#: Which faults a departure without an alert may mean.  In place of Finished it is a refusal (Node and Java say nothing
#: else); after the handshake it may be a health check, so only plain faults count.
_SILENT = {
    "left": ("expired", "early", "name", "self-signed", "usage", "weak", "missing", "too-long", "untrusted"),
    "hidden": ("expired", "early", "name", "self-signed", "usage", "weak", "missing", "too-long", "untrusted"),
    "quit": ("expired", "early", "name", "self-signed", "usage", "missing", "intercepted"),
}

#: Faults that are only supposed of a chain in which nothing plainly wrong can be read.
_GUESSED = ("missing", "too-long", "untrusted")

#: Which faults an alert means when the certificates could not be read.
_UNSEEN = {45: "expired", 48: "untrusted"}

#: What a candidate is a kind of.
_KINDS = {
    "self-signed": "untrusted",
    "intercepted": "untrusted",
    "weak": "unusable",
    "usage": "unusable",
    "signature": "unusable",
    "authority": "unusable",
    "too-long": "unusable",
    "cn-only": "name",
    "clock": "expired",
}

NAME_PROBLEMS = ("name_mismatch", "wildcard_too_deep", "common_name_only")
USE_PROBLEMS = (
    "wrong_usage",
    "not_a_ca",
    "no_cert_sign",
    "path_length",
    "name_constraints",
    "unknown_critical_extension",
    "bad_signature",
)
#: Of these, what OpenSSL answers with unknown_ca.
AUTHORITY_PROBLEMS = ("not_a_ca", "no_cert_sign", "path_length")
WEAK_PROBLEMS = ("weak_key", "weak_signature")

#: Candidate -> problems of ``spec.certcheck`` that make it so.
_PROBLEMS: dict[str, tuple[str, ...]] = {
    "expired": ("expired",),
    "early": ("not_yet_valid",),
    "name": NAME_PROBLEMS[:2],
    "cn-only": NAME_PROBLEMS[2:],
    "usage": USE_PROBLEMS,
    "signature": ("bad_signature",),
    "authority": AUTHORITY_PROBLEMS,
    "weak": WEAK_PROBLEMS,
}


#: Java takes no more certificates than this in one chain (jdk.tls.maxCertificateChainLength).
LONGEST_JAVA = 10


def blame(connection: Connection) -> Blame:
    """The fault the client left or complained about; ``fault`` is "" for a client that was content."""
    said = verdict(connection)
    form = judged_chain(connection)
    loose = said.kind == "alert" and said.alert in _LOOSE and form is not None
    if said.kind == "alert" and said.alert not in _MEANS and not loose:
        return Blame("", said, form)
    if form is None:
        fault = _UNSEEN.get(said.alert or 0, "unusable") if said.kind == "alert" else ""
        return Blame(fault, said)
    if said.kind == "alert":
        candidates = (_LOOSE if loose else _MEANS)[said.alert or 0]
    elif said.kind in _SILENT:
        candidates = _SILENT[said.kind] + (("weak",) if said.kind == "quit" and said.rude else ())
        if said.kind == "left" and was_asked(connection):  # a browser closes then, asks its user and comes back
            candidates = tuple([fault for fault in candidates if fault not in _GUESSED])
    else:
        return Blame("", said, form)
    named = connection.tls is not None and bool(connection.tls.sni)
    for fault in candidates:
        if said.alert == 42 and fault == "unusable":
            return Blame(_behind_42(connection, form), said, form)
        if fault == "name" and not named and said.kind != "alert" and not _by_address(connection, said):
            continue  # nobody knows what a client that sends no server name wanted
        if _has(form, fault):
            return Blame(_KINDS.get(fault, fault), said, form)
    return Blame("unusable" if said.kind == "alert" and not loose else "", said, form)


def _by_address(connection: Connection, said: Verdict) -> bool:
    """Whether a client without a server name went to an address, for which there is none to send (RFC 6066 3).

    It left within the handshake, or it is a client of HTTP: one that only looks whether TLS works offers no ALPN.
    """
    hello = hello_of(connection.tls) if connection.tls is not None else None
    return not connection.preambles and (said.kind != "quit" or (hello is not None and bool(hello.alpn)))


def _behind_42(connection: Connection, form: Shape) -> str:
    """What bad_certificate (42) is about where nothing in the chain is wrong.

    OpenSSL says it of dates in the future, so its clock is behind; the others say it of any chain, and with nothing
    else wrong that is one they do not trust.
    """
    if form.first("irregular", "must_staple") is not None:
        return "unusable"
    hello = hello_of(connection.tls) if connection.tls is not None else None
    offered = hello.extensions if hello is not None else None
    formats = next((extension.body for extension in offered or () if extension.type == _POINT_FORMATS), b"")
    return "early" if formats == _OPENSSL_FORMATS else "untrusted"


def _has(form: Shape, fault: str) -> bool:
    if fault in _PROBLEMS:
        return form.first(*_PROBLEMS[fault]) is not None
    if fault == "self-signed":
        return form.root_sent
    if fault == "missing":
        return form.leaf_only and form.issuer_is_root is not True
    if fault == "intercepted":
        return bool(form.checked.interception)
    if fault == "too-long":
        return len(form.checked.path) > LONGEST_JAVA
    return True


#: ec_point_formats (RFC 8422 5.1.2), and how OpenSSL alone offers them, compressed ones too.
_POINT_FORMATS, _OPENSSL_FORMATS = 11, b"\x03\x00\x01\x02"

#: Problems of a chain that are worth a note even when the client accepted it.
_NOTED = ("expired", "not_yet_valid", *NAME_PROBLEMS[:2])


def is_content(connection: Connection) -> bool:
    """Whether nothing is to say of a chain that the client, by every sign, accepted."""
    form = judged_chain(connection)
    return form is None or form.first(*_NOTED) is None
