"""What a server's certificates show, and what the client made of them.

``shape`` reads the chain as it was sent: which certificate vouches for which, where it stops, what was not sent.
``verdict`` reads the client's conduct: an alert, a departure, or application data.  A judge has no trust store, so
"untrusted" is only said when the client said or showed it; a fault that the client accepted is a note at most.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from synfin.judge.alerts import alert_name
from synfin.judge.facts import (
    asked_anything,
    at,
    deciding_alert,
    end,
    first_close,
    protected,
    server_chain,
)
from synfin.observe.story import ChainFact, Connection
from synfin.spec.certificates import CertificateFacts, certificate_facts


@dataclass(frozen=True, slots=True)
class Shape:
    """A chain as sent.  ``path`` are the certificates that follow from the leaf, in order, by names and signatures."""

    path: tuple[CertificateFacts, ...]
    self_signed_leaf: bool
    root_sent: bool  # the path ends in a self-signed certificate
    missing: str  # the issuer whose certificate was not sent, as text; "" where the path ends in itself

    @property
    def leaf(self) -> CertificateFacts:
        """The server's own certificate."""
        return self.path[0]

    @property
    def leaf_only(self) -> bool:
        """Only the leaf was usable, and it is not its own issuer."""
        return len(self.path) == 1 and not self.self_signed_leaf

    @property
    def issuer_is_root(self) -> bool | None:
        """Whether the issuer not sent is a root itself; None where nothing shows it."""
        last = self.path[-1]
        if last.ca_issuers:
            return False if len(self.path) == 1 else None
        if re.search(r"\broot\b", self.missing, re.IGNORECASE):
            return True
        if re.search(r"intermediate|issuing|\bsub[ -]?ca\b", self.missing, re.IGNORECASE):
            return False
        return None


def role(shape: Shape, place: int) -> str:
    """What the certificate at ``place`` of the path is: server certificate, intermediate or root."""
    if place == 0:
        return "server certificate"
    if place == len(shape.path) - 1 and shape.root_sent:
        return "root certificate"
    return "intermediate certificate"


def shape(chain: ChainFact) -> Shape | None:
    """The shape of a chain, or None where its leaf cannot be read."""
    return _shape(chain.der[:32])


@lru_cache(maxsize=1024)
def _shape(der: tuple[bytes, ...]) -> Shape | None:
    if not der:
        return None
    certificates = [certificate_facts(item) for item in der]
    leaf = certificates[0]
    if not leaf.parsed:
        return None
    path = [leaf]
    rest = [item for item in certificates[1:] if item.parsed]
    while not path[-1].self_issued:
        step = next(
            (c for c in rest if c.subject_der == path[-1].issuer_der and path[-1].signed_by(c) is not False), None
        )
        if step is None:
            break
        rest.remove(step)
        path.append(step)
    root = path[-1].self_issued
    return Shape(tuple(path), root and len(path) == 1, root, "" if root else path[-1].issuer_text)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the client made of the certificates.

    ``kind``: "alert" (readable), "hidden" (an alert that cannot be read, or a close, in place of its Finished),
    "left" (it closed in the handshake), "quit" (it finished and asked for nothing), "accepted", "open".
    """

    kind: str
    text: str
    packet: int | None = None
    alert: int | None = None

    @property
    def rejected(self) -> bool:
        """Whether the client certainly did not go on."""
        return self.kind in ("alert", "hidden", "left")


def verdict(connection: Connection) -> Verdict:
    """The client's verdict on what the server sent."""
    tls = connection.tls
    if tls is None:
        return Verdict("open", "no TLS was seen")
    who = end(connection, tls.client)
    alert = deciding_alert(tls, tls.client)
    if alert is not None and alert.description is not None:
        text = (
            f"{at(connection, alert.time)} {who} sent the alert {alert_name(alert.description)} (packet {alert.packet})"
        )
        return Verdict("alert", text, alert.packet, alert.description)
    if tls.server_hello is None:
        return Verdict("open", "the server sent no certificate")
    close = first_close(connection)
    shown = protected(tls)
    mine = [p for p in shown if p.sender == tls.client]
    if mine and mine[0].what == "alert" and mine[0].guess:
        text = f"{who} sent a record of an alert's size in place of its Finished (packet {mine[0].packet})"
        return Verdict("hidden", text, mine[0].packet)
    if asked_anything(tls):
        return Verdict("accepted", f"{who} accepted it and sent its request")
    if close is not None and close.side == tls.client:
        ended = f"{at(connection, close.time)} {who} closed (packet {close.packet})"
        if tls.handshake_done or mine:
            return Verdict("quit", f"{ended} right after the handshake, without asking for anything", close.packet)
        if connection.tcp.sides[1 - tls.client].payload:
            return Verdict("left", f"{ended} in the middle of the handshake", close.packet)
    return Verdict("open", "the client's verdict was not seen")


