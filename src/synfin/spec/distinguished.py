"""Distinguished names (RFC 5280 4.1.2.4): from DER to pairs, and from pairs to text for people (RFC 4514).

Order is kept as sent and the text runs the same way, ``C=US, O=Example, CN=example.com``: RFC 4514 2.1 would turn it
round, but people know certificates by the order that OpenSSL and browsers print.
"""

from __future__ import annotations

from functools import lru_cache

from synfin.spec import der as d
from synfin.spec import oids

Name = tuple[tuple[str, str], ...]
"""A distinguished name: (dotted attribute type, value) in order as sent."""


def read_name(der: bytes) -> Name:
    """A DER Name (RFC 5280 4.1.2.4) as (type, value) pairs; WireError where it cannot be walked."""
    return _read_name(der) if len(der) <= 1000 else _read_name.__wrapped__(der)


@lru_cache(maxsize=4096)
def _read_name(der: bytes) -> Name:
    start, stop = d.expect(der, 0, len(der), d.SEQUENCE, "name")
    pairs = []
    for _, rdn, rdn_stop in d.children(der, start, stop):
        for _, at, end in d.children(der, rdn, rdn_stop):
            oid, oid_stop = d.expect(der, at, end, d.OID, "name.type")
            tag, value, value_stop = d.element(der, oid_stop, end)
            pairs.append((d.oid_text(der[oid:oid_stop]), d.text(tag, der[value:value_stop])))
    return tuple(pairs)


def name_text(name: Name) -> str:
    """A name in the order it stood, as ``C=US, O=Example, CN=example.com`` (RFC 4514 labels and escapes)."""
    return ", ".join(f"{oids.ATTRIBUTES.get(kind, kind)}={_escape(value)}" for kind, value in name)


def printable(value: str) -> str:
    """``value`` with control characters made visible: names from certificates go to terminals."""
    if value.isprintable():
        return value
    return "".join(c if c.isprintable() else "".join(f"\\{b:02X}" for b in c.encode()) for c in value)


def _escape(value: str) -> str:
    """RFC 4514 2.4."""
    shown = printable("".join(f"\\{c}" if c in ',+"\\<>;' else c for c in value))
    return f"\\{shown}" if shown[:1] in ("#", " ") else shown