def judged_chain(connection: Connection) -> tuple[ChainFact, Shape] | None:
    """The server's chain and its shape, or None where it was not seen or cannot be read."""
    tls = connection.tls
    chain = server_chain(tls) if tls is not None else None
    form = shape(chain) if chain is not None else None
    return (chain, form) if chain is not None and form is not None else None


def expired(form: Shape, time: int) -> list[int]:
    """Places in the path of the certificates that were past their end at ``time``."""
    return [n for n, c in enumerate(form.path) if c.not_after is not None and c.not_after < time]


def early(form: Shape, time: int) -> list[int]:
    """Places in the path of the certificates that were not valid yet at ``time``."""
    return [n for n, c in enumerate(form.path) if c.not_before is not None and c.not_before > time]


def days(ns: int) -> str:
    """A long duration for people: ``3 days``, ``5 hours``."""
    hours = ns // 3_600_000_000_000
    if hours >= 48:
        return f"{hours // 24} days"
    return f"{hours} hours" if hours >= 2 else f"{ns // 60_000_000_000} minutes"


# ---------------------------------------------------------------- which fault it is about


@dataclass(frozen=True, slots=True)
class Blame:
    """The fault that the client's verdict is about, as far as it can be seen.

    ``fault``: expired, early, name, missing, untrusted, unusable, or "" (none that is visible).
    ``seen`` is False where the certificates could not be read and the alert alone speaks.
    """

    fault: str
    verdict: Verdict
    chain: ChainFact | None = None
    form: Shape | None = None

    @property
    def seen(self) -> bool:
        """Whether the certificates themselves were read."""
        return self.form is not None


#: Which faults an alert may mean, most telling first (OpenSSL's mapping, measured; Java and browsers use 46 for most).
_MEANS: dict[int, tuple[str, ...]] = {
    45: ("expired", "early"),
    48: ("self-signed", "missing", "untrusted"),
    42: ("early", "name", "cn-only", "weak", "expired", "usage", "unusable"),
    43: ("usage", "weak", "unusable"),
    44: ("unusable",),
    46: ("expired", "early", "name", "cn-only", "self-signed", "usage", "weak", "missing", "untrusted"),
    49: ("unusable",),
    113: ("unusable",),
}

#: Which faults a departure without an alert may mean: only what is plainly wrong.
_SILENT = ("expired", "early", "name", "self-signed", "usage", "weak")

#: What a candidate is a kind of.
_KINDS = {"self-signed": "untrusted", "weak": "unusable", "usage": "unusable", "cn-only": "name"}

#: Which faults an alert means when the certificates could not be read.
_UNSEEN = {45: "expired", 48: "untrusted"}


def blame(connection: Connection) -> Blame:
    """The fault the client left or complained about; ``fault`` is "" for a client that was content."""
    said = verdict(connection)
    found = judged_chain(connection)
    if said.kind == "alert" and said.alert not in _MEANS:
        return Blame("", said, *(found or ()))
    if found is None:
        fault = _UNSEEN.get(said.alert or 0, "unusable") if said.kind == "alert" else ""
        return Blame(fault, said)
    chain, form = found
    if said.kind == "alert":
        candidates = _MEANS[said.alert or 0]
    elif said.kind in ("left", "quit", "hidden"):
        candidates = _SILENT
    else:
        return Blame("", said, chain, form)
    for fault in candidates:
        if _has(connection, form, chain.time, fault):
            return Blame(_KINDS.get(fault, fault), said, chain, form)
    if said.alert == 45:
        return Blame("expired", said, chain, form)
    return Blame("unusable" if said.kind == "alert" else "", said, chain, form)


def _has(connection: Connection, form: Shape, time: int, fault: str) -> bool:
    match fault:
        case "expired":
            return bool(expired(form, time))
        case "early":
            return bool(early(form, time))
        case "name":
            name = wanted(connection)
            return bool(name) and not covers(form.leaf, name)
        case "cn-only":
            return form.leaf.san_dns is None and form.leaf.san_ip is None
        case "self-signed":
            return form.root_sent
        case "usage":
            return bool(usage_faults(form))
        case "weak":
            return bool(weaknesses(form))
        case "missing":
            return form.leaf_only and form.issuer_is_root is not True
        case _:
            return True


def wanted(connection: Connection) -> str:
    """The name or address the client must have wanted: SNI, a proxy's target, else the server's address."""
    tls = connection.tls
    if tls is not None and tls.sni:
        return tls.sni
    for preamble in connection.preambles:
        if preamble.target is not None:
            return preamble.target.ip
    return "" if connection.preambles else connection.b.ip


def weaknesses(form: Shape) -> list[str]:
    """Keys and signatures of the path that current clients refuse (OpenSSL security level 1 and 2, browsers)."""
    found = []
    for place, certificate in enumerate(form.path):
        kind, bits = certificate.key
        if kind in ("rsa", "dsa") and bits and bits < 2048:
            found.append(f"the {role(form, place)} {certificate.label} has a {kind.upper()} key of {bits} bits only")
        if certificate.hash in ("md5", "sha1") and not certificate.self_issued:
            found.append(f"the {role(form, place)} {certificate.label} is signed with {certificate.hash.upper()}")
    return found


def usage_faults(form: Shape) -> list[str]:
    """Uses that the path does not allow: leaf not for servers, issuer that is no CA."""
    found = []
    usages = form.leaf.usage_names
    if form.leaf.extended_key_usage and not {"serverAuth", "anyExtendedKeyUsage"} & set(usages):
        found.append(f"the server certificate is for {', '.join(usages)} only, not for TLS servers (serverAuth)")
    for place, certificate in enumerate(form.path[1:], 1):
        if certificate.is_ca is not True and certificate.version >= 3:
            found.append(f"the {role(form, place)} {certificate.label} is not marked as a CA")
    return found


def covers(leaf: CertificateFacts, name: str) -> bool:
    """Whether the certificate names ``name``, a host name or an address (RFC 9525 6; common name only without SAN)."""
    name = name.rstrip(".").lower()
    if name.replace(".", "").isdigit() or ":" in name:
        return name in (leaf.san_ip or ()) or (leaf.san_ip is None and leaf.san_dns is None and leaf.cn == name)
    names = leaf.san_dns
    if names is None and leaf.san_ip is None:
        names = (leaf.cn,) if leaf.cn else ()
    return any(_matches(pattern.rstrip(".").lower(), name) for pattern in names or ())


def _matches(pattern: str, name: str) -> bool:
    if pattern == name:
        return True
    return pattern.startswith("*.") and "." in name and name.split(".", 1)[1] == pattern[2:] and pattern.count(".") > 1


def names_of(leaf: CertificateFacts, most: int = 5) -> str:
    """The names a certificate is for, as text."""
    names = [*(leaf.san_dns or ()), *(leaf.san_ip or ())]
    if not names:
        return f"only the common name {leaf.cn}" if leaf.cn else "no name at all"
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
